"""Mean and covariance of a teacher's tokens, gathered in one pass; arrays only, no torch.

What is kept grows with the width, never with the number of tokens: parts are merged as they come.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
from jaxtyping import Float64, Shaped
from safetensors import SafetensorError

from segdistill.errors import DataError, ShapeError
from segdistill.files import whole_file

_ROWS = 4096
"""Tokens that are widened to float64 at a time."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and scatter of tokens, in float64."""

    count: int
    """Number of tokens; 0: nothing has been seen, and the rest is zeros."""

    mean: Float64[np.ndarray, " d"]
    """Of each channel, in the unit of the features."""

    scatter: Float64[np.ndarray, "d d"]
    """Sum over the tokens of the products of their deviations from the mean."""

    @property
    def covariance(self) -> Float64[np.ndarray, "d d"]:
        """The scatter per token: the covariance of these very tokens, not an estimate for others."""
        return self.scatter / max(self.count, 1)


def no_moments(width: int) -> Moments:
    """Return the moments of no token at all: merging them with others changes nothing."""
    return Moments(0, np.zeros(width), np.zeros((width, width)))


def moments_of(tokens: Shaped[np.ndarray, "*grid d"]) -> Moments:
    """Return the moments of the tokens of one grid.

    Args:
        tokens: Features, the channels last; of any grid and any float or integer type.

    Raises:
        DataError: A feature is not finite.

    >>> found = moments_of(np.array([[0.0, 1.0], [2.0, 1.0]]))
    >>> found.mean.tolist(), found.covariance.tolist()
    ([1.0, 1.0], [[1.0, 0.0], [0.0, 0.0]])
    """
    rows = tokens.reshape(-1, tokens.shape[-1])
    found = no_moments(rows.shape[1])
    for start in range(0, len(rows), _ROWS):
        found = merge_moments(found, _of_rows(rows[start : start + _ROWS].astype(np.float64)))
    return found


def merge_moments(one: Moments, other: Moments) -> Moments:
    """Return the moments of the tokens of both.

    Raises:
        ShapeError: Their widths differ.

    Source:
        Chan, Golub, LeVeque 1983, The American Statistician 37(3), for a covariance: sums of squares
        are never subtracted, so a large mean costs no digits.
    """
    if one.mean.shape != other.mean.shape:
        raise ShapeError(
            f"Tokens of width {len(one.mean)} and of width {len(other.mean)} have no common mean."
            " Gather each teacher's by itself."
        )
    count = one.count + other.count
    if count == 0:
        return one
    apart = other.mean - one.mean
    mean = one.mean + apart * (other.count / count)
    between = np.outer(apart, apart) * (one.count * (other.count / count))
    return Moments(count, mean, one.scatter + other.scatter + between)


def gather_moments(grids: Iterable[Shaped[np.ndarray, "..."]], *, width: int) -> Moments:
    """Return the moments of all tokens of all grids, in one pass that keeps none of them.

    Args:
        grids: Features, the channels last.
        width: Number of channels.

    Raises:
        ShapeError: A grid has another width.
        DataError: A feature is not finite.

    >>> gather_moments((np.full((2, 3, 1), value) for value in (1.0, 3.0)), width=1).covariance.tolist()
    [[1.0]]
    """
    found = no_moments(width)
    for grid in grids:
        found = merge_moments(found, moments_of(grid))
    return found


def save_moments(path: Path, moments: Moments) -> None:
    """Write moments as a safetensors file, whole or not at all.

    Raises:
        EnvironmentFault: The file cannot be written.
    """
    arrays = {"count": np.array([moments.count], np.int64), "mean": moments.mean, "scatter": moments.scatter}
    with whole_file(path) as partial:
        partial.write_bytes(safetensors.numpy.save(arrays))


def load_moments(path: Path) -> Moments:
    """Return the moments that ``save_moments`` wrote.

    Raises:
        DataError: The file is absent, damaged, or holds something else.
    """
    try:
        arrays = safetensors.numpy.load(path.read_bytes())
        count, mean, scatter = arrays["count"], arrays["mean"], arrays["scatter"]
    except (OSError, SafetensorError, KeyError) as error:
        raise DataError(f"{path} holds no mean and covariance of tokens: {error!r}. Gather them again.") from error
    return Moments(int(count[0]), mean, scatter)


def _of_rows(rows: Float64[np.ndarray, "n d"]) -> Moments:
    if not np.isfinite(rows).all():
        channels = np.flatnonzero(~np.isfinite(rows).all(axis=0))
        raise DataError(
            f"Tokens are not finite in {len(channels)} of {rows.shape[1]} channels, such as {channels[0]}."
            " The teacher, or its number format, fails on that image."
        )
    mean = rows.mean(axis=0)
    deviations = rows - mean
    return Moments(len(rows), mean, deviations.T @ deviations)
