"""SAMs that are fitted in a run, out of fold; and adapters that come from outside of it."""

import json

import pytest

from segdistill.data.simulate import TissueSettings, write_tissue
from segdistill.errors import ConfigError
from segdistill.settings import Adapt, Adaptation, Adapting, Distill, Protocol, Targets, TeacherSpec
from segdistill.study.adapt_job import adapt
from segdistill.study.main_job import distill, make_bench
from segdistill.study.preparation import prepare
from segdistill.study.targets_job import make_targets
from segdistill.targets import open_store

BRIEF = Adapting(steps=1, batch_size=1, validations=1)
READING = {"label_sets": ("cell",), "label_kind": "instances"}
SAM = {"teacher": "sam-tiny-tissue", "teacher_channels": ("nucleus", "membrane")}


def silent(_):
    pass


@pytest.fixture(scope="module")
def tissue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tissue")
    write_tissue(folder, count=10, seed=5, settings=TissueSettings(height=64, width=96))
    return folder


@pytest.fixture(scope="module")
def adapter(tissue, tmp_path_factory):
    out = tmp_path_factory.mktemp("adapter") / "a"
    adapt(Adapt(data=tissue, out=out, **READING, **SAM, size=32, protocol=BRIEF, device="cpu"))
    return out


def settings_of(tissue, out, **changes):
    usual = {
        "data": tissue,
        "out": out,
        **READING,
        **SAM,
        "student": "unet-tiny",
        "student_channels": ("nucleus",),
        "labels": 2,
        "split": (0.6, 0.2, 0.2),
        "protocol": Protocol(steps=2, batch_size=2, crop=32, validations=1),
        "device": "cpu",
    }
    return Distill(**(usual | changes))


def test_a_run_fits_sams_out_of_fold_counts_their_labels_and_keeps_them(tissue, tmp_path):
    run = settings_of(tissue, tmp_path / "run", adapt=Adaptation(how="lora", rank=2, size=32, protocol=BRIEF))
    prepared = prepare(run, notice=silent)
    told = []
    bench = make_bench(run, prepared, told.append)
    teaching = bench.teachings["teacher"]
    assert sum(line.startswith("Fitting sam-tiny-tissue (lora)") for line in told) == 6
    assert (teaching.contract.name, teaching.contract.prompting) == ("sam-tiny-tissue", "tuned")
    assert teaching.fitted_on == {*prepared.split["train"], *prepared.split["validation"]}
    assert teaching.in_fold == frozenset()
    (folder,) = (tmp_path / "run/targets").iterdir()
    store = open_store(folder)
    described = {note["case"]: note["teacher"] for note in map(store.parameters, tuple(store.keys()))}
    assert len(described) == 10
    assert all((described[name] > 0) == (name in prepared.split["train"]) for name in described)
    cards = [json.loads(path.read_text()) for path in sorted((tmp_path / "run/teachers").rglob("adapter.json"))]
    assert len(cards[0]["fitted_on"]) == 6
    assert all(len(card["fitted_on"]) < 6 for card in cards[1:])
    told.clear()
    make_bench(run, prepared, told.append)
    assert told == []  # all is there


def test_an_adapters_labels_are_counted_once_and_its_targets_said_to_be_in_fold(tissue, adapter, tmp_path):
    run = settings_of(tissue, tmp_path / "run", teacher=f"adapter:{adapter}")
    finished = distill(run)
    student = finished.account["student"].labels
    # It knows all six training and both validation images; of these the student uses two and two.
    assert (student.training, student.validation, student.shared) == (2, 2, 4)
    assert student.teacher == 200 + 6 + 2
    assert student.total == student.teacher
    record = json.loads((tmp_path / "run/run.json").read_text(encoding="utf-8"))
    assert any("targets on 8 images are not out of fold" in note for note in record["notes"])
    assert any("adapted (lora) on 6 labelled images and chosen on 2" in note for note in record["notes"])


def test_an_adapter_that_knows_test_images_is_refused_by_their_hashes(tissue, adapter, tmp_path):
    for place, changes in {"a": {"split_seed": 3}, "b": {"split_seed": 3, "private": True}}.items():
        run = settings_of(tissue, tmp_path / place, teacher=f"adapter:{adapter}", **changes)
        with pytest.raises(ConfigError, match=r"fitted on the labels of \d of the test images .*split-seed of `adapt`"):
            distill(run)


def test_storing_what_an_adapter_says_tells_which_images_it_knows(tissue, adapter, tmp_path):
    told = []
    asked = SAM | {"teacher": f"adapter:{adapter}"}
    make_targets(Targets(data=tissue, out=tmp_path / "t", **READING, **asked, device="cpu"), notice=told.append)
    assert any("fitted on the labels of 8 of these images: not out of fold there" in line for line in told)


def test_none_asks_the_sam_as_it_is(tissue, tmp_path):
    run = settings_of(tissue, tmp_path / "run", adapt=Adaptation(how="none"))
    teaching = make_bench(run, prepare(run, notice=silent), silent).teachings["teacher"]
    assert (teaching.contract.labels_seen, teaching.fitted_on) == (200, frozenset())
    assert not (tmp_path / "run" / "teachers").exists()


def test_what_contradicts_itself_is_refused(tissue, tmp_path):
    lora = Adaptation(how="lora", protocol=BRIEF)
    with pytest.raises(ValueError, match="prompting is void with adapt"):
        settings_of(tissue, tmp_path, adapt=lora, prompting="probe")
    with pytest.raises(ValueError, match="prompting is void with adapt"):
        TeacherSpec(teacher="sam-vit-b", channels=("a",), adapt=lora, prompting="grid")
    with pytest.raises(ValueError, match="targets is void with a teacher that is fitted here"):
        settings_of(tissue, tmp_path, adapt=lora, targets=tmp_path)
    with pytest.raises(ConfigError, match=r"'model:there' takes no adapter"):
        distill(settings_of(tissue, tmp_path / "a", teacher="model:there", adapt=lora))
    with pytest.raises(ConfigError, match="at least two groups"):
        distill(settings_of(tissue, tmp_path / "b", split=(0.1, 0.1, 0.8), adapt=lora, labels=1))
