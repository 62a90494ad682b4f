"""Telling a problem what a whole step comes to before any part of it is differentiated."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

Values = dict[str, Float[Tensor, ""]]


@runtime_checkable
class Foreseeing(Protocol):
    """What a ``Problem`` also has if the weights of its terms depend on the whole step.

    Such weights cannot be had from one micro-batch: they would depend on how the step was cut. Where
    the terms themselves are needed, the loop first goes through all micro-batches without gradient,
    with the same random draws and the same running statistics as in the pass that learns: about a
    third more time per step, and no more memory.
    """

    needs_terms: bool
    """Whether ``foresee`` needs the terms, and so that pass; else it is told the totals alone."""

    def foresee(self, step: int, totals: Values, terms: Values | None) -> None:
        """Take note of what the next step comes to, over all micro-batches and processes.

        Args:
            step: Counted from 0.
            totals: The weight of each term; 0 where nothing counts.
            terms: Each term, without gradient; None unless they are needed.
        """
        ...
