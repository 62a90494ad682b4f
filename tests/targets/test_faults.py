"""Real processes: killed in the middle, without room, side by side."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from segdistill.targets import load_maps, open_store

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")

CHILD = """
import sys, time
import numpy as np
from pathlib import Path
from segdistill.data.image import Image
from segdistill.data.normalisation import FullRangeRule
from segdistill.data.sample import Sample
from segdistill.targets import Filling, create_store, fill_targets, new_header
from segdistill.teachers.contract import Contract

folder, pause, part, count = Path(sys.argv[1]), float(sys.argv[2]), eval(sys.argv[3]), 12

class Slow:
    contract = Contract(
        name="slow", channels=("a",), rule=FullRangeRule(), outputs=("cell",), weights_sha256="0", licence="MIT"
    )
    def maps(self, image, hint):
        print(hint.case, flush=True)
        time.sleep(pause)
        return image

def read(name):
    array = np.random.default_rng(int(name)).integers(0, 256, (1, 60, 90), dtype=np.uint8)
    image = Image(array, ("a",), None, name)
    return Sample(name, image, np.zeros((0, 60, 90), np.int32), np.zeros(0, bool), np.ones((60, 90), bool))

if len(sys.argv) > 4:
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), resource.RLIM_INFINITY))
store = create_store(folder, new_header(Slow.contract))
names = [str(number) for number in range(count)]
summary = fill_targets(store, Filling(teachers=[Slow()], names=names, read=read), part=part)
print("made", summary.made, "kept", summary.kept, "failed", len(summary.failed), flush=True)
"""


@pytest.fixture
def child(tmp_path):
    script = tmp_path / "child.py"
    script.write_text(CHILD)

    def start(folder, *, pause=0.0, part="(0, 1)", limit=()):
        command = [sys.executable, str(script), str(folder), str(pause), part, *map(str, limit)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


def assert_complete(folder):
    store = open_store(folder)
    assert len(store) == 12
    for case, key in store.described().items():
        wanted = np.random.default_rng(int(case)).integers(0, 256, (1, 60, 90), dtype=np.uint8) / 255
        assert load_maps(store.get(key)["maps"]) == pytest.approx(wanted, abs=1 / 4096)


@posix
def test_kill_in_the_middle_and_go_on(child, tmp_path):
    folder = tmp_path / "store"
    draw = np.random.default_rng(0)
    described = set()
    for _ in range(3):  # killed three times, each a little further on
        process = child(folder, pause=0.03)
        shown = [process.stdout.readline().strip() for _ in range(3)]
        time.sleep(float(draw.uniform(0, 0.04)))
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert "made" not in rest
        assert not described & set(shown)  # nothing sound was asked for again
        described = set(open_store(folder).described())
        assert len(described) >= 2
    out, err = child(folder).communicate(timeout=60)
    assert f"made {12 - len(described)} kept {len(described)} failed 0" in out, err
    assert_complete(folder)


@posix
def test_a_full_disk_stops_with_a_message_and_goes_on_with_room(child, tmp_path):
    folder = tmp_path / "store"
    process = child(folder, limit=[3 * 60 * 90 * 2 + 5000])  # three records of 60 x 90 halves fit into the file
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "EnvironmentFault: Targets cannot be written" in err
    assert "What was written before is safe" in err
    assert len(open_store(folder)) == 3
    out, err = child(folder).communicate(timeout=60)
    assert "made 9 kept 3 failed 0" in out, err
    assert_complete(folder)


def test_slices_side_by_side_make_the_whole(child, tmp_path):
    folder = tmp_path / "store"
    child(folder, part="(0, 2)").communicate(timeout=60)
    running = [child(folder, pause=0.01, part=f"({number}, 2)") for number in (0, 1)]
    told = [process.communicate(timeout=60) for process in running]
    assert "made 0 kept 6 failed 0" in told[0][0], told[0][1]
    assert "made 6 kept 0 failed 0" in told[1][0], told[1][1]
    assert_complete(folder)


@posix
def test_two_processes_of_one_slice_are_refused(child, tmp_path):
    first = child(tmp_path / "store", pause=5.0)
    first.stdout.readline()
    second = child(tmp_path / "store")
    _, err = second.communicate(timeout=60)
    first.kill()
    first.communicate()
    assert "Another run is using" in err


@posix
@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_told(child, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    _, err = child(tmp_path / "locked" / "store").communicate(timeout=60)
    assert "EnvironmentFault" in err


def test_importing_the_store_does_not_import_torch():
    code = "import sys, segdistill.targets; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
