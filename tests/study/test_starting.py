"""Fine-tuning: students begin with a model's weights, its labels and licences go with them, misfits are refused."""

import json
import shutil

import numpy as np
import pytest
import tifffile
import torch
from safetensors.numpy import load_file
from study_usual import job, plan

from segdistill.data.labels import Structure
from segdistill.data.normalisation import PercentileRule, rule_to_json
from segdistill.errors import ConfigError
from segdistill.networks.card import ModelCard
from segdistill.networks.model import Model, build_student, load_model, save_model
from segdistill.settings import Protocol
from segdistill.study.arms import RULE, labels_of, learnt_from
from segdistill.study.main_job import distill, make_bench
from segdistill.study.preparation import budget_seed, file_marks, labelled_budget, prepare
from segdistill.study.starting import read_start
from segdistill.study.study_account import conclude_study
from segdistill.study.study_job import study
from segdistill.study.teacher_row import labels_of_teacher

CELL = (Structure("cell", instances=True),)
STILL = Protocol(steps=1, batch_size=2, crop=32, validations=1, learning_rate=1e-12, weight_decay=0, ema=0)
"""A step too small to be seen: what comes out is what went in."""


def save(folder, *, seed=1, **changes):
    usual = {
        "architecture": "unet-tiny",
        "channels": ("DAPI",),
        "normalisation": rule_to_json(RULE),
        "structures": CELL,
        "crop": 64,
        "thresholds": {},
        "licences": ("teacher sam: research use only",),
        "labels_used": 40,
    }
    card = ModelCard(**(usual | changes))
    torch.manual_seed(seed)
    network = build_student(card.architecture, channels=len(card.channels), outputs=len(card.outputs))
    save_model(folder, Model(network, card))
    return folder


def same_weights(first, second):
    one, two = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    return all(
        np.allclose(one[name], two[name], atol=1e-6)
        for name in one
        if not name.endswith(("num_batches_tracked", "running_mean", "running_var"))
    )


def test_every_arm_begins_with_the_model_and_says_so(tissue, tmp_path):
    model, told = save(tmp_path / "before"), []
    finished = distill(job(tissue, tmp_path / "run", protocol=STILL, start=model), notice=told.append)
    for arm in ("baseline", "student"):
        assert same_weights(tmp_path / f"run/arms/{arm}/0/model", model)
    plain = distill(job(tissue, tmp_path / "plain", protocol=STILL))
    assert not same_weights(plain.model, model)
    card = load_model(finished.model).card
    sees = json.loads((tmp_path / "run/run.json").read_text())["arms"]
    assert card.labels_used - load_model(plain.model).card.labels_used == 40
    assert [arm["labels"]["before"] for arm in sees] == [40, 40]
    assert "teacher sam: research use only" in card.licences
    assert card.provenance["began_with_weights_sha256"] == load_model(model).card.weights_sha256
    assert any("40 labelled images" in note for note in card.notes)
    assert f"nucleus is taken for what {model} calls DAPI." in told
    assert "40 by the model it began with" in finished.report.read_text(encoding="utf-8")


def test_a_model_that_changed_under_its_name_is_refused(tissue, tmp_path):
    model = save(tmp_path / "before")
    distill(job(tissue, tmp_path / "run", protocol=STILL, start=model))
    shutil.rmtree(model)
    save(model, seed=2)
    with pytest.raises(ConfigError, match=r"start\.weights_sha256"):
        distill(job(tissue, tmp_path / "run", protocol=STILL, start=model))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architecture": "unet-mobilenetv3"}, "it is unet-mobilenetv3, but the student is unet-tiny"),
        ({"channels": ("a", "b")}, "it sees a, b, but the student sees nucleus"),
        ({"structures": (Structure("cell", instances=False),)}, r"it gives cell, but what is labelled is cell, cell"),
        ({"normalisation": rule_to_json(PercentileRule(5.0, 95.0))}, "normalised otherwise"),
    ],
)
def test_misfits_are_refused_by_what_differs(tmp_path, changes, words):
    model = save(tmp_path / "before", **changes)
    with pytest.raises(ConfigError, match=words):
        start_of(model, tmp_path, ("nucleus",), CELL)
    assert not (tmp_path / "start").exists()


def start_of(model, run, channels, structures):
    return read_start(
        model, student="unet-tiny", channels=channels, structures=structures, rule=RULE, run=run, notice=lambda _: None
    )


def test_of_several_channels_or_structures_names_and_order_must_be_equal(tmp_path):
    two = (Structure("cell", instances=True), Structure("nucleus", instances=True))
    model = save(tmp_path / "before", channels=("a", "b"), structures=two)
    assert start_of(model, tmp_path / "run", ("a", "b"), two) is not None
    with pytest.raises(ConfigError, match="sees a, b, but the student sees b, a"):
        start_of(model, tmp_path / "run", ("b", "a"), two)
    with pytest.raises(ConfigError, match=r"it gives cell, cell\.boundary, nucleus"):
        start_of(model, tmp_path / "run", ("a", "b"), two[::-1])
    assert start_of(None, tmp_path, ("a",), CELL) is None


def test_a_study_begins_with_it_too_but_not_in_an_arm_of_other_channels(tissue, tmp_path):
    still = {"protocol": STILL.model_dump(), "start": save(tmp_path / "before"), "labels": ("all",)}
    settings = plan(tissue, tmp_path / "study", arms=({"name": "baseline"},), **still)
    conclude_study(settings, study(settings))
    assert same_weights(tmp_path / "study/unet-tiny/model", tmp_path / "before")
    with pytest.raises(ConfigError, match="cannot begin with the model"):
        plan(tissue, tmp_path / "other", arms=({"name": "rival", "dropped_channels": ("membrane",)},), **still)


