"""One optimiser step: weigh, differentiate micro-batch by micro-batch, add up, update."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from segdistill.engine.foresight import Foreseeing, Values
from segdistill.engine.microbatches import Buffers, MicroBatches
from segdistill.engine.processes import gathered, sum_gradients, summed
from segdistill.engine.reducer import add_up
from segdistill.engine.run import Run
from segdistill.engine.schedule import rate_factor, set_learning_rate
from segdistill.engine.seeding import seed_step
from segdistill.errors import ConfigError


class Verdict(Enum):
    """What became of a step."""

    UPDATED = "updated"
    RESCALED = "rescaled"
    """Not updated: gradients overflowed float16, and the scaler will try a smaller scale."""
    BAD = "bad"
    """Not updated: the loss, or the gradient, is not finite."""


@dataclass(frozen=True, slots=True)
class Result:
    """One step, over all processes."""

    verdict: Verdict
    loss: float
    terms: dict[str, float]
    images: int
    stop: bool
    """Whether some process was asked to stop."""
    suspects: list[str]
    """After a bad step, the files that it may be due to."""


def take_step(run: Run, samples: list[Any], *, asked_to_stop: Callable[[], bool]) -> Result:
    """Do the next optimiser step.

    Args:
        run: Its weights, optimiser and average change, unless the step is bad.
        samples: This process's part of the batch.
        asked_to_stop: Whether this process was; asked at the end, so that a signal ends this very step.

    Raises:
        TrainingStopped: Memory ran out with one sample at a time.
        ConfigError: The problem gave no sample, or terms that it did not weigh.
    """
    step, plan, problem = run.state.step, run.plan, run.problem
    if not samples:
        raise ConfigError(f"The problem gave no sample for step {step} to process {run.fabric.global_rank}.")
    micro = MicroBatches(samples, lambda part: problem.collate(part, step, run.fabric.device))
    buffers = Buffers(run.state.module)
    totals, images = _whole_step_totals(run, micro)
    if isinstance(problem, Foreseeing):
        seen = _whole_step_terms(run, micro, buffers, totals) if problem.needs_terms else None
        problem.foresee(step, totals, seen)

    def differentiate_all(size: int) -> list[_Part]:  # begins anew whenever memory ran out
        buffers.restore()
        seed_step(plan.seed, step, run.fabric.global_rank, device=run.fabric.device)
        run.optimizer.zero_grad()
        return [_differentiate(run, batch, totals, len(part) / images) for part, batch in micro.of(size)]

    parts = run.memory.attempt(differentiate_all)
    sum_gradients(run.fabric, _parameters(run))
    loss, terms, stopped = _sum_values(run, parts, stop=asked_to_stop())
    set_learning_rate(run.state.optimizer, run.peaks, rate_factor(step, steps=plan.steps, warmup=plan.warmup))
    verdict = _update(run, loss)
    if verdict is not Verdict.UPDATED:
        buffers.restore()
    suspects = _suspects(run, micro, parts) if verdict is Verdict.BAD else []
    return Result(verdict, loss, terms, images, stopped, suspects)


@dataclass(frozen=True, slots=True)
class _Part:
    """What one micro-batch adds to the loss, and to each term."""

    loss: Float[Tensor, ""]
    terms: Values


def _whole_step_totals(run: Run, micro: MicroBatches) -> tuple[Values, int]:
    """Return each term's weight, and the number of samples, over all micro-batches and processes."""
    own = run.memory.attempt(lambda size: add_up([run.problem.weights(batch) for _, batch in micro.of(size)]))
    count = torch.tensor(float(len(micro.samples)), device=run.fabric.device)
    *totals, images = summed(run.fabric, torch.stack([*own.values(), count]))
    return dict(zip(own, totals, strict=True)), round(images.item())


def _whole_step_terms(run: Run, micro: MicroBatches, buffers: Buffers, totals: Values) -> Values:
    """Return each term over all micro-batches and processes, as the pass that learns will find it; no gradient."""

    def look(size: int) -> Values:
        buffers.restore()
        seed_step(run.plan.seed, run.state.step, run.fabric.global_rank, device=run.fabric.device)
        return add_up([run.problem.terms(run.module, batch, totals) for _, batch in micro.of(size)])

    with torch.no_grad():
        own = run.memory.attempt(look)
    return dict(zip(totals, summed(run.fabric, torch.stack([own[name] for name in totals])), strict=True))


def _differentiate(run: Run, batch: Any, totals: Values, share: float) -> _Part:
    """Add one micro-batch's part to the gradient."""
    with run.fabric.no_backward_sync(run.module):  # see Note [Gradients are added once, at the end]
        terms = run.problem.terms(run.module, batch, totals)
        if terms.keys() != totals.keys():
            raise ConfigError(f"The problem weighed the terms {sorted(totals)}, but gave the terms {sorted(terms)}.")
        loss = run.problem.combine(run.module, terms, share)
        run.fabric.backward(loss)
    return _Part(loss.detach(), {name: terms[name].detach() for name in totals})


def _sum_values(run: Run, parts: list[_Part], *, stop: bool) -> tuple[float, dict[str, float], bool]:
    """Return loss and terms of the whole step, and whether any process was asked to stop."""
    terms = add_up([part.terms for part in parts])
    loss = torch.stack([part.loss for part in parts]).sum()
    asked = torch.tensor(float(stop), device=run.fabric.device)
    whole_loss, *whole_terms, stops = summed(run.fabric, torch.stack([loss, *terms.values(), asked])).tolist()
    return whole_loss, dict(zip(terms, whole_terms, strict=True)), stops > 0


def _update(run: Run, loss: float) -> Verdict:
    """Change the weights, unless loss or gradient is not finite. All processes see the same and decide alike."""
    if not math.isfinite(loss):
        return Verdict.BAD
    clip = math.inf if run.plan.clip is None else run.plan.clip
    norm = run.fabric.clip_gradients(run.module, run.optimizer, max_norm=clip, error_if_nonfinite=False)
    if norm is not None and math.isfinite(norm.item()):
        run.optimizer.step()
        run.state.average.update(run.state.step)
        return Verdict.UPDATED
    return Verdict.RESCALED if _rescale(run) else Verdict.BAD


def _rescale(run: Run) -> bool:
    """Let the scaler try a smaller scale; return whether the scale, and not the gradient, may have been at fault."""
    scaler = run.state.scaler
    if scaler is None:
        return False
    scaled_up = scaler.get_scale() > 1  # it begins at 65,536 and halves, so this excuses 16 steps at most
    scaler.update()
    return scaled_up


def _suspects(run: Run, micro: MicroBatches, parts: list[_Part]) -> list[str]:
    """Return the files of micro-batches whose loss is not finite, in any process; of the whole step if none is."""
    pairs = zip(micro.of(run.memory.size), parts, strict=True)
    guilty = [sample for (samples, _), part in pairs if not math.isfinite(part.loss.item()) for sample in samples]
    found = gathered(run.fabric, run.problem.names(guilty))
    return found or gathered(run.fabric, run.problem.names(micro.samples))


def _parameters(run: Run) -> list[Tensor]:
    return [parameter for group in run.state.optimizer.param_groups for parameter in group["params"]]
