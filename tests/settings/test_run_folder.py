import json
import subprocess
import sys

import pytest

from segdistill.errors import ConfigError, EnvironmentFault
from segdistill.settings import Arm, Distill, Protocol, Settings, Study, TeacherSpec, open_run, validated
from segdistill.settings.private import hidden
from segdistill.settings.run_folder import claim_settings

HOLD = """
import sys, time
from pathlib import Path
from segdistill.settings import Arm, Distill, Protocol, Settings, Study, TeacherSpec, open_run, validated
with open_run(Path(sys.argv[1]), {"steps": 3}):
    print("held", flush=True)
    sys.stdin.readline()
"""


def begin(folder, settings):
    """A run that left something."""
    with open_run(folder, settings):
        (folder / "arms").mkdir()


def test_a_second_run_is_refused_while_the_first_lives_and_taken_when_it_is_killed(tmp_path):
    folder = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with pytest.raises(EnvironmentFault, match=f"process {first.pid}"), open_run(folder, {"steps": 3}):
            pass
        first.kill()
        first.wait()
    with open_run(folder, {"steps": 3}) as run:
        assert run.resumed


def test_other_settings_are_refused_and_every_difference_named(tmp_path):
    begin(tmp_path / "run", {"protocol": {"steps": 3, "crop": 8}, "device": "cpu"})
    with (
        pytest.raises(ConfigError, match=r"protocol\.crop: 8 there, 9 here\n  protocol\.steps: 3 there, 4 here"),
        open_run(
            tmp_path / "run", {"protocol": {"steps": 4, "crop": 9}, "device": "cuda"}, ignoring=frozenset({"device"})
        ),
    ):
        pass


def test_a_folder_in_which_nothing_came_of_the_first_call_takes_other_settings(tmp_path):
    with pytest.raises(ConfigError, match="no such channel"), open_run(tmp_path / "run", {"channel": "nucleas"}):
        raise ConfigError("no such channel")
    with open_run(tmp_path / "run", {"channel": "nucleus"}) as run:
        assert not run.resumed
    assert json.loads((tmp_path / "run" / "settings.json").read_text()) == {"channel": "nucleus"}
    (tmp_path / "run" / "arms").mkdir()
    with pytest.raises(ConfigError, match="nucleus there, nucleas here"):
        begin(tmp_path / "run", {"channel": "nucleas"})


def test_what_teachers_said_stays_true_under_other_settings(tmp_path):
    with pytest.raises(ConfigError, match="no such teacher"), open_run(tmp_path / "run", {"control": "nope"}):
        raise ConfigError("no such teacher")
    said = tmp_path / "run" / "targets" / "0a1b" / "record"
    said.parent.mkdir(parents=True)
    said.write_text("said", encoding="utf-8")
    begin(tmp_path / "run", {"control": "right"})
    assert said.read_text(encoding="utf-8") == "said"
    assert json.loads((tmp_path / "run" / "settings.json").read_text(encoding="utf-8")) == {"control": "right"}


def test_a_setting_that_cannot_change_the_result_may_differ(tmp_path):
    with open_run(tmp_path / "run", {"device": "cpu"}):
        pass
    with open_run(tmp_path / "run", {"device": "cuda"}, ignoring=frozenset({"device"})) as run:
        assert run.resumed


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.doc").write_text("years of work")
    with pytest.raises(ConfigError, match=r"holds no run \(thesis\.doc\)"), open_run(tmp_path, {}):
        pass
    assert (tmp_path / "thesis.doc").read_text() == "years of work"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match="cannot be made"), open_run(tmp_path / "file" / "run", {}):
        pass


class Crop(Settings):
    side: int = 256
    stride: int = 16


class Job(Settings):
    out: str
    crop: Crop
    private: bool = False
    names: dict[str, str] | None = None


def job(**values):
    return Job.model_validate({"out": "o", "crop": {}, **values})


def go_on(folder, settings):
    with open_run(folder, settings.resolved(), defaults=Job.defaults()) as run:
        return run.resumed


def test_a_folder_of_before_a_setting_existed_counts_as_having_its_default(tmp_path):
    begin(tmp_path / "run", {"out": "o", "crop": {"side": 256}})  # neither crop.stride, private nor names were known
    assert go_on(tmp_path / "run", job())
    with pytest.raises(ConfigError, match=r"\n  private: False there, True here\n"):
        go_on(tmp_path / "run", job(private=True))
    with pytest.raises(ConfigError, match=r"\n  crop\.stride: 16 there, 8 here\n"):
        go_on(tmp_path / "run", job(crop={"stride": 8}))
    with pytest.raises(ConfigError, match=r"\n  names\.1: not set there, liver here\n"):
        go_on(tmp_path / "run", job(names={"1": "liver"}))


