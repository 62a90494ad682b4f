"""How far two masks agree, pixel by pixel."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Shaped

from segdistill.evaluation.checks import check_grids, check_mask
from segdistill.evaluation.conventions import Empty, empty_side, share

Mask = Shaped[np.ndarray, "..."]
"""Boolean, ``y x``; anything else is refused with a message."""


@dataclass(frozen=True)
class Overlap:
    """Numbers of pixels."""

    both: int
    """In prediction and label."""

    prediction: int
    """In the prediction."""

    label: int
    """In the label."""

    @property
    def empty(self) -> Empty:
        """Which side is empty."""
        return empty_side(self.prediction, self.label)


def count_overlap(prediction: Mask, label: Mask, *, counts: Mask | None = None) -> Overlap:
    """Return how many pixels prediction and label share.

    Args:
        prediction: Boolean mask.
        label: Boolean mask of the same shape.
        counts: True where a pixel counts. None: everywhere.

    Raises:
        ShapeError: The shapes differ.
        DataError: A mask is not boolean, or no pixel counts.

    >>> count_overlap(np.array([[True, True, False]]), np.array([[False, True, True]]))
    Overlap(both=1, prediction=2, label=2)
    """
    check_grids(prediction, label, counts)
    check_mask(prediction, "prediction")
    check_mask(label, "label")
    if counts is not None:
        prediction, label = prediction & counts, label & counts
    both, predicted, labelled = (int(np.count_nonzero(each)) for each in (prediction & label, prediction, label))
    return Overlap(both, predicted, labelled)


def dice_of(overlap: Overlap) -> float:
    """Return 2·both / (prediction + label)."""
    return share(2 * overlap.both, overlap.prediction + overlap.label, overlap.empty)


def iou_of(overlap: Overlap) -> float:
    """Return both / (prediction or label)."""
    return share(overlap.both, overlap.prediction + overlap.label - overlap.both, overlap.empty)


def precision_of(overlap: Overlap) -> float:
    """Return both / prediction."""
    return share(overlap.both, overlap.prediction, overlap.empty)


def recall_of(overlap: Overlap) -> float:
    """Return both / label."""
    return share(overlap.both, overlap.label, overlap.empty)


OVERLAP_METRICS: Mapping[str, Callable[[Overlap], float]] = MappingProxyType(
    {"dice": dice_of, "iou": iou_of, "precision": precision_of, "recall": recall_of}
)


def dice(prediction: Mask, label: Mask, *, counts: Mask | None = None) -> float:
    """Return twice the shared pixels over the sum of both masks' pixels, 0 to 1.

    Args:
        prediction: Boolean mask.
        label: Boolean mask of the same shape.
        counts: True where a pixel counts. None: everywhere.

    Returns:
        1 if both are empty, 0 if one is: see ``conventions``.

    Raises:
        ShapeError: The shapes differ.
        DataError: A mask is not boolean, or no pixel counts.

    Source:
        Dice 1945, Measures of the amount of ecologic association between species, Ecology 26(3).

    >>> dice(np.array([[True, True, False]]), np.array([[False, True, True]]))
    0.5
    """
    return dice_of(count_overlap(prediction, label, counts=counts))


def iou(prediction: Mask, label: Mask, *, counts: Mask | None = None) -> float:
    """Return the shared pixels over those in either mask, 0 to 1; arguments and rules as ``dice``.

    >>> round(iou(np.array([[True, True, False]]), np.array([[False, True, True]])), 3)
    0.333
    """
    return iou_of(count_overlap(prediction, label, counts=counts))


def precision(prediction: Mask, label: Mask, *, counts: Mask | None = None) -> float:
    """Return the share of the predicted pixels that are labelled; arguments and rules as ``dice``.

    >>> precision(np.array([[True, False]]), np.array([[True, True]]))
    1.0
    """
    return precision_of(count_overlap(prediction, label, counts=counts))


def recall(prediction: Mask, label: Mask, *, counts: Mask | None = None) -> float:
    """Return the share of the labelled pixels that are predicted; arguments and rules as ``dice``.

    >>> recall(np.array([[True, False]]), np.array([[True, True]]))
    0.5
    """
    return recall_of(count_overlap(prediction, label, counts=counts))
