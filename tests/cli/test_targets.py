import signal
import subprocess
import sys
import time

import pytest

from segdistill.data.simulate import TissueSettings, write_tissue
from segdistill.targets import open_store

PROGRAM = """
import sys, time
import numpy as np
from segdistill import cli, plugins
from segdistill.data.normalisation import FullRangeRule
from segdistill.teachers import Contract

class Slow:
    contract = Contract(
        name="slow", channels=("nucleus",), rule=FullRangeRule(), outputs=("cell",), weights_sha256="0", licence="MIT"
    )
    def maps(self, image, hint):
        time.sleep(float(sys.argv[1]))
        return image

class Entry:
    name, value = "slow", "plugin:slow"
    def load(self):
        return lambda request: Slow()

plugins.entry_points = lambda group: [Entry()] if group == "segdistill.teachers" else []
cli.main(["targets", "--teacher", "slow", *sys.argv[2:]])
"""
COUNT = 12


@pytest.fixture(scope="module")
def tissue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tissue")
    write_tissue(folder, count=COUNT, seed=2, settings=TissueSettings(height=48, width=64))
    return folder


def words(tissue, out):
    return ["--data", tissue, "--out", out, "--teacher-channels", "nucleus", "--label-kind", "instances"]


def start(pause, *arguments):
    command = [sys.executable, "-c", PROGRAM, str(pause), *map(str, arguments), "--device", "cpu"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process, status=0):
    out, err = process.communicate(timeout=300)
    assert process.returncode == status, err
    return out, err


def content(folder):
    (place,) = folder.iterdir()
    store = open_store(place)
    assert set(store.described()) == {f"tissue_{number:04}" for number in range(COUNT)}
    return {key: store.get(key)["maps"].tobytes() for key in store.described().values()}


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_killed_while_it_writes_it_goes_on_to_the_same_records(tissue, tmp_path):
    out, err = finish(start(0, *words(tissue, tmp_path / "whole")))
    assert f"{COUNT - 1} of {COUNT} images to do: about " in err  # the cost comes first
    assert f"Described now: {COUNT}; there before: 0; failed: 0." in out
    broken = tmp_path / "broken"
    process = start(0.2, *words(tissue, broken))
    deadline = time.monotonic() + 300
    while sum(len(index.read_text().splitlines()) for index in broken.rglob("*.jsonl")) < 3:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = len(open_store(next(broken.iterdir())))
    assert 3 <= before < COUNT
    out, _ = finish(start(0, *words(tissue, broken)))
    assert f"Described now: {COUNT - before}; there before: {before}; failed: 0." in out
    assert content(broken) == content(tmp_path / "whole")


def test_shards_make_the_whole_and_verify_finds_damage(run, tissue, tmp_path):
    common = ["targets", *words(tissue, tmp_path), "--teacher", "sam-tiny-tissue-control", "--device", "cpu"]
    for shard in ("1/2", "2/2"):
        done = run(*common, "--label-sets", "cell", "--shard", shard)
        assert (done.status, f"Described now: {COUNT // 2};" in done.out) == (0, True)
    assert len(content(tmp_path)) == COUNT
    done = run(*common, "--label-sets", "cell", "--verify")
    assert done.status == 0
    assert f"{COUNT} records, 0 damaged.\n1 made again, 0 differ" in done.out
    shard = next(tmp_path.rglob("*.bin"))
    sound = shard.read_bytes()
    shard.write_bytes(bytes([sound[0] ^ 255]) + sound[1:])
    done = run(*common, "--label-sets", "cell", "--verify")
    assert (done.status, f"{COUNT} records, 1 damaged." in done.out) == (1, True)


def test_an_image_that_cannot_be_read_is_listed_and_the_status_says_so(run, tmp_path):
    write_tissue(tmp_path / "data", count=2, seed=2, settings=TissueSettings(height=48, width=64))
    (tmp_path / "data/images/tissue_0000.ome.tif").write_bytes(b"II*\0 not a picture")
    common = ["targets", *words(tmp_path / "data", tmp_path / "out"), "--label-sets", "cell", "--device", "cpu"]
    done = run(*common, "--teacher", "sam-tiny-tissue-control")
    assert done.status == 1
    assert "Described now: 1; there before: 0; failed: 1.\n" in done.out
    assert "  tissue_0000: DataError: " in done.out


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "-1/2"])
def test_a_shard_that_does_not_exist_is_refused(run, tissue, tmp_path, shard):
    done = run("targets", *words(tissue, tmp_path), "--teacher", "sam-tiny-tissue", f"--shard={shard}")
    assert done.status == 2
    assert "--shard: must be k/n" in done.err


def test_a_channel_that_no_image_has_is_refused_before_the_teacher_is_asked(run, tissue, tmp_path):
    words = ["--data", tissue, "--out", tmp_path / "out", "--label-kind", "instances", "--device", "cpu"]
    done = run("targets", *words, "--teacher", "sam-tiny-tissue", "--teacher-channels", "nucleus", "membran")
    assert done.status == 2
    assert "No image has the channel 'membran' that the teacher is to see." in done.err
    assert "Did you mean 'membrane'? It has: nucleus, membrane." in done.err
    assert "No targets for" not in done.err
    assert not (tmp_path / "out").exists()
