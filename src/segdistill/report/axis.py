"""A scale from values to places, with ticks at round numbers."""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """A linear scale.

    >>> Axis(0.5, 1.0).place(0.75)
    50.0
    """

    low: float
    """Value at the beginning."""

    high: float
    """Value at the end, above ``low``."""

    def place(self, value: float) -> float:
        """Return where a finite value lies, percent of the length; beyond 0 to 100 if it is outside."""
        return 100 * (value - self.low) / (self.high - self.low)

    def ticks(self, most: int = 6) -> tuple[float, ...]:
        """Return round values inside the scale, at most so many and at least one.

        >>> Axis(0.612, 0.958).ticks()
        (0.7, 0.8, 0.9)
        """
        step = _round_step((self.high - self.low) / most)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return tuple(round(place * step, 12) for place in range(first, last + 1))


def axis_over(values: Iterable[float], *, narrowest: float, room: float = 0.06) -> Axis:
    """Return a scale that holds all finite values, with some room at both ends.

    Args:
        values: What will be drawn; values that are not finite are left out; none at all gives 0 to 1.
        narrowest: The scale spans at least this, so that noise is not blown up, > 0.
        room: Left free at each end, fraction of the span.

    >>> axis_over([0.5, 0.9], narrowest=0.02, room=0.0)
    Axis(low=0.5, high=0.9)
    >>> axis_over([], narrowest=0.02, room=0.0)
    Axis(low=0.0, high=1.0)
    """
    finite = [value for value in values if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    missing = max(0.0, narrowest - (high - low)) / 2
    low, high = low - missing, high + missing
    free = room * (high - low)
    return Axis(low - free, high + free)


def scores_axis(values: Iterable[float]) -> Axis:
    """Return a scale for scores: it ends at 0 and 1 unless a value lies beyond, and spans four points or more.

    So a difference of a tenth of a point does not look like a leap.

    >>> scores_axis([0.99, 1.0]).high
    1.0
    """
    finite = [value for value in values if math.isfinite(value)]
    axis = axis_over(finite, narrowest=0.04)
    return Axis(min(max(0.0, axis.low), *finite, 1.0), max(min(1.0, axis.high), *finite, 0.0))


def _round_step(raw: float) -> float:
    power = 10.0 ** math.floor(math.log10(raw))
    return power * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
