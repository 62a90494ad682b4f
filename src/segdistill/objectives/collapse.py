"""Naming the teacher that learnt shares have lost; arrays only, no torch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from segdistill.errors import ShapeError

_LASTING = 0.1
"""Part of the training, at its end, for which a share must have been low."""


@dataclass(frozen=True)
class Collapse:
    """A teacher that the student stopped learning from."""

    teacher: str
    """Its name."""

    since: int
    """First row of the history from which on its share stayed low."""

    share: float
    """Its mean share from then on, 0 to 1."""

    uniform: float
    """What its share would be if all were equal."""

    def __str__(self) -> str:
        """Return a sentence for the report.

        >>> str(Collapse("medsam", 120, 0.004, 1 / 3))
        "Teacher 'medsam' was lost: from step 120 on its share was 0.004 on average, where equal shares are 0.333."
        """
        return (
            f"Teacher {self.teacher!r} was lost: from step {self.since} on its share was {self.share:.2g} on average,"
            f" where equal shares are {self.uniform:.3f}."
        )


def collapsed_teachers(
    history: Float[np.ndarray, "steps t"], teachers: Sequence[str], *, below: float = 0.1
) -> tuple[Collapse, ...]:
    """Return the teachers whose share sank and stayed low until the end.

    Args:
        history: Shares, one row per logged step; NaN where a teacher had nothing to say.
        teachers: Names, one per column.
        below: A share is low if it is below so much of an equal one, 0 to 1.

    Returns:
        Those whose share was low throughout at least the last tenth of the rows in which they spoke,
        and in two of them. Empty for one teacher, or a short history.

    Raises:
        ShapeError: There are not as many columns as names.

    >>> falling = np.linspace(0.5, 0.0, 101)
    >>> [found.teacher for found in collapsed_teachers(np.stack([1 - falling, falling], axis=1), ["a", "b"])]
    ['b']
    """
    if history.shape[1] != len(teachers):
        raise ShapeError(f"The history has {history.shape[1]} columns, but there are {len(teachers)} teachers.")
    uniform = 1 / max(len(teachers), 1)
    found = []
    for name, column in zip(teachers, history.T, strict=True):
        spoken = np.flatnonzero(~np.isnan(column))
        high = np.flatnonzero(column[spoken] >= below * uniform)
        first = high[-1] + 1 if len(high) else 0
        if len(spoken) - first >= max(2, _LASTING * len(spoken)):
            low = spoken[first:]
            found.append(Collapse(name, int(low[0]), float(column[low].mean()), uniform))
    return tuple(found)
