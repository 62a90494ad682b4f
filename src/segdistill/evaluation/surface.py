"""How far the contours of two masks lie apart: HD95, mean distance, the share within a tolerance, boundary Dice.

A contour pixel is a pixel of a mask with a pixel beside it (above, below, left, right) that is not in
the mask. Distances are between centres of contour pixels, Euclidean.

Note [Where what counts ends]: at the edge of the image and of an ignore region nobody knows how an
object goes on. Where both masks run into such an edge, it is a contour of neither; the distance there
would be 0 and would flatter. Where only one of them does, it is a contour of that one. So leaving pixels
out and cutting them off are the same, and masks inside the image have the distances that MONAI gives.
(A mask that has no contour left, because all of it runs into edges as the other does, is near the
other where its edge is.)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, hypot

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.ndimage import distance_transform_edt
from scipy.spatial import KDTree

from segdistill.evaluation.checks import check_grids, check_mask
from segdistill.evaluation.conventions import BOTH_EMPTY, WORST, Empty, empty_side
from segdistill.evaluation.overlap import Mask, Overlap, dice_of
from segdistill.evaluation.ruler import PIXELS, Ruler

BLOCK = 2**21
"""Pixels looked at together: bounds the memory beside the masks and their contours."""

_ROUNDING = 1e-9
"""Relative. A distance of 2 pixels of 0.65 µm is within a tolerance of 1.3 µm."""


@dataclass(frozen=True, eq=False)
class Surfaces:
    """Distances of two contours from each other."""

    to_label: Float64[np.ndarray, "n"]
    """Of every contour pixel of the prediction from the label's nearest."""

    to_prediction: Float64[np.ndarray, "m"]
    """Of every contour pixel of the label from the prediction's nearest."""

    unit: str
    """Of the distances: "px" or "µm"."""

    diagonal: float
    """Of the field, in the same unit: longer than any distance in it, and what a missing mask is worth."""

    empty: Empty
    """Which mask has no pixel that counts; then there are no distances."""


def measure_surfaces(prediction: Mask, label: Mask, *, counts: Mask | None = None, ruler: Ruler = PIXELS) -> Surfaces:
    """Return how far the contours of two masks lie apart, both ways.

    Memory goes with the length of the contours, not with the size of the field.

    Args:
        prediction: Boolean mask.
        label: Boolean mask of the same shape.
        counts: True where a pixel counts. None: everywhere.
        ruler: In what to measure.

    Raises:
        ShapeError: The shapes differ.
        DataError: A mask is not boolean, or no pixel counts.

    >>> label = np.zeros((5, 9), bool)
    >>> label[1:4, 1:4] = True
    >>> found = measure_surfaces(np.roll(label, 2, axis=1), label, ruler=Ruler(0.5))
    >>> float(found.to_label.max()), found.unit
    (1.0, 'µm')
    """
    check_grids(prediction, label, counts)
    check_mask(prediction, "prediction")
    check_mask(label, "label")
    diagonal = hypot(*label.shape) * ruler.pixel
    sides = [_Contour.of(prediction, label, counts), _Contour.of(label, prediction, counts)]
    empty = empty_side(*(len(side.places) for side in sides))
    distances = [np.zeros(0)] * 2 if empty else [_distances(*sides), _distances(*reversed(sides))]
    to_label, to_prediction = (each * ruler.pixel for each in distances)
    return Surfaces(to_label, to_prediction, ruler.unit, diagonal, empty)


def hd95(surfaces: Surfaces) -> float:
    """Return the larger of the two 95th percentiles of distances, one for each direction.

    As in MONAI and surface-distance; tools that take the percentile of both directions together
    give less. Between two ranks it is interpolated.

    Args:
        surfaces: From ``measure_surfaces``.

    Returns:
        In the surfaces' unit. 0 if both masks are empty, the field's diagonal if one is.

    Source:
        Huttenlocher et al. 1993, Comparing images using the Hausdorff distance, IEEE PAMI 15(9).

    >>> label = np.zeros((5, 9), bool)
    >>> label[1:4, 1:4] = True
    >>> hd95(measure_surfaces(np.roll(label, 2, axis=1), label))
    2.0
    """
    if surfaces.empty:
        return _no_distance(surfaces)
    both = (surfaces.to_label, surfaces.to_prediction)
    return max((float(np.quantile(each, 0.95)) for each in both if each.size), default=0.0)


