import subprocess
import sys

import pytest

from segdistill.errors import ConfigError, EnvironmentFault
from segdistill.settings import open_run

HOLD = """
import sys, time
from pathlib import Path
from segdistill.settings import open_run
with open_run(Path(sys.argv[1]), {"steps": 3}):
    print("held", flush=True)
    sys.stdin.readline()
"""


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
    with open_run(tmp_path / "run", {"protocol": {"steps": 3, "crop": 8}, "device": "cpu"}):
        pass
    with (
        pytest.raises(ConfigError, match=r"protocol\.crop: 8 there, 9 here\n  protocol\.steps: 3 there, 4 here"),
        open_run(
            tmp_path / "run", {"protocol": {"steps": 4, "crop": 9}, "device": "cuda"}, ignoring=frozenset({"device"})
        ),
    ):
        pass


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
