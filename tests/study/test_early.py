"""What cannot be done is refused before a teacher has spoken."""

import json
import shutil

import pytest
from study_usual import job, plan

from segdistill.data.labels import Structure
from segdistill.errors import ConfigError, DataError, EnvironmentFault, UnknownName
from segdistill.study import early, teaching
from segdistill.study.main_job import distill
from segdistill.study.study_job import study

CELL, NUCLEUS = Structure("cell", instances=True), Structure("nucleus", instances=True)


@pytest.fixture
def silent(monkeypatch):
    """No teacher may be asked for anything."""

    def spoken(*_, **__):
        raise AssertionError("a teacher was asked")

    monkeypatch.setattr(teaching, "_teachers", spoken)


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"student": "unet-tinny"}, UnknownName, "unet-tiny"),
        ({"student_channels": ("dapi",)}, ConfigError, "No image has the channel 'dapi' that the student is to see"),
        ({"teacher_channels": ("nucleus", "membran")}, ConfigError, "Did you mean 'membrane'"),
        ({"labels": 999}, ConfigError, "labels is 999, but only"),
        ({"control": "sam-tiny-tisue"}, UnknownName, "sam-tiny-tissue"),
        ({"control": "model:nowhere"}, ConfigError, "there is nothing at nowhere"),
        ({"control": "fit:unet-tinny"}, UnknownName, "unet-tiny"),
        ({"protocol": {"steps": 2, "precision": "16-mixed"}}, ConfigError, "precision is '16-mixed'"),
    ],
)
def test_a_job_is_refused_before_its_teacher_speaks(tissue, tmp_path, changes, error, words):
    with pytest.raises(error, match=words):
        distill(job(tissue, tmp_path / "run", **changes))


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"students": ("unet-tiny", "unet-tinny")}, UnknownName, "unet-tiny"),
        ({"labels": (2, 999)}, ConfigError, "labels is 999"),
        (
            {"teachers": {"full": {"teacher": "sam-tiny-tissue", "channels": ("nucleus", "membran")}}},
            ConfigError,
            "that the teacher full is to see",
        ),
        (
            {
                "teachers": {"full": {"teacher": "sam-tiny-tissue", "channels": ("nucleus", "membrane")}},
                "arms": (
                    {"name": "baseline"},
                    {"name": "student", "teacher": "full"},
                    {"name": "stains", "predicted_channels": ("membran",)},
                ),
            },
            ConfigError,
            "that the arm stains is to see",
        ),
    ],
)
def test_a_study_is_refused_before_its_teachers_speak(tissue, tmp_path, changes, error, words):
    with pytest.raises(error, match=words):
        study(plan(tissue, tmp_path / "study", **changes))


def test_a_teacher_that_describes_nothing_of_what_is_learnt_is_refused(tissue, tmp_path):
    other = tmp_path / "data"
    shutil.copytree(tissue, other)
    (other / "labels" / "cell").rename(other / "labels" / "vessel")
    with pytest.raises(ConfigError, match=r"describes cell, .*students learn vessel: nothing could be distilled"):
        distill(job(other, tmp_path / "run", label_sets=("vessel",)))


def test_what_a_teacher_leaves_to_the_labels_is_named():
    assert early.check_described([CELL, NUCLEUS], ["cell", "cell.boundary"], teacher="sam") == ["nucleus"]
    assert early.check_described([CELL, NUCLEUS], ["nucleus", "cell"], teacher="sam") == []
    assert early.check_described([CELL], [], teacher="encoder") == []


def test_a_teacher_that_fails_on_every_training_image_stops_the_run_and_another_takes_its_folder(
    tissue, tmp_path, monkeypatch
):
    from segdistill.teachers.sam import SamTeacher

    def fail(*_, **__):
        raise ValueError("the network is broken")

    with monkeypatch.context() as broken:
        broken.setattr(SamTeacher, "maps", fail)
        _refused(tissue, tmp_path / "run")
    assert not (tmp_path / "run" / "arms").exists()
    other = {"teacher": "sam-tiny-tissue-control", "teacher_channels": ("nucleus",), "control": None}
    assert distill(job(tissue, tmp_path / "run", **other)).report.exists()


def _refused(tissue, out):
    with pytest.raises(DataError, match=r"failed on every one of the \d+ training images.*the network is broken"):
        distill(job(tissue, out))


@pytest.fixture
def damaged(tmp_path):
    """A teacher of which it comes out late that nothing can be made of it: the file is there."""
    path = tmp_path / "nope.onnx"
    path.touch()
    return f"onnx:{path}"


def test_a_corrected_call_goes_on_in_the_folder_of_one_that_was_refused(tissue, tmp_path, damaged):
    out = tmp_path / "run"
    with pytest.raises((ConfigError, EnvironmentFault)):
        distill(job(tissue, out, teacher=damaged))
    assert not (out / "arms").exists()
    finished = distill(job(tissue, out))
    assert finished.report.exists()
    assert json.loads((out / "settings.json").read_text(encoding="utf-8"))["teacher"] == "sam-tiny-tissue"
    assert distill(job(tissue, out)).verdict == finished.verdict


def test_a_corrected_study_goes_on_in_the_folder_of_one_that_was_refused(tissue, tmp_path, damaged):
    out = tmp_path / "study"
    right = plan(tissue, out, labels=(2,))
    wrong = {"full": {"teacher": damaged, "channels": ("nucleus", "membrane")}}
    arms = ({"name": "baseline"}, {"name": "studnet", "teacher": "full"})
    with pytest.raises((ConfigError, EnvironmentFault), match="nope"):
        study(plan(tissue, out, labels=(2,), teachers=wrong, arms=arms))
    assert (out / "teachers" / "full" / "settings.json").exists()
    assert not study(right).missing


def test_a_run_that_was_refused_takes_the_data_as_they_are_now(tissue, tmp_path, damaged):
    own, out = shutil.copytree(tissue, tmp_path / "own"), tmp_path / "run"
    with pytest.raises((ConfigError, EnvironmentFault)):
        distill(job(own, out, teacher=damaged))
    before = json.loads((out / "data.json").read_text(encoding="utf-8"))
    for folder in ("images", "labels/cell", "labels/nucleus"):
        for path in (own / folder).glob("tissue_0003*"):
            path.unlink()
    distill(job(own, out))
    after = json.loads((out / "data.json").read_text(encoding="utf-8"))
    assert set(before) - set(after) == {"tissue_0003"}
