"""Two processes: the first does the work, the other joins its trainings."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import engine_child
import leading_child
import pytest
from torch.testing import assert_close

from segdistill.engine import lead, train
from segdistill.engine.checkpoint import load_checkpoint


def two_processes(what: str, folder: Path) -> list[tuple[int, str]]:
    """Return exit status and words of two processes, started as torchrun would, but by nobody who stops the others."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"TORCHELASTIC_RUN_ID": "test", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    common |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}
    started = [
        subprocess.Popen(
            [sys.executable, leading_child.__file__, what, str(folder)],
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank), "GROUP_RANK": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=240)[0] for process in started]
    return [(process.returncode, words) for process, words in zip(started, said, strict=True)]


@pytest.fixture(scope="module")
def led(tmp_path_factory):
    folder = tmp_path_factory.mktemp("led")
    return folder, two_processes("work", folder)


def test_the_first_does_the_work_and_the_other_goes_when_it_is_done(led):
    _, [(first, _), (second, _)] = led
    assert (first, second) == (7, 0)


@pytest.mark.parametrize("case", ["first", "second"])
def test_its_trainings_are_shared_and_learn_what_one_process_learns(led, tmp_path, notices, case):
    folder, _ = led
    train(engine_child.Uneven(""), tmp_path / "one", engine_child.uneven_plan(), notice=notices.append)
    alone, together = (load_checkpoint(each, notice=pytest.fail) for each in (tmp_path / "one", folder / case))
    assert_close(together["module"], alone["module"], rtol=1e-4, atol=1e-6)


def test_the_other_takes_its_samples_and_tells_of_its_memory_alone(led):
    folder, [(_, first), (_, second)] = led
    assert "the best so far" in first
    assert "Memory ran out" not in first
    assert "Process 1: Memory ran out with 2 samples" in second  # only who has samples can run out of memory
    assert "the best so far" not in second
    assert "seed was 3 and is now 99" in (folder / "refused").read_text()
    assert "seed was" not in second


def test_when_the_first_is_killed_the_other_does_not_wait(tmp_path):
    (first, _), (second, words) = two_processes("die", tmp_path)
    assert first == -9
    assert second == 3
    assert "The first process has gone" in words


def test_one_process_simply_works(notices):
    assert lead(lambda: 5, notice=notices.append) == 5
