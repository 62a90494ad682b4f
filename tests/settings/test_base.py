from typing import Annotated, Literal

import pytest
from pydantic import Field

from segdistill.errors import ConfigError
from segdistill.settings import Distill, Settings, read_toml, validated


class Inner(Settings):
    side: int = 4


class Outer(Settings):
    name: str
    inner: Inner = Inner()


def test_every_mistake_is_told_at_once_with_the_nearest_name():
    with pytest.raises(ConfigError) as caught:
        validated(Outer, {"nam": "x", "inner": {"sde": 3, "side": "wide"}})
    message = str(caught.value)
    assert "3 settings" not in message  # name missing, nam unknown, inner.sde unknown, inner.side not a number
    assert "4 settings are wrong" in message
    assert "name: must be given." in message
    assert "nam: there is no such setting. Did you mean 'name'?" in message
    assert "inner.sde: there is no such setting. Did you mean 'side'?" in message
    assert "inner.side: must be a whole number (found 'wide')" in message


class Every(Settings):
    share: Annotated[float, Field(ge=0, lt=1)] = 0.5
    count: Annotated[int, Field(gt=0, le=9)] = 1
    kind: Literal["one", "two"] = "one"
    flips: bool = True
    names: tuple[str, ...] = ()
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("share", -1, "must be at least 0 (found -1)"),
        ("share", 1, "must be less than 1 (found 1)"),
        ("share", "much", "must be a number (found 'much')"),
        ("count", 0, "must be greater than 0 (found 0)"),
        ("count", 10, "must be at most 9 (found 10)"),
        ("count", 1.5, "must be a whole number (found 1.5)"),
        ("kind", "three", "must be 'one' or 'two' (found 'three')"),
        ("flips", "perhaps", "must be true or false (found 'perhaps')"),
        ("names", {"a": 1}, "must be a list (found a table)"),
        ("names", [1], "must be text (found 1)"),
        ("inner", 3, "must be a table (found 3)"),
    ],
)
def test_a_wrong_value_is_told_with_what_is_wanted(name, value, words):
    with pytest.raises(ConfigError) as caught:
        validated(Every, {name: value})
    assert str(caught.value).splitlines()[1].endswith(f": {words}")


def test_settings_are_frozen():
    settings = validated(Outer, {"name": "x"})
    with pytest.raises(ValueError, match="frozen"):
        settings.name = "y"


def test_resolved_settings_make_the_same_settings_again():
    settings = validated(Outer, {"name": "x", "inner": {"side": 9}})
    assert validated(Outer, settings.resolved()) == settings


MAIN = {"data": "d", "out": "o", "teacher": "t", "teacher_channels": ["a", "b"], "student_channels": ["a"]}


def test_the_main_job_has_a_baseline_and_a_student():
    assert [arm.role for arm in validated(Distill, MAIN).arms()] == ["baseline", "student"]


def test_without_labels_there_is_no_baseline():
    assert [arm.role for arm in validated(Distill, MAIN | {"labels": 0}).arms()] == ["student"]


def test_all_arms_in_order():
    arms = validated(Distill, MAIN | {"labels": 4, "control": "t2", "all_labels": True, "targets_alone": True}).arms()
    assert [arm.role for arm in arms] == [
        *("baseline", "student", "control", "targets alone"),
        *("all-labels", "all-labels student"),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": []}, "at least one seed"),
        ({"seeds": [1, 1]}, "twice"),
        ({"split": [0.5, 0.2, 0.2]}, "add up to 1"),
        ({"control": "x", "prompting": "boxes"}, "void"),
        ({"protocol": {"step": 5}}, "Did you mean 'steps'"),
    ],
)
def test_contradictions_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        validated(Distill, MAIN | change)


def test_a_broken_toml_file_is_named(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text("steps = = 3\n")
    with pytest.raises(ConfigError, match=r"study\.toml is not TOML.*line 1"):
        read_toml(path)
    with pytest.raises(ConfigError, match="no settings file"):
        read_toml(tmp_path / "none.toml")
