"""A run under way: what every part of the loop needs to know of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.fabric import Fabric
from torch.optim import AdamW

from segdistill.engine import best, checkpoint, log
from segdistill.engine.average import Average
from segdistill.engine.best import Best, read_best
from segdistill.engine.checkpoint import load_checkpoint
from segdistill.engine.memory import Memory
from segdistill.engine.notice import unheard
from segdistill.engine.plan import Plan
from segdistill.engine.problem import Problem
from segdistill.engine.processes import first_says
from segdistill.engine.room import check_room
from segdistill.engine.state import State


@dataclass(kw_only=True)
class Run:
    """A problem, a plan and a folder, with the state that they have come to."""

    problem: Problem
    plan: Plan
    folder: Path
    fabric: Fabric
    module: Any
    """The problem's module, wrapped by Fabric for precision and processes."""
    optimizer: Any
    """The optimiser, wrapped likewise."""
    peaks: list[float]
    """Highest learning rate of each parameter group."""
    state: State
    memory: Memory
    best: Best | None
    """The best weights so far; None before the first."""
    notice: Callable[[str], None]
    """Tells a person one line; silent in all processes but the first."""


def begin(problem: Problem, plan: Plan, folder: Path, fabric: Fabric, *, notice: Callable[[str], None]) -> Run:
    """Return a run ready for its next step: the first, or the one after its newest checkpoint.

    Args:
        problem: Its module is moved to the device.
        plan: Of this run.
        folder: Of this run, held by the first process.
        fabric: Launched.
        notice: Told one line at a time. Other processes than the first tell only of their memory.

    Raises:
        ConfigError: The folder's checkpoint came from other settings or another network.
        DataError: No checkpoint of the folder is whole.
        EnvironmentFault: There is not enough room on the disk.
    """
    first, rank = fabric.is_global_zero, fabric.global_rank
    module = fabric.setup_module(problem.module)
    module.train()
    scaler = getattr(fabric.strategy.precision, "scaler", None)
    # Fused is a tenth of a step faster, but takes the scaler's work upon itself and so forbids clipping.
    adamw = AdamW(problem.parameter_groups(), lr=plan.learning_rate, fused=scaler is None)
    run = Run(
        problem=problem,
        plan=plan,
        folder=folder,
        fabric=fabric,
        module=module,
        optimizer=fabric.setup_optimizers(adamw),
        peaks=[group["lr"] for group in adamw.param_groups],
        state=State(
            module=problem.module,
            optimizer=adamw,
            average=Average(problem.module, plan.ema),
            scaler=scaler,
        ),
        memory=Memory(plan.micro_batch, notice=notice if first else lambda text: notice(f"Process {rank}: {text}")),
        best=None,
        notice=notice if first else unheard,
    )
    _resume(run)
    return run


def _resume(run: Run) -> None:
    content = first_says(run.fabric, lambda: load_checkpoint(run.folder, notice=run.notice))
    if content is not None:
        run.state.restore(content, run.plan, source=str(run.folder))
    if run.state.step == run.plan.steps:
        run.notice(f"{run.folder}: all {run.plan.steps} steps were done before.")
    elif content is not None:
        run.notice(f"{run.folder}: going on after step {run.state.step} of {run.plan.steps}.")
    if run.fabric.is_global_zero:
        run.best = _tidy(run, began=content is not None)
    if run.state.step < run.plan.steps:
        first_says(run.fabric, lambda: check_room(run.folder, run.state.module))


def _tidy(run: Run, *, began: bool) -> Best | None:
    """Drop what lies beyond the checkpoint, and return what is the best of the rest."""
    for name in (checkpoint.NEWEST, best.NAME, log.NAME):
        (run.folder / f"{name}.partial").unlink(missing_ok=True)
    log.cut(run.folder, run.state.step)
    if not began:  # weights of a run that never came to a checkpoint, perhaps with other settings
        (run.folder / best.NAME).unlink(missing_ok=True)
    return read_best(run.folder, notice=run.notice)
