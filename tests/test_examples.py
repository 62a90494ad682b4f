from pathlib import Path

import pytest

from segdistill.settings import Distill, Study, read_toml, validated
from segdistill.study.cells import cells_of

FOLDER = Path(__file__).parents[1] / "examples"
STUDIES = sorted(FOLDER.glob("study_*.toml"))
RECIPES = sorted(set(FOLDER.glob("*.toml")) - set(STUDIES))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_example_is_a_sound_recipe(path):
    settings = validated(Distill, {"data": "images", "out": "runs/x", **read_toml(path)})
    assert {arm.role for arm in settings.arms()} >= {"baseline", "student", "control"}


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_has_what_a_claim_needs(path):
    settings = validated(Study, {"out": "runs/x", **read_toml(path)})
    hidden = any(set(each.channels) > set(settings.student_channels) for each in settings.teachers.values())
    roles = (
        {"student"} if hidden else set()
    )  # where the teacher sees no more than the student, all it teaches is a control
    assert {cell.arm.role for cell in cells_of(settings)} >= {"baseline", "control", "all-labels"} | roles
    assert hidden or path.stem == "study_bbbc038"
    assert len(settings.seeds) >= 5
    assert {arm.teacher for arm in settings.arms} - {None} == set(settings.teachers)


def test_there_are_examples():
    assert RECIPES
    assert STUDIES
