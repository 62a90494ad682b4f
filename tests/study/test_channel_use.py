"""What a channel is worth: to a network that rests on it alone, to one that does not; and what is kept of it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from study_usual import job

from segdistill.settings import Protocol
from segdistill.study.arms import run_arm
from segdistill.study.channel_use import FILE, student_use, teacher_use
from segdistill.study.main_job import make_bench
from segdistill.study.preparation import prepare
from segdistill.study.teaching import Speaker


def bench_of(tissue, out, *channels):
    protocol = Protocol(steps=1, batch_size=2, crop=32, validations=1)
    settings = job(tissue, out, teacher="fit:unet-tiny", student_channels=channels, labels=None, protocol=protocol)
    return make_bench(settings, prepare(settings, notice=lambda _: None), lambda _: None), settings


@pytest.fixture(scope="module")
def bench(tissue, tmp_path_factory):
    return bench_of(tissue, tmp_path_factory.mktemp("run") / "run", "nucleus")[0]


def knows_by_the_membrane(bench):
    """Return a teacher that gives a field's label if it is shown that field's own membrane, and nothing otherwise."""
    tests = bench.prepared.labelled("test")

    def say(sample):
        place = sample.image.channels.index("membrane")
        own = any(np.array_equal(sample.image.array[place], each.image.array[place]) for each in tests
                  if each.name == sample.name)  # fmt: skip
        label = (sample.planes[0] > 0).astype(np.float32) * own
        return np.stack([label, np.zeros_like(label)])

    return Speaker(say, 1234)


def with_teacher(bench, folder, summon, **contract):
    teaching = bench.teachings["teacher"]
    changed = replace(teaching, contract=replace(teaching.contract, **contract), folder=folder, summon=summon)
    return replace(bench, teachings={"teacher": changed})


def test_a_teacher_that_rests_on_the_membrane_alone(bench, tmp_path):
    use = teacher_use(with_teacher(bench, tmp_path, lambda: knows_by_the_membrane(bench)), "teacher")
    assert [(each.channel, each.whole, each.without) for each in use.channels] == [
        ("nucleus", 1.0, 1.0),
        ("membrane", 1.0, 0.0),
    ]
    assert (use.fields, use.parameters) == (2, 1234)
    assert use.milliseconds > 0


def test_what_was_found_out_is_read_again_unless_the_teacher_or_the_record_changed(bench, tmp_path):
    def never():
        raise AssertionError("it was asked again")

    first = teacher_use(with_teacher(bench, tmp_path, lambda: knows_by_the_membrane(bench)), "teacher")
    assert teacher_use(with_teacher(bench, tmp_path, never), "teacher") == first
    with pytest.raises(AssertionError, match="asked again"):
        teacher_use(with_teacher(bench, tmp_path, never, weights_sha256="other"), "teacher")
    (tmp_path / FILE).write_text("{", encoding="utf-8")
    with pytest.raises(AssertionError, match="asked again"):
        teacher_use(with_teacher(bench, tmp_path, never), "teacher")


def test_no_channel_is_lent_by_a_field_of_the_same_group_and_what_was_lent_so_is_not_read_again(bench, tmp_path):
    def asked():
        return with_teacher(bench, tmp_path, lambda: knows_by_the_membrane(bench))

    assert teacher_use(asked(), "teacher").channels
    one = replace(bench.prepared, groups=dict.fromkeys(bench.prepared.samples, "slide"))
    assert teacher_use(replace(asked(), prepared=one), "teacher").channels == ()
    twins = replace(bench.prepared, twins=(bench.prepared.split["test"],))
    assert teacher_use(replace(asked(), prepared=twins), "teacher").channels == ()


def test_who_cannot_be_shown_fields_is_not_asked(bench, tmp_path):
    assert teacher_use(bench, None) is None
    assert teacher_use(with_teacher(bench, tmp_path, None), "teacher") is None

    def summon():
        raise AssertionError("it was asked")

    assert teacher_use(with_teacher(bench, tmp_path, summon, outputs=("nucleus",)), "teacher") is None
    assert not (tmp_path / FILE).exists()


def test_the_fitted_teacher_itself_is_brought_back(bench, tmp_path):
    teaching = bench.teachings["teacher"]
    use = teacher_use(with_teacher(bench, tmp_path, teaching.summon), "teacher")
    assert [each.channel for each in use.channels] == ["nucleus", "membrane"]
    assert use.parameters == sum(
        np.prod(shape) for shape in weights(teaching.folder / "all" / "model" / "model.safetensors")
    )
    said = teaching.summon().say(bench.prepared.labelled("test")[0])
    stored = teaching.maps(bench.prepared.labelled("test")[0].name, teaching.contract.outputs)
    np.testing.assert_allclose(said, stored, atol=2e-3)  # stored as float16
    assert json.loads((tmp_path / FILE).read_text())["of"]["channels"] == ["nucleus", "membrane"]


def weights(path):
    """Yield the shape of every weight in a file; counts of batches, as batch normalisation keeps, are none."""
    from safetensors.numpy import load_file

    buffers = ("running_mean", "running_var", "num_batches_tracked")
    return [value.shape for name, value in load_file(path).items() if not name.endswith(buffers)]


def test_a_student_of_two_channels_is_asked_about_both_and_one_of_one_about_none(tissue, bench, tmp_path):
    two, settings = bench_of(tissue, tmp_path / "run", "nucleus", "membrane")
    arm = settings.arms()[0]
    use = student_use(two, run_arm(two, arm, 0), parameters=7)
    assert [each.channel for each in use.channels] == ["nucleus", "membrane"]
    assert use.parameters == 7
    assert student_use(bench, run_arm(bench, arm, 0), parameters=7).channels == ()
