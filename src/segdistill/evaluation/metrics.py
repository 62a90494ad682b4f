"""Every score there is: its name, its unit, which direction is better, and what is best and worst."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from segdistill.data.labels import Structure
from segdistill.errors import ConfigError, UnknownName
from segdistill.evaluation.calibration import expected_calibration_error
from segdistill.evaluation.conventions import Empty
from segdistill.evaluation.instances import (
    aji_plus,
    average_precision,
    f1,
    mean_average_precision,
    merge_share,
    panoptic_quality,
    split_share,
)
from segdistill.evaluation.overlap import dice_of, iou_of, precision_of, recall_of
from segdistill.evaluation.plane import Plane
from segdistill.evaluation.surface import hd95, mean_surface_distance, normalised_surface_dice

SHARE = "0 to 1"
"""Unit of a score without one."""


@dataclass(frozen=True)
class Metric:
    """What a score says. ``METRICS`` has them all."""

    name: str
    """In files, settings and tables."""

    meaning: str
    """In words."""

    measure: Callable[[Plane], float]
    """Gives the score of one structure in one field."""

    higher_is_better: bool = True
    """Which direction is better."""

    is_length: bool = False
    """Whether it is a length, in pixels or micrometres; otherwise it is a share, 0 to 1."""

    has_tolerance: bool = False
    """Whether it depends on the ruler's tolerance, which its unit then states."""

    needs_objects: bool = False
    """Whether it compares single objects."""

    needs_probability: bool = False
    """Whether it compares a probability map, where there is one, instead of a mask."""

    def unit(self, length: str, tolerance: float) -> str:
        """Return the unit, and the tolerance where there is one.

        Args:
            length: Unit of lengths, "px" or "µm".
            tolerance: How far apart contours may lie, in that unit.

        >>> [METRICS[name].unit("µm", 1.0) for name in ("dice", "hd95", "nsd")]
        ['0 to 1', 'µm', '0 to 1, 1 µm']
        """
        if self.is_length:
            return length
        return f"{SHARE}, {tolerance:g} {length}" if self.has_tolerance else SHARE

    def worst(self, diagonal: float) -> float:
        """Return what a missing prediction is worth.

        Args:
            diagonal: Of the field, in the unit of lengths.

        >>> [METRICS[name].worst(50.0) for name in ("dice", "hd95", "splits")]
        [0.0, 50.0, 1.0]
        """
        if self.is_length:
            return diagonal
        return 0.0 if self.higher_is_better else 1.0

    def empty(self, plane: Plane) -> Empty:
        """Return which side has nothing that this score could compare; a probability map always has something."""
        if self.needs_probability:
            return ""
        return plane.matching.empty if self.needs_objects else plane.overlap.empty


_ALL = (
    Metric("dice", "Dice of pixels", lambda plane: dice_of(plane.overlap)),
    Metric("iou", "intersection over union of pixels", lambda plane: iou_of(plane.overlap)),
    Metric("precision", "share of predicted pixels that are labelled", lambda plane: precision_of(plane.overlap)),
    Metric("recall", "share of labelled pixels that are predicted", lambda plane: recall_of(plane.overlap)),
    Metric(
        "hd95",
        "larger of the two directed 95th percentiles of distances between contours",
        lambda plane: hd95(plane.surfaces),
        higher_is_better=False,
        is_length=True,
    ),
    Metric(
        "msd",
        "mean distance of the contour pixels of both masks from the other contour",
        lambda plane: mean_surface_distance(plane.surfaces),
        higher_is_better=False,
        is_length=True,
    ),
    Metric(
        "nsd",
        "share of the contour pixels of both masks within the tolerance of the other contour",
        lambda plane: normalised_surface_dice(plane.surfaces, plane.ruler.tolerance),
        has_tolerance=True,
    ),
    Metric(
        "boundary_dice",
        "Dice of the bands inside the contours, as wide as the tolerance",
        lambda plane: plane.boundary_dice,
        has_tolerance=True,
    ),
    Metric(
        "ap50",
        "average precision of objects, matched above an IoU of 0.5",
        lambda plane: average_precision(plane.matching),
        needs_objects=True,
    ),
    Metric(
        "map",
        "mean of the average precision at IoU 0.5, 0.55, ... 0.95",
        lambda plane: mean_average_precision(plane.matching),
        needs_objects=True,
    ),
    Metric("f1", "F1 of objects, matched above an IoU of 0.5", lambda plane: f1(plane.matching), needs_objects=True),
    Metric("pq", "panoptic quality", lambda plane: panoptic_quality(plane.matching), needs_objects=True),
    Metric(
        "aji_plus",
        "aggregated Jaccard index of objects assigned one to one",
        lambda plane: aji_plus(plane.matching),
        needs_objects=True,
    ),
    Metric(
        "splits",
        "share of labelled objects that hold most of each of several predicted ones",
        lambda plane: split_share(plane.matching),
        higher_is_better=False,
        needs_objects=True,
    ),
    Metric(
        "merges",
        "share of predicted objects that hold most of each of several labelled ones",
        lambda plane: merge_share(plane.matching),
        higher_is_better=False,
        needs_objects=True,
    ),
    Metric(
        "ece",
        "expected calibration error of foreground probabilities, 15 bins of equal width",
        lambda plane: expected_calibration_error(plane.reliability),
        higher_is_better=False,
        needs_probability=True,
    ),
)

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ALL})
"""By name, in the order in which they are shown."""

OF_MASKS = tuple(metric.name for metric in _ALL if not metric.needs_probability)
"""Those that need no probability map."""

USUAL = ("dice", "iou", "precision", "recall", "ap50", "f1", "pq")
"""Shares of which a mean over anything can be taken, and a percentage shown; the others have to be asked for."""


def find_metric(name: str) -> Metric:
    """Return a score by its name.

    Raises:
        UnknownName: There is none.

    >>> find_metric("hd95").higher_is_better
    False
    """
    if name not in METRICS:
        raise UnknownName("metric", name, METRICS)
    return METRICS[name]


def metrics_of(structure: Structure, names: Sequence[str] = USUAL) -> tuple[Metric, ...]:
    """Return those of some scores that a structure has, in the order of ``METRICS``.

    Args:
        structure: Scores of objects are only of structures whose instances are told apart.
        names: Which scores.

    Raises:
        UnknownName: There is no such score.
        ConfigError: No name is given.
    """
    if not names:
        raise ConfigError(f"No metric was asked for. Choose some of {', '.join(METRICS)}.")
    chosen = {find_metric(name).name for name in names}
    return tuple(
        metric for metric in _ALL if metric.name in chosen and (structure.instances or not metric.needs_objects)
    )


def metrics_table(*, unit: str, tolerance: float) -> str:
    """Return every score as a line of a Markdown table.

    Args:
        unit: Of lengths, "px" or "µm".
        tolerance: How far apart contours may lie, in that unit.

    >>> print(metrics_table(unit="px", tolerance=2.0).splitlines()[0])
    | name | what | unit | better | missing prediction |
    """
    lines = ["| name | what | unit | better | missing prediction |", "|---|---|---|---|---|"]
    for metric in _ALL:
        better = "higher" if metric.higher_is_better else "lower"
        worst = "diagonal of the field" if metric.is_length else f"{metric.worst(0.0):g}"
        lines.append(f"| {metric.name} | {metric.meaning} | {metric.unit(unit, tolerance)} | {better} | {worst} |")
    return "\n".join(lines) + "\n"