def mean_surface_distance(surfaces: Surfaces) -> float:
    """Return the mean distance over all contour pixels of both masks (average symmetric surface distance).

    Args:
        surfaces: From ``measure_surfaces``.

    Returns:
        In the surfaces' unit. 0 if both masks are empty, the field's diagonal if one is.

    Source:
        Heimann et al. 2009, Comparison and evaluation of methods for liver segmentation, IEEE TMI 28(8).

    >>> label = np.array([[0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]], bool)
    >>> mean_surface_distance(measure_surfaces(np.roll(label, 3, axis=1), label))
    3.0
    """
    if surfaces.empty:
        return _no_distance(surfaces)
    every = np.concatenate([surfaces.to_label, surfaces.to_prediction])
    return float(every.mean()) if every.size else 0.0


def normalised_surface_dice(surfaces: Surfaces, tolerance: float) -> float:
    """Return the share of all contour pixels of both masks that lie within a tolerance of the other contour, 0 to 1.

    Args:
        surfaces: From ``measure_surfaces``.
        tolerance: In the surfaces' unit, > 0; a distance may equal it.

    Returns:
        1 if both masks are empty, 0 if one is.

    Source:
        Nikolov et al. 2018, arXiv:1809.04430; contours are counted in pixels, as MONAI does, not by
        length.

    >>> label = np.zeros((5, 9), bool)
    >>> label[1:4, 1:4] = True
    >>> found = measure_surfaces(np.roll(label, 2, axis=1), label)
    >>> normalised_surface_dice(found, 2.0), normalised_surface_dice(found, 1.0)
    (1.0, 0.625)
    """
    if surfaces.empty:
        return BOTH_EMPTY if surfaces.empty == "both" else WORST
    every = np.concatenate([surfaces.to_label, surfaces.to_prediction])
    return float(np.mean(every <= tolerance * (1 + _ROUNDING))) if every.size else BOTH_EMPTY


def boundary_dice(prediction: Mask, label: Mask, *, counts: Mask | None = None, ruler: Ruler = PIXELS) -> float:
    """Return the Dice of the two masks' bands along their contours, 0 to 1.

    A band holds the pixels of a mask that lie at most the ruler's tolerance from a pixel outside it,
    and at least its contour. The edge of what counts is not outside.

    Args:
        prediction: Boolean mask.
        label: Boolean mask of the same shape.
        counts: True where a pixel counts. None: everywhere.
        ruler: Its tolerance is the width of the bands.

    Returns:
        1 if both masks are empty or neither has a contour, 0 if one is or has.

    Raises:
        ShapeError: The shapes differ.
        DataError: A mask is not boolean, or no pixel counts.

    Source:
        Cheng et al. 2021, Boundary IoU, arXiv:2103.16562, with Dice in place of IoU.

    >>> label = np.zeros((7, 9), bool)
    >>> label[1:6, 1:6] = True
    >>> boundary_dice(np.roll(label, 2, axis=1), label, ruler=Ruler(tolerance=1.0))
    0.375
    """
    check_grids(prediction, label, counts)
    check_mask(prediction, "prediction")
    check_mask(label, "label")
    width = max(ruler.tolerance_pixels * (1 + _ROUNDING), 1.0)
    masks = band = Overlap(0, 0, 0)
    for rows, halo in _strips(label.shape, ceil(width)):
        count = None if counts is None else counts[halo]
        pair = [_Inside.of(mask[halo], count) for mask in (prediction, label)]
        inner = slice(rows.start - halo.start, rows.stop - halo.start)
        masks = _added(masks, *(each.inside[inner] for each in pair))
        band = _added(band, *(each.band(width)[inner] for each in pair))
    return dice_of(band) if not masks.empty else dice_of(masks)


def _no_distance(surfaces: Surfaces) -> float:
    return 0.0 if surfaces.empty == "both" else surfaces.diagonal


