"""Targets that were made beforehand, and teachers that fail on some images, through the main job."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from study_usual import job

from segdistill.data.normalisation import FullRangeRule
from segdistill.errors import ConfigError
from segdistill.networks.card import read_card
from segdistill.settings import Targets, validated
from segdistill.study.arms import arm_entries, labels_of, learnt_from
from segdistill.study.main_job import distill, make_bench
from segdistill.study.preparation import file_marks, prepare
from segdistill.study.targets_job import check_targets, make_targets
from segdistill.teachers import NO_HINT, Contract

TEACHER = {"teacher": "fake", "teacher_channels": ("nucleus", "membrane")}
FAILING = ("tissue_0000", "tissue_0003")


class Fake:
    """Probability = mean of the channels; it fails where it is told to."""

    contract = Contract(
        name="fake",
        channels=("nucleus", "membrane"),
        rule=FullRangeRule(),
        outputs=("cell", "cell.boundary"),
        weights_sha256="f" * 64,
        licence="MIT",
        needs=("case",),
    )
    fails_on = ()

    def __init__(self):
        self.seen = []

    def maps(self, image, hint=NO_HINT):
        self.seen.append(hint.case)
        if hint.case in self.fails_on:
            raise RuntimeError("no convergence")
        mean = image.mean(axis=0)
        return np.stack([mean, mean**2]).astype(np.float32)


class Entry:
    """The entry point of a package that provides the teacher."""

    name, value = "fake", "plugin:fake"

    def __init__(self, teacher):
        self.teacher = teacher

    def load(self):
        return lambda _: self.teacher


@pytest.fixture
def fake(monkeypatch):
    teacher = Fake()
    monkeypatch.setattr(
        "segdistill.plugins.entry_points", lambda group: [Entry(teacher)] if group == "segdistill.teachers" else []
    )
    return teacher


def told(tissue, out, **changes):
    return job(tissue, out, **(TEACHER | {"labels": None} | changes))


def targets(tissue, out, **changes):
    usual = {"data": tissue, "out": out, "label_sets": ("cell",), "label_kind": "instances", "device": "cpu"}
    return validated(Targets, usual | TEACHER | changes)


@pytest.mark.parametrize("maps", ["float16", "uint8"])
def test_the_main_job_reads_what_the_command_stored_and_asks_no_teacher(fake, tissue, tmp_path, maps):
    stored = make_targets(targets(tissue, tmp_path / "targets", maps=maps))
    assert stored.summary.made == 8
    fake.seen.clear()
    settings = told(tissue, tmp_path / "run", targets=tmp_path / "targets")
    bench = make_bench(settings, prepare(settings, notice=lambda _: None), lambda _: None)
    assert fake.seen == []
    assert not (tmp_path / "run" / "targets").exists()
    assert len(bench.teachings["teacher"].targets) == 8
    assert bench.teachings["teacher"].targets["tissue_0001"]["cell"].dtype == maps


def test_flipped_bytes_are_made_again_and_another_teacher_has_another_store(fake, tissue, tmp_path):
    stored = make_targets(targets(tissue, tmp_path))
    shard = stored.folder / "slice-0-of-1" / "0000.bin"
    sound = shard.read_bytes()
    shard.write_bytes(sound[:100] + bytes([sound[100] ^ 255]) + sound[101:])
    assert len(check_targets(targets(tissue, tmp_path)).damaged) == 1
    fake.seen.clear()
    again = make_targets(targets(tissue, tmp_path))
    assert set(fake.seen) == {"tissue_0000"}
    assert (again.folder, again.summary.made, again.summary.remade, again.summary.kept) == (stored.folder, 1, 1, 7)
    assert check_targets(targets(tissue, tmp_path)).sound
    fake.contract = replace(Fake.contract, weights_sha256="e" * 64)
    other = make_targets(targets(tissue, tmp_path))
    assert other.folder != stored.folder
    assert other.summary.made == 8


def test_the_first_image_that_fails_does_not_spoil_the_estimate(fake, tissue, tmp_path):
    fake.fails_on = FAILING
    heard = []
    summary = make_targets(targets(tissue, tmp_path), notice=heard.append).summary
    assert [failure.case for failure in summary.failed] == list(FAILING)
    assert re.search(r"7 of 8 images to do: about \d+ s and", heard[0])  # not hours, as the failed one would have it
    assert (summary.made, summary.kept) == (6, 0)


def test_a_teacher_that_is_fitted_here_has_no_targets_beforehand(tissue, tmp_path):
    with pytest.raises(ConfigError, match="model:FOLDER"):
        make_targets(targets(tissue, tmp_path, teacher="fit:unet-tiny"))
    with pytest.raises(ConfigError, match="targets is void"):
        told(tissue, tmp_path, teacher="fit:unet-tiny", targets=tmp_path)


def test_images_on_which_the_teacher_fails_are_listed_and_leave_the_distillation_only(fake, tissue, tmp_path):
    settings = told(tissue, tmp_path / "run")
    train = prepare(settings, notice=lambda _: None).split["train"]
    fake.fails_on = (train[0],)
    finished = distill(settings)
    record = json.loads((finished.folder / "run.json").read_text())
    assert record["dropped"] == {f"target of teacher for {train[0]}": "RuntimeError: no convergence"}
    report = finished.report.read_text()
    assert f"target of teacher for {train[0]}" in report
    assert "no convergence" in report
    bench = make_bench(settings, prepare(settings, notice=lambda _: None), lambda _: None)
    (student,) = [arm for arm in settings.arms() if arm.name == "student"]
    training = {entry.name: entry for entry in arm_entries(bench, student, 0)[0]}
    assert set(training) == set(train)
    assert training[train[0]].labelled
    assert {name for name, entry in training.items() if entry.target} == set(train[1:])


@pytest.mark.parametrize("labels", [0, 2])
def test_the_labels_that_an_oracle_is_told_count_wherever_they_decide_and_the_student_knows_them(
    tissue, tmp_path, labels
):
    settings = job(tissue, tmp_path / "run", teacher="blurred:2", teacher_channels=(), labels=labels)
    bench = make_bench(settings, prepare(settings, notice=lambda _: None), lambda _: None)
    (student,) = [arm for arm in settings.arms() if arm.name == "student"]
    training, validation = arm_entries(bench, student, 0)
    assert all(entry.target for entry in training)
    told = {entry.name for entry in (*training, *validation)}  # the labels of each, given or told, decide something
    assert labels_of(bench, student, 0).total == len(told) == 6
    assert learnt_from(bench, student, 0) == file_marks(bench.prepared, told)


def test_the_card_of_a_student_does_not_invent_how_many_labels_its_teacher_saw(fake, tissue, tmp_path):
    finished = distill(told(tissue, tmp_path / "run", labels=2, baseline=False))  # the teacher does not say
    assert read_card(finished.model).labels_used is None