def test_weights_of_an_encoder_beside_a_model_to_begin_with_are_refused(tissue, tmp_path):
    both = {"start": tmp_path / "before", "protocol": {"encoder_weights": tmp_path / "timm.safetensors"}}
    with pytest.raises(ConfigError, match=r"protocol\.encoder_weights is void with from"):
        job(tissue, tmp_path / "run", **both)


def held_out(tissue, tmp_path):
    """What a card would call one of the test images of the usual division."""
    prepared = prepare(job(tissue, tmp_path / "run"), notice=lambda _: None)
    return file_marks(prepared, {prepared.split["test"][0]})


def test_a_model_that_learnt_from_test_images_is_nothing_to_begin_with(tissue, tmp_path):
    model = save(tmp_path / "before", learnt_from=held_out(tissue, tmp_path))
    with pytest.raises(ConfigError, match="learnt from the labels of 1 of the test images"):
        distill(job(tissue, tmp_path / "run", protocol=STILL, start=model))
    with pytest.raises(ConfigError, match="learnt from the labels of 1 of the test images"):
        study(plan(tissue, tmp_path / "study", start=model, arms=({"name": "baseline"},)))
    assert not list(tmp_path.rglob("*.ckpt"))


def bench_of(settings):
    return make_bench(settings, prepare(settings, notice=lambda _: None), lambda _: None)


def test_what_begins_with_a_model_knows_the_images_that_the_model_learnt_from(tissue, tmp_path):
    model = save(tmp_path / "before", learnt_from=("0123456789abcdef",))
    settings = job(tissue, tmp_path / "run", start=model)
    bench = bench_of(settings)
    for arm in settings.arms():
        assert "0123456789abcdef" in learnt_from(bench, arm, 0)
        assert len(learnt_from(bench, arm, 0)) == 1 + 2 + len(bench.prepared.split["validation"])


def test_a_student_knows_the_images_that_its_teacher_learnt_from_elsewhere(tissue, tmp_path):
    teacher = save(tmp_path / "before", learnt_from=("0123456789abcdef",))
    settings = job(tissue, tmp_path / "run", teacher=f"model:{teacher}", teacher_channels=("nucleus",))
    bench = bench_of(settings)
    taught = {arm.name: "0123456789abcdef" in learnt_from(bench, arm, 0) for arm in settings.arms()}
    assert taught == {"baseline": False, "student": True}


def test_labels_that_nobody_stated_stay_unknown_from_model_to_model(tissue, tmp_path):
    model = save(tmp_path / "before", labels_used=None)
    settings = job(tissue, tmp_path / "run", start=model)
    bench = bench_of(settings)
    assert all(labels_of(bench, arm, 0).total is None for arm in settings.arms())
    taught = job(tissue, tmp_path / "taught", teacher=f"model:{model}", teacher_channels=("nucleus",))
    assert bench_of(taught).teachings["teacher"].contract.labels_seen is None
    assert "| labelled images used anywhere | not known |" in (model / "README.md").read_text(encoding="utf-8")


def test_an_arm_used_the_labels_of_that_seed_which_used_most(tissue, tmp_path):
    settings = job(tissue, tmp_path / "run", labels=1)
    prepared = prepare(settings, notice=lambda _: None)
    train = prepared.labelled("train")
    last = next(iter(labelled_budget(train, 1, seed=budget_seed(0, 3))))
    other = next(seed for seed in range(3) if last not in labelled_budget(train, 1, seed=budget_seed(0, seed)))
    model = save(tmp_path / "before", learnt_from=file_marks(prepared, {last}), labels_used=1)
    changes = {"teacher": f"model:{model}", "teacher_channels": ("nucleus",), "protocol": STILL, "labels": 1}
    finished = distill(job(tissue, tmp_path / "run", seeds=(other, 3), **changes))
    record = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))["arms"]
    shared = {each["seed"]: each["labels"]["shared"] for each in record if each["arm"]["name"] == "student"}
    assert shared == {other: 0, 3: 1}  # with the last seed, student and teacher learnt from the same image
    assert finished.account["student"].labels.total == finished.account["baseline"].labels.total + 1
    assert finished.account["teacher"].labels.total == 1 + 2  # two validation images say how its cells are told apart


def test_validation_images_by_which_a_teachers_objects_are_told_apart_count_once_in_its_own_row(tissue, tmp_path):
    settings = job(tissue, tmp_path / "run")
    prepared = prepare(settings, notice=lambda _: None)
    known = file_marks(prepared, {prepared.split["validation"][0], prepared.split["train"][0]})
    areas = tmp_path / "areas"
    shutil.copytree(tissue, areas)
    for path in (areas / "labels" / "cell").iterdir():
        tifffile.imwrite(path, (tifffile.imread(path) > 0).astype(np.uint8))
    for data, kind, total in ((tissue, "instances", 2 + 1), (areas, "binary", 2)):  # areas are not told apart
        cells = (Structure("cell", instances=kind == "instances"),)
        model = save(tmp_path / f"{kind} model", learnt_from=known, labels_used=2, structures=cells)
        changes = {"teacher": f"model:{model}", "teacher_channels": ("nucleus",), "label_kind": kind}
        bench = bench_of(job(data, tmp_path / kind, **changes))
        assert labels_of_teacher(bench, "teacher").total == total