def _added(overlap: Overlap, prediction: Bool[np.ndarray, "y x"], label: Bool[np.ndarray, "y x"]) -> Overlap:
    both, predicted, labelled = (int(np.count_nonzero(each)) for each in (prediction & label, prediction, label))
    return Overlap(overlap.both + both, overlap.prediction + predicted, overlap.label + labelled)


@dataclass(frozen=True, eq=False)
class _Inside:
    """Some rows of a mask: pixels that count and are in it, and pixels that count and are not."""

    inside: Bool[np.ndarray, "y x"]
    outside: Bool[np.ndarray, "y x"]

    @classmethod
    def of(cls, mask: Bool[np.ndarray, "y x"], counts: Bool[np.ndarray, "y x"] | None) -> "_Inside":
        return cls(mask, ~mask) if counts is None else cls(mask & counts, ~mask & counts)

    def band(self, width: float) -> Bool[np.ndarray, "y x"]:
        if not self.inside.any() or not self.outside.any():
            return np.zeros_like(self.inside)
        away: Float64[np.ndarray, "y x"] = distance_transform_edt(~self.outside)  # pyright: ignore[reportAssignmentType]
        return self.inside & (away <= width)


@dataclass(frozen=True, eq=False)
class _Contour:
    """Contour pixels of a mask, row by row."""

    places: Int64[np.ndarray, "n 2"]
    """Row and column."""

    counted: Bool[np.ndarray, "n"]
    """False where both masks run into the edge of what counts; see Note [Where what counts ends]."""

    @property
    def own(self) -> Int64[np.ndarray, "m 2"]:
        """Places from which distances are taken."""
        return self.places[self.counted]

    @property
    def aim(self) -> Int64[np.ndarray, "m 2"]:
        """Places to which they are taken."""
        return self.own if self.counted.any() else self.places

    @classmethod
    def of(
        cls, mask: Bool[np.ndarray, "y x"], other: Bool[np.ndarray, "y x"], counts: Bool[np.ndarray, "y x"] | None
    ) -> "_Contour":
        places, counted = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.bool_)]
        for rows, halo in _strips(mask.shape, 1):
            part = _Inside.of(mask[halo], None if counts is None else counts[halo])
            inner = slice(rows.start - halo.start, rows.stop - halo.start)
            real = (part.inside & _beside(part.outside))[inner]
            at_edge = (part.inside & _beside(~(part.inside | part.outside), beyond=True))[inner]
            found = np.argwhere(real | at_edge).astype(np.int64)
            at = tuple(found.T)
            places.append(found + np.array([rows.start, 0]))
            counted.append(real[at] | ~other[rows][at])
        return cls(np.concatenate(places), np.concatenate(counted))


def _strips(shape: tuple[int, ...], reach: int) -> Iterator[tuple[slice, slice]]:
    """Yield the rows of a field in parts, and each part with as many rows on either side as there are within reach."""
    height, width = shape
    step = max(BLOCK // max(width, 1), 2 * reach, 1)
    for start in range(0, height, step):
        stop = min(start + step, height)
        yield slice(start, stop), slice(max(start - reach, 0), min(stop + reach, height))


def _beside(mask: Bool[np.ndarray, "y x"], *, beyond: bool = False) -> Bool[np.ndarray, "y x"]:
    """Return where a pixel above, below, left or right is in a mask; ``beyond`` is what lies beyond the array."""
    padded = np.pad(mask, 1, constant_values=beyond)
    return padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]


def _distances(of: _Contour, to: _Contour) -> Float64[np.ndarray, "n"]:
    """Return the distance of every pixel of one contour from the nearest of the other, pixels."""
    points, aim = of.own, to.aim
    distances = np.zeros(len(points))
    apart = ~_among(points, aim)
    if apart.any():
        tree = KDTree(aim, balanced_tree=False, compact_nodes=False)
        distances[apart] = tree.query(points[apart])[0]
    return distances


def _among(points: Int64[np.ndarray, "n 2"], others: Int64[np.ndarray, "m 2"]) -> Bool[np.ndarray, "n"]:
    """Return which points occur among others; most contours agree in most places, and need no search."""
    width = 1 + max(points[:, 1].max(initial=0), others[:, 1].max(initial=0))
    return np.isin(points @ [width, 1], others @ [width, 1], assume_unique=True)
