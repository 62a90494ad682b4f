"""The learning rate as a function of the step: a linear warm-up, then half a cosine."""

import math

from torch.optim import Optimizer


def rate_factor(step: int, *, steps: int, warmup: float) -> float:
    """Return the fraction of the peak learning rate that a step uses, in (0, 1].

    Args:
        step: Counted from 0.
        steps: Optimiser steps of the whole run.
        warmup: Fraction of them over which the rate rises.

    Source:
        Loshchilov and Hutter 2017, arXiv:1608.03983, equation 5, without restarts.

    >>> [round(rate_factor(step, steps=6, warmup=0.34), 3) for step in range(6)]
    [0.5, 1.0, 1.0, 0.854, 0.5, 0.146]
    """
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))


def set_learning_rate(optimizer: Optimizer, peaks: list[float], factor: float) -> None:
    """Give each parameter group its peak learning rate times a factor."""
    for group, peak in zip(optimizer.param_groups, peaks, strict=True):
        group["lr"] = peak * factor
