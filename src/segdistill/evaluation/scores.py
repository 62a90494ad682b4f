"""The scores of one image: rows of structure, metric and value."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TypedDict

import numpy as np
from jaxtyping import Bool, Integer, Shaped

from segdistill.data.labels import Structure
from segdistill.errors import ShapeError
from segdistill.evaluation.checks import check_ids
from segdistill.evaluation.conventions import WORST, Empty
from segdistill.evaluation.instances import Matching, average_precision, f1, match, panoptic_quality
from segdistill.evaluation.overlap import OVERLAP_METRICS, count_overlap

INSTANCE_METRICS: Mapping[str, Callable[[Matching], float]] = MappingProxyType(
    {"ap50": average_precision, "f1": f1, "pq": panoptic_quality}
)


class Row(TypedDict):
    """One score."""

    structure: str
    """Name of the structure."""

    metric: str
    """dice, iou, precision, recall; for instances also ap50, f1, pq."""

    value: float
    """0 to 1."""

    empty: Empty
    """What was empty: nothing, both, label, prediction; or missing."""


def score_case(
    prediction: Shaped[np.ndarray, "..."] | None,
    label: Integer[np.ndarray, "k y x"],
    structures: Sequence[Structure],
    *,
    counts: Bool[np.ndarray, "y x"] | None = None,
    known: Bool[np.ndarray, "k"] | None = None,
) -> list[Row]:
    """Return every score of one image.

    Args:
        prediction: One plane per structure: ids for instances, else 0 and 1. None: there is no
            prediction, which is worth 0 in every score, even where nothing is labelled.
        label: Planes in the same order.
        structures: What the planes show.
        counts: True where a pixel counts. None: everywhere.
        known: True for structures that are labelled in this image; others get no rows. None: all.

    Raises:
        ShapeError: The shapes differ, or there is not one plane per structure.
        DataError: Planes are not integers, ids are negative, or no pixel counts.

    >>> cell = np.array([[[1, 1, 0, 2]]])
    >>> [row["metric"] for row in score_case(cell, cell, [Structure("cell", instances=True)])]
    ['dice', 'iou', 'precision', 'recall', 'ap50', 'f1', 'pq']
    """
    _check_planes(prediction, label, structures, known)
    rows: list[Row] = []
    for plane, structure in enumerate(structures):
        if known is not None and not known[plane]:
            continue
        if prediction is None:
            rows += _missing(structure)
        else:
            rows += _score_plane(prediction[plane], label[plane], structure, counts)
    return rows


def metrics_of(structure: Structure) -> tuple[str, ...]:
    """Return the names of a structure's metrics, in order."""
    return (*OVERLAP_METRICS, *(INSTANCE_METRICS if structure.instances else ()))


def _score_plane(
    prediction: Shaped[np.ndarray, "y x"],
    label: Integer[np.ndarray, "y x"],
    structure: Structure,
    counts: Bool[np.ndarray, "y x"] | None,
) -> Iterable[Row]:
    check_ids(prediction, "prediction")
    check_ids(label, "label")
    matching = match(prediction, label, counts=counts) if structure.instances else None
    overlap = count_overlap(prediction > 0, label > 0, counts=counts)
    yield from (_row(structure, name, metric(overlap), overlap.empty) for name, metric in OVERLAP_METRICS.items())
    if matching is not None:
        yield from (
            _row(structure, name, metric(matching), matching.empty) for name, metric in INSTANCE_METRICS.items()
        )


def _missing(structure: Structure) -> list[Row]:
    return [_row(structure, metric, WORST, "missing") for metric in metrics_of(structure)]


def _row(structure: Structure, metric: str, value: float, empty: Empty) -> Row:
    return {"structure": structure.name, "metric": metric, "value": value, "empty": empty}


def _check_planes(
    prediction: Shaped[np.ndarray, "..."] | None,
    label: Integer[np.ndarray, "k y x"],
    structures: Sequence[Structure],
    known: Bool[np.ndarray, "k"] | None,
) -> None:
    sizes = {len(label), len(structures), *([] if known is None else [len(known)])}
    if len(sizes) > 1:
        raise ShapeError(
            f"There are {len(structures)} structures but {len(label)} planes of labels. Give one plane per structure."
        )
    if prediction is not None and prediction.shape != label.shape:
        raise ShapeError(
            f"The prediction is {prediction.shape} and the label {label.shape} (structure, y, x)."
            " They must be of one image at one size; nothing is resized here."
        )
