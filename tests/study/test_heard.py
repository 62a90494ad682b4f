"""A teacher whose weights changed under its name teaches nothing more in a folder that it had taught in."""

import json
import shutil

import pytest
import torch
from study_usual import job, plan

from segdistill.data.labels import Structure
from segdistill.data.normalisation import rule_to_json
from segdistill.errors import ConfigError
from segdistill.networks.build import build_student
from segdistill.networks.card import ModelCard, read_card
from segdistill.networks.model import Model, save_model
from segdistill.settings import Adapt, Adapting, Pretrain, Protocol, validated
from segdistill.study import adapt, distill, pretrain
from segdistill.study.arms import DONE, RULE
from segdistill.study.study_job import study
from segdistill.training.pretraining import PretrainingProblem

SHORT = Protocol(steps=1, batch_size=2, crop=32, validations=1)
SEES = ("nucleus", "membrane")


def save(folder, *, seed):
    card = ModelCard(
        architecture="unet-tiny",
        channels=SEES,
        normalisation=rule_to_json(RULE),
        structures=(Structure("cell", instances=True),),
        crop=32,
        thresholds={},
        labels_used=3,
    )
    torch.manual_seed(seed)
    save_model(folder, Model(build_student("unet-tiny", channels=2, outputs=len(card.outputs)), card))
    return read_card(folder).weights_sha256


def run(tissue, out, model, **changes):
    return distill(job(tissue, out, teacher=f"model:{model}", protocol=SHORT, baseline=False, **changes))


def test_another_teacher_under_the_same_name_is_refused_by_both_hashes_and_the_first_goes_on(tissue, tmp_path):
    model, out = tmp_path / "model", tmp_path / "run"
    before = save(model, seed=1)
    run(tissue, out, model, seeds=(0,))
    shutil.copytree(model, tmp_path / "kept")
    now = save(model, seed=2)
    with pytest.raises(ConfigError, match=f"{before}.*{now}.*Put back its files.*new folder for --out"):
        run(tissue, out, model, seeds=(0, 1))
    assert not (out / "arms" / "student" / "1").exists()
    shutil.copytree(tmp_path / "kept", model, dirs_exist_ok=True)
    run(tissue, out, model, seeds=(0, 1))
    assert (out / "arms" / "student" / "1" / DONE).is_file()


def test_a_folder_of_before_this_was_kept_goes_on_and_keeps_it_from_then_on(tissue, tmp_path):
    model, out = tmp_path / "model", tmp_path / "run"
    before = save(model, seed=1)
    run(tissue, out, model, seeds=(0,))
    shutil.rmtree(out / "heard")
    run(tissue, out, model, seeds=(0, 1))
    kept = json.loads((out / "heard" / "teacher" / "settings.json").read_text(encoding="utf-8"))
    assert kept["weights_sha256"] == [before]


def test_a_folder_of_which_nothing_came_takes_another_teacher(tissue, tmp_path, monkeypatch):
    model, out = tmp_path / "model", tmp_path / "run"
    save(model, seed=1)
    monkeypatch.setattr("segdistill.study.main_job.run_arms", lambda *_: 1 / 0)  # the teacher has spoken by then
    with pytest.raises(ZeroDivisionError):
        run(tissue, out, model)
    monkeypatch.undo()
    save(model, seed=2)
    run(tissue, out, model)


def test_a_study_refuses_it_too_whatever_else_it_is_asked_for(tissue, tmp_path):
    def asked(seeds):
        teachers = {"full": {"teacher": f"model:{tmp_path / 'model'}", "channels": SEES}}
        return plan(tissue, tmp_path / "s", teachers=teachers, labels=(2,), seeds=seeds, protocol=SHORT)

    before = save(tmp_path / "model", seed=1)
    assert not study(asked((0,))).missing
    now = save(tmp_path / "model", seed=2)
    with pytest.raises(ConfigError, match=f"The full .*{before}.*{now}"):
        study(asked((0, 1)))


def test_pre_training_does_not_go_on_with_another_teacher(tissue, tmp_path, monkeypatch):
    usual = {"data": tissue, "label_sets": ("cell",), "label_kind": "instances", "split": (0.5, 0.25, 0.25)}
    usual |= {"teacher_channels": SEES, "device": "cpu"}
    for seed in (0, 1):
        few = Adapting(steps=1, batch_size=1, validations=1)
        own = {"out": tmp_path / f"adapter{seed}", "seed": seed, "size": 32, "protocol": few}
        adapt(validated(Adapt, {**usual, "teacher": "sam-tiny-tissue", **own}))
    own = {"out": tmp_path / "e", "how": "task", "teacher": f"adapter:{tmp_path / 'adapter0'}", "views": 1}
    own |= {"student": "unet-tiny", "student_channels": ("nucleus",)}
    own |= {"protocol": {"steps": 2, "batch_size": 2, "crop": 32}}
    asked = validated(Pretrain, usual | own)
    collate = PretrainingProblem.collate
    monkeypatch.setattr(PretrainingProblem, "collate", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pretrain(asked)
    monkeypatch.setattr(PretrainingProblem, "collate", collate)
    shutil.copytree(tmp_path / "adapter1", tmp_path / "adapter0", dirs_exist_ok=True)
    with pytest.raises(ConfigError, match=r"The teacher 'adapter:.*Put back its files"):
        pretrain(asked)
