"""Which sizes of objects are found: the share of labelled objects that have a match, from small to large."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from segdistill.evaluation.checks import check_grids
from segdistill.evaluation.instances import Ids, match

MOST, FEWEST = 6, 10
"""Classes of size at most, and objects in each at least."""


@dataclass(frozen=True, eq=False)
class Objects:
    """Labelled objects of one image or several."""

    size: Int64[np.ndarray, " n"]
    """Pixels of each."""

    found: Bool[np.ndarray, " n"]
    """Whether a predicted object shares more than half with it, by intersection over union."""


@dataclass(frozen=True)
class SizeClass:
    """Objects of about one size."""

    low: int
    """Pixels of the smallest."""

    high: int
    """Pixels of the largest."""

    objects: int
    """How many there are."""

    found: Mapping[str, float]
    """Who predicted, to the share of them that was found."""


def objects_found(prediction: Ids, label: Ids, *, counts: Ids | None = None) -> Objects:
    """Return the size of every labelled object and whether it was found, matched as ``match`` does.

    Which objects are looked at does not depend on the prediction: ``match`` leaves an object out with a partner that
    mostly does not count, but here it was found, by what counts of that partner.

    Args:
        prediction: Ids of predicted objects.
        label: Ids of labelled objects, of the same shape.
        counts: True where a pixel counts; objects of which more than half does not are left out, and the
            others have their whole size. None: everywhere.

    Raises:
        ShapeError, DataError: As ``match``.

    >>> objects_found(np.array([[7, 7, 0, 0]]), np.array([[1, 1, 0, 2]])).found.tolist()
    [True, False]
    """
    check_grids(prediction, label, counts)
    seen = prediction if counts is None else np.where(counts, prediction, 0)
    matched = match(seen, label, counts=counts).label
    ids, size = np.unique(label[label > 0], return_counts=True)
    if counts is not None:
        there, area = np.unique(label[(label > 0) & counts], return_counts=True)
        counted = np.zeros(len(ids), np.int64)
        counted[np.searchsorted(ids, there)] = area
        ids, size = ids[2 * counted >= size], size[2 * counted >= size]
    return Objects(size.astype(np.int64), np.isin(ids, matched))


def found_by_size(objects: Mapping[str, Sequence[Objects]]) -> tuple[SizeClass, ...]:
    """Return the share of objects that was found, in classes of size with about equally many objects.

    Args:
        objects: Who predicted, to the labelled objects of every image: the same for all.

    Returns:
        From small to large; objects of one size are in one class. Empty where there are too few objects
        for two classes.

    >>> small, large = found_by_size({"student": [Objects(np.arange(1, 21), np.arange(20) > 4)]})
    >>> small
    SizeClass(low=1, high=10, objects=10, found={'student': 0.5})
    >>> large.found
    {'student': 1.0}
    """
    sizes = np.concatenate([np.zeros(0, np.int64), *(each.size for each in next(iter(objects.values()), ()))])
    count = min(MOST, len(sizes) // FEWEST)
    if count < 2:
        return ()
    found = {who: np.concatenate([each.found for each in images]) for who, images in objects.items()}
    place = np.searchsorted(_edges(sizes, count), sizes, side="left")
    classes = [place == number for number in np.unique(place)]
    return tuple(
        SizeClass(
            int(sizes[own].min()),
            int(sizes[own].max()),
            int(own.sum()),
            {who: float(values[own].mean()) for who, values in found.items()},
        )
        for own in classes
    )


def _edges(sizes: Int64[np.ndarray, " n"], count: int) -> Int64[np.ndarray, " k"]:
    """Return the largest size of each class but the last, of so many classes or fewer."""
    edges: list[int] = []
    values, times = np.unique(sizes, return_counts=True)
    wanted, since, left = len(sizes) / count, 0, len(sizes)
    for value, own in zip(values.tolist(), times.tolist(), strict=True):
        since, left = since + own, left - own
        if since >= max(wanted, FEWEST) and left >= FEWEST:
            edges.append(value)
            since = 0
    return np.array(edges, np.int64)
