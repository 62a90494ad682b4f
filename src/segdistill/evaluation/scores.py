"""The scores of one image: rows of structure, metric and value."""

from collections.abc import Sequence
from math import hypot
from typing import NotRequired, TypedDict

import numpy as np
from jaxtyping import Bool, Integer, Shaped

from segdistill.data.labels import Structure
from segdistill.errors import ShapeError
from segdistill.evaluation.checks import check_ids
from segdistill.evaluation.conventions import Empty
from segdistill.evaluation.metrics import USUAL, Metric, metrics_of
from segdistill.evaluation.plane import Plane
from segdistill.evaluation.ruler import PIXELS, Ruler


class Row(TypedDict):
    """One score."""

    structure: str
    """Name of the structure."""

    metric: str
    """Name of the score; ``METRICS`` says what it is."""

    value: float
    """In the unit."""

    empty: Empty
    """What was empty: nothing, both, label, prediction; or missing."""

    unit: NotRequired[str]
    """Such as "0 to 1", "px" or "µm". Rows that were kept before there were lengths have none: "0 to 1"."""


def score_case(
    prediction: Shaped[np.ndarray, "..."] | None,
    label: Integer[np.ndarray, "k y x"],
    structures: Sequence[Structure],
    *,
    counts: Bool[np.ndarray, "y x"] | None = None,
    known: Bool[np.ndarray, "k"] | None = None,
    metrics: Sequence[str] = USUAL,
    ruler: Ruler = PIXELS,
    probability: Shaped[np.ndarray, "..."] | None = None,
) -> list[Row]:
    """Return the scores of one image.

    Args:
        prediction: One plane per structure: ids for instances, else 0 and 1. None: there is no
            prediction, which has the worst of every score, even where nothing is labelled.
        label: Planes in the same order.
        structures: What the planes show.
        counts: True where a pixel counts. None: everywhere.
        known: True for structures that are labelled in this image; others get no rows. None: all.
        metrics: Names of scores, of ``METRICS``. Those of objects are given for instances only.
        ruler: In what lengths are told, and how far apart contours may lie.
        probability: Maps of foreground in the order of the planes, 0 to 1, for scores of calibration.
            None: there is no map, and such scores are the worst where they are asked for.

    Raises:
        ShapeError: The shapes differ, or there is not one plane per structure.
        DataError: Planes are not integers, ids are negative, probabilities are none, or no pixel counts.
        UnknownName: There is no such score.
        ConfigError: No score is asked for.

    >>> cell = np.array([[[1, 1, 0, 2]]])
    >>> [row["metric"] for row in score_case(cell, cell, [Structure("cell", instances=True)])]
    ['dice', 'iou', 'precision', 'recall', 'ap50', 'f1', 'pq']
    """
    _check_planes(prediction, label, structures, known)
    _check_shape(probability, label, "probability map")
    rows: list[Row] = []
    for place, structure in enumerate(structures):
        wanted = metrics_of(structure, metrics)
        if known is not None and not known[place]:
            continue
        check_ids(label[place], "label")
        if prediction is not None:
            check_ids(prediction[place], "prediction")
        mask = label[place] if prediction is None else prediction[place]  # stands in; no score looks at it then
        plane = Plane(mask, label[place], counts, ruler, None if probability is None else probability[place])
        missing = {False: prediction is None, True: probability is None}
        rows += (_score(plane, structure, metric, missing=missing[metric.needs_probability]) for metric in wanted)
    return rows


def _score(plane: Plane, structure: Structure, metric: Metric, *, missing: bool) -> Row:
    if missing:
        diagonal = hypot(*plane.label.shape) * plane.ruler.pixel
        return _row(structure, metric, metric.worst(diagonal), "missing", plane.ruler)
    return _row(structure, metric, metric.measure(plane), metric.empty(plane), plane.ruler)


def _row(structure: Structure, metric: Metric, value: float, empty: Empty, ruler: Ruler) -> Row:
    return {
        "structure": structure.name,
        "metric": metric.name,
        "value": value,
        "empty": empty,
        "unit": metric.unit(ruler.unit, ruler.tolerance),
    }


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
    _check_shape(prediction, label, "prediction")


def _check_shape(given: Shaped[np.ndarray, "..."] | None, label: Integer[np.ndarray, "k y x"], name: str) -> None:
    if given is not None and given.shape != label.shape:
        raise ShapeError(
            f"The {name} is {given.shape} and the label {label.shape} (structure, y, x)."
            " They must be of one image at one size; nothing is resized here."
        )
