"""Two processes on the CPU, started by torchrun, learn what one does."""

import os
import subprocess
import sys
from pathlib import Path

import engine_child
import pytest
from engine_toy import assert_equal
from safetensors.torch import load_file
from torch.testing import assert_close

from segdistill.engine import read_log, train
from segdistill.engine.checkpoint import load_checkpoint


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Runs by the same two processes: undisturbed; out of memory, NaN, twice SIGTERM in the second one; refused."""
    folder = tmp_path_factory.mktemp("two")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}
    command = [*launcher, engine_child.__file__, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def one(tmp_path, notices):
    train(engine_child.Uneven(""), tmp_path / "one", engine_child.uneven_plan(), notice=notices.append)
    return tmp_path / "one"


def checkpoint(folder: Path):
    return load_checkpoint(folder, notice=pytest.fail)


@pytest.mark.parametrize("case", ["plain", "memory"])
def test_two_processes_learn_what_one_does(two, one, case):
    assert_close(checkpoint(two / case)["module"], checkpoint(one)["module"], rtol=1e-4, atol=1e-6)
    assert_close(load_file(two / case / "best.safetensors"), load_file(one / "best.safetensors"), rtol=1e-4, atol=1e-6)
    lines = [(line["step"], line["loss"], line["terms"]) for line in read_log(two / case) if "loss" in line]
    expected = [(line["step"], line["loss"], line["terms"]) for line in read_log(one) if "loss" in line]
    for (step, loss, terms), (other_step, other_loss, other_terms) in zip(lines, expected, strict=True):
        assert step == other_step
        assert loss == pytest.approx(other_loss, rel=1e-4)
        assert terms == pytest.approx(other_terms, rel=1e-4)


def test_only_the_first_process_speaks_but_for_memory(two):
    assert "the best so far" in (two / "plain.0").read_text()
    assert (two / "plain.1").read_text() == ""
    assert "Memory" not in (two / "memory.0").read_text()
    assert (two / "memory.1").read_text().startswith("Process 1: Memory ran out with 2 samples")


def test_a_nan_in_one_process_stops_both_and_names_its_files_only(two):
    messages = [(two / f"nan.{rank}").read_text().splitlines()[-1] for rank in range(2)]
    assert messages[0] == messages[1]
    problem = engine_child.Uneven("")
    files = [[f"field_{index}.tif" for index, _ in problem.batch(2, rank, 2)] for rank in range(2)]
    named = messages[0].split("files of this step: ")[1].split(". If")[0].split(", ")
    assert named == files[1]
    assert checkpoint(two / "nan")["step"] == 0


def test_a_signal_to_one_process_stops_both_and_the_same_command_goes_on(two):
    # The first run stopped after step 1, the second after step 2, each with a checkpoint of both processes' work.
    content = checkpoint(two / "signal")
    assert content["step"] == 2
    losses = [[line["loss"] for line in read_log(two / case) if "loss" in line][:2] for case in ("signal", "plain")]
    assert_equal(losses[0], losses[1])


def test_a_refusal_by_the_first_process_is_one_by_all(two):
    for rank in range(2):
        assert "seed was 3 and is now 99" in (two / f"signal.{rank}").read_text()
