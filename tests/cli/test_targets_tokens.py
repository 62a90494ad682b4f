"""`targets --tokens`: killed it goes on, views are recorded, what fails is listed, what has no tokens is refused."""

import signal
import subprocess
import sys
import time

import pytest

from segdistill.data.simulate import TissueSettings, write_tissue
from segdistill.objectives import load_moments
from segdistill.targets import drawn_views, open_store

PROGRAM = """
import sys, time
import numpy as np
from segdistill import cli, plugins
from segdistill.data.normalisation import FullRangeRule
from segdistill.teachers import Contract

class Slow:
    asked = 0
    contract = Contract(
        name="slow", channels=("nucleus",), rule=FullRangeRule(), outputs=("cell",), weights_sha256="0", licence="MIT",
        tokens={"squares": (8, 3)},
    )
    def maps(self, image, hint):
        raise AssertionError("no map was asked for")
    def tokens(self, image, names):
        time.sleep(float(sys.argv[1]))
        Slow.asked += 1
        if Slow.asked == int(sys.argv[2]):
            raise RuntimeError("no convergence")
        return {name: image[0, ::8, ::8, None] * np.array([1, 2, -3], np.float32) for name in names}

class Entry:
    name, value = "slow", "plugin:slow"
    def load(self):
        return lambda request: Slow()

plugins.entry_points = lambda group: [Entry()] if group == "segdistill.teachers" else []
cli.main(["targets", "--teacher", "slow", "--tokens", *sys.argv[3:]])
"""
COUNT, VIEWS = 8, 3


@pytest.fixture(scope="module")
def tissue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tissue")
    write_tissue(folder, count=COUNT, seed=2, settings=TissueSettings(height=48, width=64))
    return folder


def words(tissue, out, *more):
    return [
        *("--data", tissue, "--out", out, "--teacher-channels", "nucleus", "--label-kind", "instances"),
        *("--label-sets", "cell", *more),
    ]


def start(pause, failing, *arguments):
    command = [sys.executable, "-c", PROGRAM, str(pause), str(failing), *map(str, arguments), "--device", "cpu"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process, status=0):
    out, err = process.communicate(timeout=500)
    assert process.returncode == status, err
    return out, err


def content(folder):
    (place,) = folder.iterdir()
    store = open_store(place)
    return {key: store.get(key)["squares/values"].tobytes() for key in store.keys()}  # noqa: SIM118  (no mapping)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_killed_while_it_writes_it_goes_on_to_the_same_tokens(tissue, tmp_path):
    views = ("--views", VIEWS, "--view-seed", 4)
    out, err = finish(start(0, 0, *words(tissue, tmp_path / "whole", *views)))
    assert f"{COUNT - 1} of {COUNT} images to do: about " in err  # the cost comes first
    assert f"Described now: {COUNT}; there before: 0; failed: 0." in out
    assert "Stored as int8: cosine to the teacher's own tokens 0.99" in out
    assert "squares: " in out
    broken = tmp_path / "broken"
    process = start(0.1, 0, *words(tissue, broken, *views))
    deadline = time.monotonic() + 500
    while sum(len(index.read_text().splitlines()) for index in broken.rglob("*.jsonl")) < 2 * VIEWS + 1:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = len(open_store(next(broken.iterdir())))
    assert before < COUNT * VIEWS
    out, _ = finish(start(0, 0, *words(tissue, broken, *views)))
    made = int(out.partition("Described now: ")[2].partition(" ")[0].rstrip(";"))
    assert 1 <= made <= COUNT - before // VIEWS
    assert content(broken) == content(tmp_path / "whole")
    store = open_store(next(broken.iterdir()))
    assert store.header.views == drawn_views(VIEWS, seed=4)
    assert (store.header.outputs, store.header.tokens) == ((), ("squares",))
    moments = load_moments(store.folder / "squares.moments.safetensors")
    grids = [store.tokens(key, "squares").shape for key in content(broken)]
    assert moments.count == sum(height * width for height, width, _ in grids)
    assert len(moments.mean) == 3


def test_a_teacher_that_fails_on_an_image_says_so_of_it_alone(tissue, tmp_path):
    out, err = finish(start(0, 3, *words(tissue, tmp_path / "out")), status=1)
    assert f"Described now: {COUNT - 1}; there before: 0; failed: 1." in out
    assert "  tissue_0002: RuntimeError: no convergence" in out
    assert "No targets for tissue_0002" in err
    out, _ = finish(start(0, 0, *words(tissue, tmp_path / "out")))
    assert f"Described now: 1; there before: {COUNT - 1}; failed: 0." in out


def test_what_would_be_ignored_or_is_not_there_is_refused(run, tissue, tmp_path):
    def refused(*more, teacher="sam-tiny-tissue-control"):
        done = run("targets", *words(tissue, tmp_path / "out", *more), "--teacher", teacher, "--device", "cpu")
        assert done.status == 2
        assert not (tmp_path / "out").exists()
        return done.err

    assert "views is void without tokens" in refused("--views", 2)
    assert "maps is void with tokens" in refused("--tokens", "--maps", "uint8")
    assert "prompting is void with tokens" in refused("--tokens", "--prompting", "grid")
    assert "turned_views is void with one view" in refused("--tokens", "--no-turned-views")
    assert "no token grid of sam-tiny-tissue-control called 'hidden.9'" in refused(
        "--tokens", "--token-grids", "hidden.9"
    )
    assert "gives no tokens. Its contract: channels none" in refused("--tokens", teacher="blurred:2")
