"""How far two sets of objects agree: sparse matching, and the scores that rest on it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped

from segdistill.errors import ConfigError
from segdistill.evaluation.assignment import assign
from segdistill.evaluation.checks import check_grids, check_ids
from segdistill.evaluation.conventions import Empty, empty_side, fault_share, share
from segdistill.evaluation.pairs import PairTable, count_pairs

THRESHOLDS: tuple[float, ...] = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
"""The thresholds over which ``mean_average_precision`` is taken."""

Ids = Shaped[np.ndarray, "..."]
"""Integers, ``y x``, 0 where there is no object; anything else is refused with a message."""


@dataclass(frozen=True, eq=False)
class Matching:
    """Which predicted object is which labelled one. Each occurs at most once."""

    prediction: Int64[np.ndarray, "n"]
    """Ids in the prediction, in order."""

    label: Int64[np.ndarray, "n"]
    """The ids in the label that they match."""

    iou: Float64[np.ndarray, "n"]
    """Intersection over union of each match, above 0.5."""

    n_prediction: int
    """Objects predicted, matched or not."""

    n_label: int
    """Objects labelled, matched or not."""

    splits: int
    """Labelled objects that hold most of each of two or more predicted ones."""

    merges: int
    """Predicted objects that hold most of each of two or more labelled ones."""

    meetings: "Meetings"
    """Every pair of a predicted and a labelled object that share a pixel, matched or not."""

    @property
    def empty(self) -> Empty:
        """Which side is empty."""
        return empty_side(self.n_prediction, self.n_label)


@dataclass(frozen=True, eq=False)
class Meetings:
    """Pairs of a predicted and a labelled object that share pixels."""

    prediction: Int64[np.ndarray, "m"]
    """Ids in the prediction."""

    label: Int64[np.ndarray, "m"]
    """Ids in the label."""

    pixels: Int64[np.ndarray, "m"]
    """How many pixels the two share."""

    iou: Float64[np.ndarray, "m"]
    """Intersection over union, above 0."""

    total: int
    """Pixels of all predicted and of all labelled objects, added; those without a partner too."""


def match(prediction: Ids, label: Ids, *, counts: Ids | None = None) -> Matching:
    """Match objects whose intersection over union is above one half.

    Above one half a match is unique on both sides, so no assignment problem is left to solve. Pairs
    are counted where they meet, so half a million objects take seconds.

    Args:
        prediction: Ids of predicted objects; they need not be consecutive.
        label: Ids of labelled objects, of the same shape.
        counts: True where a pixel counts. None: everywhere. Areas are of pixels that count. An
            object is left out if more than half its pixels do not count, and with it a partner
            that matches it on those that do.

    Raises:
        ShapeError: The shapes differ.
        DataError: Ids are not integers or negative, or no pixel counts.

    >>> match(np.array([[7, 7, 7, 0]]), np.array([[0, 2, 2, 0]])).iou.round(3).tolist()
    [0.667]
    """
    check_grids(prediction, label, counts)
    check_ids(prediction, "prediction")
    check_ids(label, "label")
    table = count_pairs(prediction, label, counts)
    sides = [_Side.of(table.prediction, table.pixels), _Side.of(table.label, table.pixels)]
    if counts is not None:
        whole = count_pairs(prediction, label)
        sides[0].drop_mostly_ignored(_Side.of(whole.prediction, whole.pixels))
        sides[1].drop_mostly_ignored(_Side.of(whole.label, whole.pixels))
    return _match(_meetings(table), *sides)


def average_precision(matching: Matching, threshold: float = 0.5) -> float:
    """Return matches / (matches + false objects + missed objects), 0 to 1.

    Args:
        matching: From ``match``.
        threshold: A match must have an IoU above this; 0.5 to below 1.

    Returns:
        1 if there is no object on either side, 0 if on one only.

    Raises:
        ConfigError: The threshold is out of range.

    Source:
        Caicedo et al. 2019, Nucleus segmentation across imaging experiments, Nature Methods 16;
        there and in StarDist a match may equal the threshold.

    >>> average_precision(match(np.array([[1, 1, 0, 2]]), np.array([[1, 1, 0, 0]])))
    0.5
    """
    true = _matches(matching, threshold)
    return share(true, matching.n_prediction + matching.n_label - true, matching.empty)


def mean_average_precision(matching: Matching) -> float:
    """Return the mean of ``average_precision`` over ``THRESHOLDS``, 0 to 1."""
    return float(np.mean([average_precision(matching, threshold) for threshold in THRESHOLDS]))


def f1(matching: Matching, threshold: float = 0.5) -> float:
    """Return matches / (matches + half the false and missed objects), 0 to 1.

    Args:
        matching: From ``match``.
        threshold: A match must have an IoU above this; 0.5 to below 1.

    Raises:
        ConfigError: The threshold is out of range.

    >>> round(f1(match(np.array([[1, 1, 0, 2]]), np.array([[1, 1, 0, 0]]))), 3)
    0.667
    """
    true = _matches(matching, threshold)
    return share(2 * true, matching.n_prediction + matching.n_label, matching.empty)


def panoptic_quality(matching: Matching) -> float:
    """Return the sum of the matches' IoU / (matches + half the false and missed objects), 0 to 1.

    Args:
        matching: From ``match``.

    Source:
        Kirillov et al. 2019, Panoptic segmentation, arXiv:1801.00868, equation 1.

    >>> round(panoptic_quality(match(np.array([[7, 7, 7, 0]]), np.array([[0, 2, 2, 0]]))), 3)
    0.667
    """
    return share(2 * float(matching.iou.sum()), matching.n_prediction + matching.n_label, matching.empty)


def split_share(matching: Matching) -> float:
    """Return the share of labelled objects that are split: that hold most of each of several predicted ones.

    Args:
        matching: From ``match``.

    Returns:
        0 to 1, lower is better: 0 if there is no object on either side, 1 if on one only.

    >>> split_share(match(np.array([[1, 1, 2, 2, 0]]), np.array([[9, 9, 9, 9, 8]])))
    0.5
    """
    return fault_share(matching.splits, matching.n_label, matching.empty)


def merge_share(matching: Matching) -> float:
    """Return the share of predicted objects that are merged: that hold most of each of several labelled ones.

    Args:
        matching: From ``match``.

    Returns:
        0 to 1, lower is better: 0 if there is no object on either side, 1 if on one only.

    >>> merge_share(match(np.array([[9, 9, 9, 9, 0]]), np.array([[1, 1, 2, 2, 8]])))
    1.0
    """
    return fault_share(matching.merges, matching.n_prediction, matching.empty)


def aji_plus(matching: Matching) -> float:
    """Return the aggregated Jaccard index with every object used at most once, 0 to 1.

    Objects that share pixels are assigned one to one so that the sum of IoU is greatest; of assignments
    that are equal to one part in 10⁹, the one that shares most pixels. The pixels that assigned objects
    share are divided by those of their unions and of all objects without a partner.

    Args:
        matching: From ``match``.

    Returns:
        1 if there is no object on either side, 0 if on one only.

    Source:
        Kumar et al. 2017, IEEE TMI 36(7), for AJI; Graham et al. 2019, HoVer-Net, arXiv:1812.06499, for
        the assignment, which they call AJI+.

    >>> round(aji_plus(match(np.array([[7, 7, 7, 0]]), np.array([[0, 2, 2, 0]]))), 3)
    0.667
    """
    meetings, pixels = matching.meetings, matching.meetings.pixels
    weight = meetings.iou + 1e-9 * pixels / pixels.max(initial=1)
    first, second = (np.unique(ids, return_inverse=True)[1] for ids in (meetings.prediction, meetings.label))
    shared = int(pixels[assign(first, second, weight)].sum())
    return share(shared, meetings.total - shared, matching.empty)


def _matches(matching: Matching, threshold: float) -> int:
    if not 0.5 <= threshold < 1:
        raise ConfigError(
            f"The IoU threshold is {threshold}. Choose one from 0.5 to below 1: below 0.5 an object can match several,"
            " and which of them counts would be arbitrary."
        )
    return int(np.count_nonzero(matching.iou > threshold))


@dataclass(eq=False)
class _Side:
    """The objects of one label image: ids in order, pixels of each, and whether each takes part."""

    ids: Int64[np.ndarray, "n"]
    area: Int64[np.ndarray, "n"]
    kept: Bool[np.ndarray, "n"]

    @classmethod
    def of(cls, ids: Int64[np.ndarray, "m"], pixels: Int64[np.ndarray, "m"]) -> "_Side":
        objects = ids > 0
        unique, index = np.unique(ids[objects], return_inverse=True)
        area = np.zeros(len(unique), np.int64)
        np.add.at(area, index, pixels[objects])
        return cls(unique, area, np.ones(len(unique), np.bool_))

    def drop_mostly_ignored(self, whole: "_Side") -> None:
        # Every id here is among the whole image's ids, and both are in order.
        total = whole.area[np.searchsorted(whole.ids, self.ids)]
        self.kept &= 2 * self.area >= total

    def index(self, ids: Int64[np.ndarray, "m"]) -> Int64[np.ndarray, "m"]:
        return np.searchsorted(self.ids, ids).astype(np.int64)


def _meetings(table: PairTable) -> PairTable:
    """Return the pairs of which both are objects."""
    objects = (table.prediction > 0) & (table.label > 0)
    return PairTable(table.prediction[objects], table.label[objects], table.pixels[objects])


def _match(meetings: PairTable, prediction: _Side, label: _Side) -> Matching:
    first, second = prediction.index(meetings.prediction), label.index(meetings.label)
    iou = meetings.pixels / (prediction.area[first] + label.area[second] - meetings.pixels)
    matched = iou > 0.5
    _drop_partners(prediction, label, first[matched], second[matched])
    kept = prediction.kept[first] & label.kept[second]
    matched &= kept
    mostly_in_label = kept & (2 * meetings.pixels > prediction.area[first])
    mostly_in_prediction = kept & (2 * meetings.pixels > label.area[second])
    return Matching(
        prediction=meetings.prediction[matched],
        label=meetings.label[matched],
        iou=iou[matched],
        n_prediction=int(np.count_nonzero(prediction.kept)),
        n_label=int(np.count_nonzero(label.kept)),
        splits=_several(second[mostly_in_label]),
        merges=_several(first[mostly_in_prediction]),
        meetings=Meetings(
            meetings.prediction[kept],
            meetings.label[kept],
            meetings.pixels[kept],
            iou[kept],
            int(prediction.area[prediction.kept].sum() + label.area[label.kept].sum()),
        ),
    )


def _drop_partners(
    prediction: _Side, label: _Side, first: Int64[np.ndarray, "n"], second: Int64[np.ndarray, "n"]
) -> None:
    both = prediction.kept[first] & label.kept[second]
    prediction.kept[first] &= both
    label.kept[second] &= both


def _several(holders: Int64[np.ndarray, "n"]) -> int:
    """Return how many indices occur twice or more."""
    return int(np.count_nonzero(np.bincount(holders) > 1))
