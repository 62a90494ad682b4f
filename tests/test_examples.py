from pathlib import Path

import pytest

from segdistill.settings import Distill, read_toml, validated

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.toml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_a_sound_recipe(path):
    settings = validated(Distill, {"data": "images", "out": "runs/x", **read_toml(path)})
    assert {arm.role for arm in settings.arms()} >= {"baseline", "student", "control"}


def test_there_are_examples():
    assert EXAMPLES
