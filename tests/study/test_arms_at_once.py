import json
import os
import subprocess
import sys

import pytest
from safetensors.numpy import load_file
from study_usual import plan

from segdistill.errors import ConfigError
from segdistill.settings import Distill, Protocol
from segdistill.study.arms import DONE
from segdistill.study.main_job import distill

PROGRAM = """
import sys
import torch
from segdistill.settings import {kind}
from segdistill.study.{module} import {call}

if __name__ == "__main__":
    torch.set_num_threads(1)
    {call}({kind}.model_validate_json(open(sys.argv[1]).read()), notice=print)
"""


def run(settings, path, module):
    kind, call = type(settings).__name__, type(settings).__name__.lower()
    script = path.with_suffix(".py")
    script.write_text(PROGRAM.format(kind=kind, call=call, module=module))
    path.write_text(settings.model_dump_json(exclude_unset=True))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, script, path], check=True, capture_output=True, text=True, env=environment)
    return done.stdout


@pytest.fixture
def two_seeds(tissue, tmp_path):
    """Settings of a run with two seeds."""

    def settings(name, at_once):
        return Distill(
            data=tissue,
            out=tmp_path / name,
            label_sets=("cell",),
            label_kind="instances",
            teacher="sam-tiny-tissue",
            teacher_channels=("nucleus", "membrane"),
            student="unet-tiny",
            student_channels=("nucleus",),
            seeds=(0, 1),
            protocol=Protocol(steps=8, batch_size=2, crop=32, validations=2),
            device="cpu",
            at_once=at_once,
        )

    return settings


def test_arms_side_by_side_are_those_one_after_another(two_seeds, tmp_path):
    one, both = two_seeds("one", 1), two_seeds("both", 2)
    assert "student, seed 1: step 8/8" in run(one, tmp_path / "one.json", "main_job")
    told = run(both, tmp_path / "both.json", "main_job")
    assert "student, seed 1: step 8/8" in told
    for arm, seed in (("baseline", 0), ("baseline", 1), ("student", 0), ("student", 1)):
        first, second = (settings.out / "arms" / arm / str(seed) for settings in (one, both))
        ours, theirs = (load_file(folder / "model" / "model.safetensors") for folder in (first, second))
        assert all((ours[name] == theirs[name]).all() for name in theirs)
        assert json.loads((second / DONE).read_text())["facts"]["energy"]["beside"] == 1
    assert (one.out / "scores.csv").read_bytes() == (both.out / "scores.csv").read_bytes()
    assert "2 were under way at once" in (both.out / "report.html").read_text(encoding="utf-8")
    assert "under way at once" not in (one.out / "report.html").read_text(encoding="utf-8")


def test_a_run_may_go_on_with_more_at_once_and_does_what_is_missing_alone(two_seeds):
    distill(two_seeds("run", 1).model_copy(update={"seeds": (0,)}))
    folder = two_seeds("run", 2).out / "arms" / "student"
    before = (folder / "0" / DONE).stat().st_mtime_ns
    told = []
    distill(two_seeds("run", 2), notice=told.append)
    assert (folder / "0" / DONE).stat().st_mtime_ns == before
    assert (folder / "1" / DONE).exists()
    assert not any(line.startswith("student, seed 0: step") for line in told)


def test_a_study_side_by_side_is_that_of_one_process(tissue, tmp_path):
    one, both = (plan(tissue, tmp_path / name, at_once=count) for name, count in (("one", 1), ("both", 2)))
    run(one, tmp_path / "one.json", "study_job")
    run(both, tmp_path / "both.json", "study_job")
    scores = [
        {
            str(path.relative_to(settings.out)): json.loads(path.read_text())["records"]
            for path in settings.out.glob(f"*/arms/*/*/{DONE}")
        }
        for settings in (one, both)
    ]
    assert len(scores[0]) == 4
    assert scores[0] == scores[1]


def test_one_of_several_processes_refuses_it(two_seeds, monkeypatch):
    for name, value in {"NUM_TASKS": "2", "NUM_NODES": "1"}.items():
        monkeypatch.setenv(f"SLURM_STEP_{name}", value)
    monkeypatch.setenv("SLURM_LOCALID", "0")
    monkeypatch.setenv("SLURM_PROCID", "0")
    settings = two_seeds("run", 2)
    with pytest.raises(ConfigError, match="at_once is 2, but srun started 2 processes"):
        distill(settings)
    assert not settings.out.exists()
