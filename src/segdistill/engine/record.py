"""Putting a run on disk: a line of the log, the best weights, a checkpoint. Only the first process writes."""

import math

import torch

from segdistill.engine import log
from segdistill.engine.best import Best, write_best
from segdistill.engine.checkpoint import save_checkpoint
from segdistill.engine.meter import Pace
from segdistill.engine.run import Run
from segdistill.engine.step import Result


def log_step(run: Run, result: Result, pace: Pace) -> None:
    """Add the step just done to the log."""
    if not run.fabric.is_global_zero:
        return
    line = {
        "step": run.state.step,
        "loss": result.loss,
        "terms": result.terms,
        "weights": getattr(run.state.module, "scalars", dict)(),
        "learning_rate": run.state.optimizer.param_groups[0]["lr"],
        "images_per_s": pace.images_per_s,
        "data_wait": pace.data_wait,
    }
    log.append(run.folder, line)


def validate(run: Run) -> None:
    """Let the problem score the averaged weights; log what it says, and keep them if none scored as high."""
    if run.fabric.is_global_zero:
        module, step = run.state.module, run.state.step
        with run.state.average.in_place(), torch.no_grad():
            module.eval()
            scores = {name: float(value) for name, value in run.problem.validate(module, step).items()}
        module.train()
        log.append(run.folder, {"step": step, "validation": scores})
        _compare(run, scores.get("score", math.nan))
    run.fabric.barrier()


def keep_best(run: Run, score: float | None) -> Best:
    """Make the averaged weights the best ones; return what is noted of them."""
    best = run.best = Best(run.state.step, score)
    write_best(run.folder, run.state.average.values, best)
    return best


def keep(run: Run) -> None:
    """Write a checkpoint."""
    if run.fabric.is_global_zero:
        log.keep(run.folder)
        save_checkpoint(run.folder, run.state.content(run.plan))


def _compare(run: Run, score: float) -> None:
    best = run.best
    if math.isfinite(score) and (best is None or best.score is None or score > best.score):
        keep_best(run, score)
        run.notice(f"step {run.state.step}/{run.plan.steps}: score {score:.4g}, the best so far")
