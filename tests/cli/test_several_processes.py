"""Commands as torchrun starts them: trained together, divided, or refused."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from segdistill.data.simulate import TissueSettings, write_tissue

TEACHER = ("--label-kind", "instances", "--teacher", "sam-tiny-tissue", "--teacher-channels", "nucleus", "membrane")
STUDENT = ("--student", "unet-tiny", "--student-channels", "nucleus", "--labels", "2")
PROTOCOL = ("--protocol.steps", "4", "--protocol.batch-size", "2", "--protocol.crop", "32", "--protocol.ema", "0.9")


def together(*words: object) -> subprocess.CompletedProcess[str]:
    """Run a command as two processes."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}
    command = [*launcher, "-m", "segdistill", *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def tissue(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tissue")
    write_tissue(folder, count=8, seed=5, settings=TissueSettings(height=64, width=80))
    return folder


@pytest.fixture(scope="module")
def filled(tissue, tmp_path_factory):
    """Targets, made by two processes."""
    folder = tmp_path_factory.mktemp("targets")
    return folder, together("targets", "--data", tissue, *TEACHER, "--out", folder)


def test_targets_are_divided(filled):
    folder, done = filled
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Described now: 4;") == 2
    assert sorted(path.name for path in folder.glob("*/slice-*")) == ["slice-0-of-2", "slice-1-of-2"]


def test_a_run_is_trained_together_and_written_once(tissue, filled, tmp_path):
    out = tmp_path / "run"
    done = together("distill", "--data", tissue, *TEACHER, *STUDENT, *PROTOCOL, "--targets", filled[0], "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Report: ") == 1
    assert "Targets of" not in done.stderr  # two processes had said what the teacher says
    assert json.loads((out / "run.json").read_text())["facts"]["Machine"]["processes"] == "2"
    with (out / "scores.csv").open() as file:
        rows = [(row["arm"], row["field"], row["structure"], row["metric"]) for row in csv.DictReader(file)]
    assert len(rows) == len(set(rows)) > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predict", "nowhere", "nothing", "--out", "out"], "torchrun started 2 processes, but `predict` is a command"),
        (["targets", "--shard", "1/2"], "shard is 1/2, but torchrun started 2 processes"),
        (["targets", "--verify"], "verifying takes one"),
    ],
)
def test_what_one_process_must_do_is_refused(run, monkeypatch, tissue, tmp_path, words, message):
    launched = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "0", "RANK": "0"}
    for name, value in launched.items():
        monkeypatch.setenv(name, value)
    if words[0] == "targets":
        words = [*words, "--data", tissue, *TEACHER, "--out", tmp_path / "targets"]
    outcome = run(*words)
    assert outcome.status == 2
    assert message in outcome.err
