# ruff: noqa: ARG005  (a problem's methods have the arguments that the loop gives them)
"""What child processes of the engine's tests do; also a script, for torchrun."""

import os
import resource
import signal
import sys
from pathlib import Path

import torch
from engine_toy import Toy, plan

from segdistill.engine import train
from segdistill.errors import ConfigError, EnvironmentFault, TrainingStopped

NET = {"norm": True, "dropout": 0.4}
PLAN = {"steps": 24, "checkpoint_every": 5, "validate_every": 4, "log_every": 2, "micro_batch": 4}


class Watched(Toy):
    """Writes each step to a journal as it begins; sends itself a signal at one place in one step."""

    def __init__(self, journal: Path, place: str = "", at: int = -1, number: int = signal.SIGKILL, **net) -> None:
        super().__init__(**net)
        self.journal, self.place, self.at, self.number = journal, place, at, number
        self.step = -1

    def _here(self, place: str, step: int) -> None:
        if (place, step) == (self.place, self.at):
            self.place = ""  # once
            os.kill(os.getpid(), self.number)

    def batch(self, step, rank, world):
        self._here("prefetch", step)
        return super().batch(step, rank, world)

    def collate(self, samples, step, device):
        if step != self.step:
            self.step = step
            with self.journal.open("a") as file:
                file.write(f"{step}\n")
        return super().collate(samples, step, device)

    def terms(self, module, batch, totals):
        terms = super().terms(module, batch, totals)
        self._here("terms", self.step)
        return terms

    def validate(self, module, step):
        self._here("validate", step)
        return super().validate(module, step)


def kill_at_call(module, name: str, count: int) -> None:
    """Die in the count-th call from now of one function."""
    function = getattr(module, name)
    calls = iter(range(1, sys.maxsize))

    def counted(*args, **kwargs):
        if next(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    setattr(module, name, counted)


def run(
    folder: str, place: str = "", at: int = -1, number: int = signal.SIGKILL, limit: int = 0, ballast: int = 0
) -> None:
    """Train in ``folder``, perhaps to be stopped; exit with the error's status and leave its message."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if place == "fsync":
        kill_at_call(os, "fsync", at)
    elif place == "replace":
        kill_at_call(Path, "replace", at)
    problem = Watched(Path(f"{folder}.journal"), place, at, number, **NET)
    problem.module.ballast = torch.zeros(ballast)
    try:
        train(problem, Path(folder), plan(**PLAN), notice=lambda text: None)
    except (TrainingStopped, EnvironmentFault) as error:
        Path(f"{folder}.message").write_text(str(error))
        sys.exit(error.status)


class Uneven(Toy):
    """Seven samples, so two processes share them four to three; in the second one things may happen."""

    def __init__(self, fault: str) -> None:
        super().__init__(batch=7)
        self.fault, self.second = fault, False

    def batch(self, step, rank, world):
        self.second = rank == 1
        return super().batch(step, rank, world)

    def terms(self, module, batch, totals):
        terms = super().terms(module, batch, totals)
        fault, self.fault = (self.fault, "") if self.second else ("", self.fault)
        if fault == "memory":
            raise torch.OutOfMemoryError("CUDA out of memory")
        if fault == "signal":
            os.kill(os.getpid(), signal.SIGTERM)
        if fault == "nan":
            self.fault = fault  # and again, in every step
            return {name: term * torch.nan for name, term in terms.items()}
        return terms


def uneven_plan(**settings):
    return plan(batch_size=7, micro_batch=2, log_every=1, **settings)


def run_uneven(folder: Path, fault: str, **settings) -> None:
    """Train, and leave beside the folder what this process was told and raised."""
    told = []
    try:
        train(Uneven(fault), folder, uneven_plan(**settings), notice=told.append)
    except (TrainingStopped, ConfigError) as error:
        told.append(str(error))
    rank = os.environ.get("RANK", "0")
    folder.with_name(f"{folder.name}.{rank}").write_text("\n".join(told))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for case in ("", "memory", "nan", "signal", "signal"):
        run_uneven(Path(sys.argv[1]) / (case or "plain"), case)
    run_uneven(Path(sys.argv[1]) / "signal", "", seed=99)
