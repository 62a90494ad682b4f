"""Labels that are outlines: objects drawn in QuPath, in ImageJ or for COCO, turned into a label image.

Coordinates are pixels of the image at full resolution, x before y, counted from the corner of the first
pixel, as all of them count. A pixel belongs to the object in which its centre lies; of several it
belongs to the last. Rings of one part count by the even-odd rule, so that a ring in a ring is a hole.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from jaxtyping import Bool, Float64, Int32

from segdistill.data import coco
from segdistill.data.geojson import read_geojson
from segdistill.data.imagej import read_imagej
from segdistill.data.outline import Outline, Stamp
from segdistill.errors import DataError

_READERS: Mapping[str, Callable[[Path], Sequence[Outline | Stamp]]] = {
    ".geojson": read_geojson,
    ".roi": read_imagej,
    ".zip": read_imagej,
    coco.SUFFIX: coco.read_objects,
}


@dataclass(frozen=True, eq=False)
class _Painted:
    """Where an object lies."""

    rows: slice
    columns: slice
    inside: Bool[np.ndarray, "y x"]


def is_outlines(path: Path) -> bool:
    """Return whether a label file holds outlines, which have no size of their own.

    >>> is_outlines(Path("A01.geojson")), is_outlines(Path("A01.tif"))
    (True, False)
    """
    return path.suffix.lower() in _READERS


def stated_shape(path: Path) -> tuple[int, int] | None:
    """Return the pixels along y and x of the image that outlines were drawn on, where they say it, as COCO files do.

    >>> stated_shape(Path("A01.geojson")) is None
    True
    """
    return coco.stated_shape(path) if path.suffix == coco.SUFFIX else None


def read_outlines(path: Path, shape: tuple[int, int]) -> Int32[np.ndarray, "y x"]:
    """Return the objects of a file, numbered from 1 in its order.

    Args:
        path: GeoJSON as QuPath exports it, ImageJ's .roi or .zip of them, or a path into a COCO file.
        shape: Pixels of the image along y and x.

    Raises:
        DataError: The file is damaged, or an object is no area, lies outside the image, is smaller than
            a pixel, or lies within another one: then it is unclear which of the two is meant.
    """
    _refuse_other_size(path, shape)
    labels = np.zeros(shape, np.int32)
    outlines = _READERS[path.suffix.lower()](path)
    for number, outline in enumerate(outlines, start=1):
        place = _paint(outline, shape)
        if not place.inside.any():
            _refuse_nothing(path, outline, shape)
        under = labels[place.rows, place.columns]
        if under[place.inside].all():
            _refuse_nested(path, outline, outlines[int(under[place.inside][0]) - 1])
        under[place.inside] = number
    hidden = np.setdiff1d(np.arange(1, len(outlines) + 1), labels)
    if len(hidden):
        outline = outlines[int(hidden[0]) - 1]
        place = _paint(outline, shape)
        over = labels[place.rows, place.columns][place.inside]
        _refuse_nested(path, outline, outlines[int(over[0]) - 1])
    return labels


def read_uncounted(path: Path, shape: tuple[int, int]) -> Bool[np.ndarray, "y x"]:
    """Return which pixels a label file says nothing of: the crowds of a COCO file; of every other file none.

    They count for nothing, also where a single object was drawn over them.

    Args:
        path: Of any label file.
        shape: Pixels of the image along y and x.

    Raises:
        DataError: The file is damaged, was drawn on another size, or a crowd covers no pixel.
    """
    uncounted = np.zeros(shape, bool)
    if path.suffix != coco.SUFFIX:
        return uncounted
    _refuse_other_size(path, shape)
    for outline in coco.read_crowds(path):
        place = _paint(outline, shape)
        if not place.inside.any():
            _refuse_nothing(path, outline, shape)
        uncounted[place.rows, place.columns] |= place.inside
    return uncounted


def _paint(outline: Outline | Stamp, shape: tuple[int, int]) -> _Painted:
    """Return which pixels of an image have their centre in an object."""
    if isinstance(outline, Stamp):
        height, width = outline.inside.shape
        rows = slice(outline.top, outline.top + height)
        return _Painted(rows, slice(outline.left, outline.left + width), outline.inside)
    corners = np.concatenate([ring for part in outline.parts for ring in part])
    low = np.floor(corners.min(axis=0)).clip(0, shape[::-1]).astype(int)
    high = np.ceil(corners.max(axis=0)).clip(low, shape[::-1]).astype(int)
    rows, columns = slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))
    inside = np.zeros((rows.stop - rows.start, columns.stop - columns.start), bool)
    for part in outline.parts:
        inside |= fill([ring - low for ring in part], inside.shape)
    return _Painted(rows, columns, inside)


def fill(rings: Sequence[Float64[np.ndarray, "_ 2"]], shape: tuple[int, int]) -> Bool[np.ndarray, "y x"]:
    """Return which pixels have their centre inside some rings, by the even-odd rule.

    A centre that lies exactly on an edge is inside on one of its two sides only: areas that share an edge
    share no pixel, and leave none between them.

    Args:
        rings: Corners, x before y; the last is joined to the first.
        shape: Pixels along y and x.

    >>> fill([np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]])], (2, 3)).astype(int)
    array([[1, 1, 0],
           [0, 0, 0]])
    """
    height, width = shape
    start = np.concatenate(list(rings))
    end = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    # Rows whose centre line an edge crosses: at an edge's upper end the line counts as crossed, at its lower not.
    ends = np.ceil(np.stack([start[:, 1], end[:, 1]]) - 0.5).clip(0, height).astype(np.int64)
    first, counts = ends.min(axis=0), np.abs(ends[0] - ends[1])
    edge = np.repeat(np.arange(len(counts)), counts)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts - first, counts)
    downwards = (start[:, 1] < end[:, 1])[:, None]  # one direction, so that both sides of an edge round alike
    (x0, y0), (x1, y1) = np.where(downwards, start, end)[edge].T, np.where(downwards, end, start)[edge].T
    crossed = x0 + (row + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
    column = np.ceil(crossed - 0.5).clip(0, width).astype(np.int64)
    turns = np.bincount(row * (width + 1) + column, minlength=height * (width + 1)).reshape(height, width + 1)
    return (np.cumsum(turns, axis=1)[:, :width] % 2).astype(bool)


def _refuse_other_size(path: Path, shape: tuple[int, int]) -> None:
    found = stated_shape(path)
    if found is not None and found != shape:
        raise DataError(
            f"{path} was drawn on an image of {found[0]} × {found[1]} pixels (y × x), but its image has {shape[0]} ×"
            f" {shape[1]}. Export the annotations for this image, or pair them with the one they were drawn on."
        )


def _refuse_nothing(path: Path, outline: Outline | Stamp, shape: tuple[int, int]) -> NoReturn:
    if isinstance(outline, Stamp):
        raise DataError(f"{path}: {outline.name} covers no pixel: its mask is empty. Remove it or draw it again.")
    corners = np.concatenate([ring for part in outline.parts for ring in part])
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    raise DataError(
        f"{path}: {outline.name} covers no pixel of its image: it reaches from x {left:g} to {right:g} and y {top:g}"
        f" to {bottom:g}, the image has {shape[1]} × {shape[0]} pixels (x × y). Outlines are read as pixels of the"
        " image at full resolution: correct it, remove it, or pair the file with the image it was drawn on."
    )


def _refuse_nested(path: Path, inner: Outline | Stamp, outer: Outline | Stamp) -> NoReturn:
    raise DataError(
        f"{path}: {inner.name} lies within others such as {outer.name}, so it is unclear which of them is the object."
        " Export one kind of objects only (say, the cells without the region they were found in), or one file each."
    )
