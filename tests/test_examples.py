import sys
from importlib.util import module_from_spec, spec_from_file_location
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


@pytest.fixture(scope="module")
def p3():
    spec = spec_from_file_location("p3", FOLDER / "p3.py")
    module = module_from_spec(spec)
    sys.modules["p3"] = module  # its dataclasses look for their module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["p3"]


@pytest.mark.parametrize("name", ["kidney-us", "autooral", "chaos", "ph2", "drive"])
def test_every_stage_of_p3_is_sound_and_its_arms_are_equal(p3, name):
    task = p3.TASKS[name]
    places = p3.Places(Path("data.csv"), Path("sam.pth"), Path("runs"), Path("mae.pth"))
    assert p3.drawing(task, places).images > max(p3.TRANSFER)
    assert [fitted.labels for fitted in p3.adapting(task, places)] == list(task.budgets)
    encoders = p3.encoders(task, places)
    assert len(encoders) == (3 + len(task.budgets)) * len(p3.TRANSFER)
    assert len({(each.protocol.steps, each.protocol.batch_size, each.protocol.crop) for each in encoders.values()}) == 1
    assert {each.how for each in encoders.values()} == {"masked", "contrast", "features", "task"}
    study = p3.comparison(task, places)
    assert {arm.name for arm in study.arms} == {"scratch", "mae-imagenet", *encoders}
    for cell in cells_of(study):  # no arm of a small budget begins with what was taught by more labels
        if cell.arm.name.startswith("task"):
            assert cell.arm.name.removeprefix("task").partition("-")[0] == str(cell.arm.labels)


def test_the_drawn_images_are_named_in_their_order(p3, tmp_path, monkeypatch):
    monkeypatch.setattr(p3, "TRANSFER", (0, 1, 2))
    places = p3.Places(Path("data.csv"), Path("sam.pth"), tmp_path)
    (places.drawn / "images").mkdir(parents=True)
    for number in (3, 1, 2):
        (places.drawn / "images" / f"{number}.png").write_bytes(b"")
    p3.name_drawn(places)
    assert [Path(line).name for line in places.transfer(2).read_text().split()] == ["image", "1.png", "2.png"]
    monkeypatch.setattr(p3, "TRANSFER", (0, 4))
    with pytest.raises(SystemExit, match="Only 3 drawn images were kept, 4 are wanted"):
        p3.name_drawn(places)


def test_there_are_examples():
    assert RECIPES
    assert STUDIES
