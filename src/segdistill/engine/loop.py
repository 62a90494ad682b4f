"""The training loop: the only one. Distilling, adapting, pre-training and diffusion bring it their problem.

Read it from the top: ``train`` joins the processes, takes the folder, goes through the steps and
finishes. After each step the run is logged, judged, validated and kept, in this order: whatever
a checkpoint says was done is then also in the log and among the best weights.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any

from lightning.fabric import Fabric
from torch import Tensor

from segdistill.engine.best import Best, read_best_values
from segdistill.engine.followers import call_followers
from segdistill.engine.judge import judge
from segdistill.engine.launch import launch
from segdistill.engine.lock import held
from segdistill.engine.meter import Meter
from segdistill.engine.outcome import Outcome
from segdistill.engine.plan import Plan
from segdistill.engine.prefetch import Prefetch
from segdistill.engine.problem import Problem
from segdistill.engine.processes import first_says
from segdistill.engine.progress import Show, shown, unshown
from segdistill.engine.record import keep, keep_best, log_step, validate
from segdistill.engine.run import Run, begin
from segdistill.engine.signals import StopSignals
from segdistill.engine.step import Verdict, take_step
from segdistill.engine.weights import load_values
from segdistill.errors import TrainingStopped


def train(problem: Problem, folder: Path, plan: Plan, *, notice: Callable[[str], None]) -> Outcome:
    """Train a problem's module, or go on with it, or read back what a finished run left.

    Args:
        problem: What is to be learnt.
        folder: Where the run lies, and nothing else: checkpoints, best weights, log. New, or one that the same
            plan began: then the run goes on after its newest checkpoint. On a CPU with as many threads it ends
            with the very same weights as if it had never stopped; on a GPU, within the rounding of its kernels.
        plan: How long, how fast, where.
        notice: Told one line at a time what a person should know. The first process speaks for all.

    Returns:
        The outcome. The problem's module holds the best averaged weights, in evaluation mode.

    Raises:
        ConfigError: The plan cannot be followed here, or the folder was begun with another plan or network.
        DataError: No checkpoint in the folder is whole.
        EnvironmentFault: The device does not work, the disk is full, or another run uses the folder.
        TrainingStopped: Loss or gradient was not finite too often in a row, memory ran out with one sample
            at a time, or SIGTERM or SIGINT came. After the first and the last a checkpoint was written.
    """
    call_followers(problem, folder, plan)
    return train_on(launch(plan, notice=notice), problem, folder, plan, notice=notice)


def train_on(fabric: Fabric, problem: Problem, folder: Path, plan: Plan, *, notice: Callable[[str], None]) -> Outcome:
    """Train with processes that have joined already; see ``train``. Every process must come here."""
    with ExitStack() as stack:
        first_says(fabric, lambda: stack.enter_context(held(folder)))
        run = begin(problem, plan, folder, fabric, notice=notice)
        _go_through_steps(run)
        return _finish(run)


def _go_through_steps(run: Run) -> None:
    state, plan = run.state, run.plan
    steps = range(state.step, plan.steps)
    with StopSignals() as signals, Prefetch(_fetch(run), steps) as batches, _display(run) as show:
        meter = Meter()
        for step in steps:
            samples, waited = batches.take()
            result = take_step(run, samples, asked_to_stop=lambda: signals.received is not None)
            state.step = step + 1
            meter.add(result.images, waited)
            pace = meter.read()
            show(state.step, result.loss, pace)
            if _due(run, plan.log_every) or result.verdict is Verdict.BAD:
                log_step(run, result, pace)
                meter.restart()
            judge(run, result)
            if _due(run, plan.validate_every):
                validate(run)
                meter.restart()
            if _due(run, plan.checkpoint_every) or result.stop:
                keep(run)
            if result.stop and state.step < plan.steps:
                raise _asked_to_stop(run)


def _fetch(run: Run) -> Callable[[int], list[Any]]:
    rank, world = run.fabric.global_rank, run.fabric.world_size
    return lambda step: run.problem.batch(step, rank, world)


def _display(run: Run) -> AbstractContextManager[Show]:
    if not run.fabric.is_global_zero or run.state.step == run.plan.steps:
        return nullcontext(unshown)
    return shown(run.plan.steps, done=run.state.step, notice=run.notice)


def _due(run: Run, every: int | None) -> bool:
    return every is not None and (run.state.step % every == 0 or run.state.step == run.plan.steps)


def _asked_to_stop(run: Run) -> TrainingStopped:
    return TrainingStopped(
        f"Training was asked to stop, and did after step {run.state.step} of {run.plan.steps}."
        f" A checkpoint is in {run.folder}: the same command goes on from there."
    )


def _finish(run: Run) -> Outcome:
    """Give the module the best weights."""
    best, values = first_says(run.fabric, lambda: _best(run))
    load_values(run.state.module, values, source=str(run.folder))
    run.state.module.eval()
    return Outcome(run.folder, run.state.step, best.step, best.score)


def _best(run: Run) -> tuple[Best, dict[str, Tensor]]:
    """Return the best weights: the last ones, where no validation ever named others."""
    return run.best or keep_best(run, None), read_best_values(run.folder)
