"""Whether probabilities mean what they say: of the pixels given 0.8, are eight in ten foreground?

Counts of many tiles and images add up, so that memory does not grow with what is looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64, Shaped

from segdistill.errors import ConfigError, DataError, ShapeError
from segdistill.evaluation.checks import check_grids, check_mask
from segdistill.evaluation.overlap import Mask

BINS = 15
"""Of equal width, as in Guo et al. 2017."""

_BLOCK = 2**22
"""Pixels looked at together."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """Pixels by the probability they were given. Two with the same bins add up."""

    pixels: Int64[np.ndarray, "bin"]
    """How many pixels have a probability in each bin: at least its lower edge and below its upper, 1 in the last."""

    positives: Int64[np.ndarray, "bin"]
    """How many of them are labelled as foreground."""

    probability: Float64[np.ndarray, "bin"]
    """Sum of their probabilities."""

    def __add__(self, other: "Reliability") -> "Reliability":
        if len(self.pixels) != len(other.pixels):
            raise ShapeError(
                f"Tables of {len(self.pixels)} and of {len(other.pixels)} bins cannot be added. Count both with the"
                " same number of bins."
            )
        return Reliability(
            self.pixels + other.pixels, self.positives + other.positives, self.probability + other.probability
        )


@dataclass(frozen=True)
class Bin:
    """One line of the reliability table."""

    low: float
    """Lower edge, included."""

    high: float
    """Upper edge, excluded; included in the last bin."""

    pixels: int
    """How many pixels have a probability between them."""

    probability: float | None
    """Mean of their probabilities; None where there is no pixel."""

    foreground: float | None
    """Share of them that is labelled as foreground; None where there is no pixel."""


def count_reliability(
    probability: Shaped[np.ndarray, "..."], label: Mask, *, counts: Mask | None = None, bins: int = BINS
) -> Reliability:
    """Return the pixels of one tile or image by the probability they were given.

    Args:
        probability: Of foreground, floating point, 0 to 1.
        label: Boolean mask of the same shape.
        counts: True where a pixel counts. None: everywhere.
        bins: How many, of equal width, ≥ 1.

    Raises:
        ShapeError: The shapes differ.
        DataError: The label is not boolean, probabilities are not floating-point numbers from 0 to 1,
            or no pixel counts.
        ConfigError: The number of bins is below 1.

    >>> found = count_reliability(np.array([[0.1, 0.9, 1.0]]), np.array([[False, True, True]]), bins=2)
    >>> found.pixels.tolist(), found.positives.tolist()
    ([1, 2], [0, 2])
    """
    check_grids(probability, label, counts)
    check_mask(label, "label")
    if bins < 1:
        raise ConfigError(f"The number of bins is {bins}. Choose 1 or more, such as {BINS}.")
    if not np.issubdtype(probability.dtype, np.floating):
        raise DataError(f"Probabilities are {probability.dtype}, but must be floating-point numbers from 0 to 1.")
    found = Reliability(np.zeros(bins, np.int64), np.zeros(bins, np.int64), np.zeros(bins))
    rows = max(1, _BLOCK // max(1, probability[0].size))
    for start in range(0, len(probability), rows):
        block = slice(start, start + rows)
        where = ... if counts is None else counts[block]
        found += _count(probability[block][where].ravel(), label[block][where].ravel(), bins)
    return found


def expected_calibration_error(reliability: Reliability) -> float:
    """Return how far probabilities are from the share of foreground, the mean over pixels, 0 to 1; lower is better.

    In every bin the mean probability of foreground is compared with the share of foreground; empty bins
    weigh nothing. This is of the foreground's probability, not of the more probable of the two classes,
    so that 0.1 for what is never foreground is told from 0.9 for what always is.

    Args:
        reliability: From ``count_reliability``, or a sum of several.

    Raises:
        DataError: It holds no pixel.

    Source:
        Naeini, Cooper, Hauskrecht 2015, Obtaining well calibrated probabilities using Bayesian binning, AAAI.

    >>> found = count_reliability(np.array([[0.25, 0.25, 1.0]]), np.array([[False, True, True]]), bins=2)
    >>> round(expected_calibration_error(found), 4)  # two pixels of three are off by 1/4
    0.1667
    """
    total = int(reliability.pixels.sum())
    if not total:
        raise DataError("There is no pixel whose probability could be compared. Count an image first.")
    return float(np.abs(reliability.probability - reliability.positives).sum() / total)


def reliability_table(reliability: Reliability) -> tuple[Bin, ...]:
    """Return every bin, also those without a pixel.

    >>> found = count_reliability(np.array([[0.75, 1.0]]), np.array([[False, True]]), bins=2)
    >>> [(each.pixels, each.probability, each.foreground) for each in reliability_table(found)]
    [(0, None, None), (2, 0.875, 0.5)]
    """
    edges = np.linspace(0, 1, len(reliability.pixels) + 1).tolist()
    columns: Sequence[list] = [
        each.tolist() for each in (reliability.pixels, reliability.probability, reliability.positives)
    ]
    return tuple(
        Bin(low, high, pixels, *((total / pixels, positives / pixels) if pixels else (None, None)))
        for low, high, pixels, total, positives in zip(edges[:-1], edges[1:], *columns, strict=True)
    )


def _count(probability: Shaped[np.ndarray, "n"], label: Shaped[np.ndarray, "n"], bins: int) -> Reliability:
    if probability.size and not (probability.min() >= 0 and probability.max() <= 1):  # not a number fails too
        raise DataError(
            f"Probabilities range from {probability.min()} to {probability.max()}, but must be numbers from 0 to 1."
            " Take the sigmoid of logits first."
        )
    value = probability.astype(np.float64)
    place = np.minimum((value * bins).astype(np.int64), bins - 1)
    return Reliability(
        np.bincount(place, minlength=bins).astype(np.int64),
        np.bincount(place[label], minlength=bins).astype(np.int64),
        np.bincount(place, weights=value, minlength=bins).astype(np.float64),  # of nothing it is integer
    )