def test_what_a_folder_says_is_never_replaced_by_a_default(tmp_path):
    begin(tmp_path / "run", job(private=True, crop={"side": 64}).resolved())
    with pytest.raises(ConfigError, match=r"crop\.side: 64 there, 256 here\n  private: True there, False here"):
        go_on(tmp_path / "run", job())


def test_what_must_be_given_and_what_is_no_longer_known_still_differ(tmp_path):
    begin(tmp_path / "run", {"crop": {}, "shape": "square"})
    with pytest.raises(ConfigError, match=r"out: not set there, o here\n  shape: square there, not set here"):
        go_on(tmp_path / "run", job())


def test_a_part_that_was_left_out_is_not_one_of_defaults(tmp_path):
    begin(tmp_path / "run", {**job().resolved(), "crop": None})
    with pytest.raises(ConfigError, match=r"crop\.side: not set there, 256 here"):
        go_on(tmp_path / "run", job())


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (Distill, {"data": "d", "out": "o", "teacher": "blurred:2", "student_channels": ["n"]}),
        (Study, {"data": "d", "out": "o", "student_channels": ["n"], "arms": [{"name": "baseline"}]}),
        (Arm, {"name": "a", "role": "baseline"}),
        (TeacherSpec, {"teacher": "blurred:2"}),
        (Protocol, {}),
    ],
)
def test_defaults_are_what_settings_resolve_to_where_nothing_is_given(kind, given):
    resolved = validated(kind, given).resolved()
    assert kind.defaults() == {name: value for name, value in resolved.items() if name not in given}


def test_a_path_that_was_kept_openly_is_hidden_when_its_run_goes_on(tmp_path):
    begin(tmp_path / "run", {"transfer": "clinic/Ann", "steps": 3})
    with open_run(tmp_path / "run", {"transfer": hidden("clinic/Ann"), "steps": 3}) as run:
        assert run.resumed
    assert json.loads((tmp_path / "run" / "settings.json").read_text()) == {
        "transfer": hidden("clinic/Ann"),
        "steps": 3,
    }
    with (
        pytest.raises(ConfigError, match="transfer"),
        open_run(tmp_path / "run", {"transfer": hidden("b"), "steps": 3}),
    ):
        pass


def test_private_settings_hide_paths_of_the_data_and_no_word_that_is_spelt_like_one():
    usual = {"student_channels": ("cells",), "teacher": "t", "teacher_channels": ("cells",), "private": True}
    values = validated(Distill, {**usual, "data": "cells", "out": "cells/run", "targets": "stores"}).resolved()
    assert values["student_channels"] == ["cells"]
    assert (values["data"], values["out"], values["targets"]) == (hidden("cells"), hidden("cells/run"), "stores")


@pytest.mark.parametrize(
    "left",
    [(), ("data.json",), ("data.json", "data_check.json"), ("data.json.partial",), ("teachers/full/settings.json",)],
)
def test_a_folder_of_which_nothing_came_takes_corrected_settings_as_often_as_one_errs(tmp_path, left):
    folder = tmp_path / "run"
    for number in range(3):
        with open_run(folder, {"steps": number}) as run:
            assert not run.resumed
            for name in left:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text("{}", encoding="utf-8")
    with open_run(folder, {"steps": 2}) as run:
        assert run.resumed
    assert json.loads((folder / "settings.json").read_text(encoding="utf-8")) == {"steps": 2}


def test_a_folder_with_somebodys_data_file_and_no_settings_is_left_alone(tmp_path):
    (tmp_path / "data.json").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"is not empty and holds no run \(data.json\)"), open_run(tmp_path, {}):
        pass
    assert (tmp_path / "data.json").read_text(encoding="utf-8") == "mine"


def test_what_is_asked_of_a_part_of_a_run_may_change_until_something_came_of_the_run(tmp_path):
    part = tmp_path / "teachers" / "full"
    assert not claim_settings(part, {"teacher": "mistyped"}, within=tmp_path)
    assert not claim_settings(part, {"teacher": "right"}, within=tmp_path)
    assert claim_settings(part, {"teacher": "right"}, within=tmp_path)
    (tmp_path / "arms").mkdir()
    with pytest.raises(ConfigError, match="teacher: right there, other here"):
        claim_settings(part, {"teacher": "other"}, within=tmp_path)
