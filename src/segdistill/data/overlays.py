"""Marks that a machine or a person wrote into a picture: text, caliper crosses, coloured lines.

A network learns them: calipers are set where somebody saw a lesion.
"""

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from jaxtyping import Bool, Integer, Shaped

from segdistill.data.channels import COLOURS, UNNAMED
from segdistill.data.pieces import boxes_of, grown_by_one, pieces_of

_GREY = 6
"""Colours that differ by no more are grey, of 255."""

_COLOURED = 60
"""Colours that differ by more were drawn, in a picture that is grey otherwise, of 255."""

_CHARACTER = (7, 40)
"""Height of a character or mark, pixels: from, to."""

_BRIGHT, _DARK = 0.7, 0.55
"""Marks are brighter, and what surrounds them is darker, than these shares of the brightest pixel."""

_ROW = 3
"""So many characters of one height on one line are text."""

_STROKE = (9, 40)
"""Length of a stroke of a cross, pixels: from, to."""

_UNEQUAL = 3
"""The two strokes of a cross may differ by so much in length, and a stroke's two halves too, pixels."""


def find_overlays(image: Shaped[np.ndarray, "c y x"], channels: Sequence[str]) -> tuple[str, ...]:
    """Return what seems to be written into a picture, in words; empty where nothing does.

    Only 8-bit pictures of one unnamed channel or of red, green and blue are looked at: microscopes
    do not write into the channels they name. The finding is a hint and no more: it misses faint
    marks, and may take small bright things in a row for text.

    Args:
        image: The whole picture.
        channels: Their names.

    >>> picture = np.zeros((1, 40, 200), np.uint8)
    >>> for left in range(10, 90, 10):
    ...     picture[:, 10:20, left : left + 4] = 255
    >>> find_overlays(picture, ["channel0"])
    ('8 bright characters in a row',)
    """
    names = tuple(channels)
    if image.dtype != np.uint8 or names not in {(UNNAMED,), COLOURS}:
        return ()
    return tuple(_found(image.astype(np.int16)))


def _found(image: Integer[np.ndarray, "c y x"]) -> Iterator[str]:
    spread = image.max(axis=0) - image.min(axis=0)
    if np.median(spread) > _GREY or (spread > _GREY).mean() > 0.05:
        return  # a colour picture
    drawn = spread > _COLOURED
    if drawn.sum() >= 20:
        yield f"coloured marks ({drawn.sum():,} pixels) in a grey picture"
    bright = image.min(axis=0) >= _BRIGHT * max(int(image.max()), 1)
    boxes = list(_marks(bright, image.max(axis=0)))
    longest = _longest_row(boxes)
    if longest >= _ROW:
        yield f"{longest} bright characters in a row"
    crosses = _upright_crosses(bright, image.max(axis=0)) + sum(_is_slanting_cross(bright[box]) for box in boxes)
    if crosses >= 2:
        yield f"{crosses} bright crosses"


def _marks(bright: Bool[np.ndarray, "y x"], light: Integer[np.ndarray, "y x"]) -> Iterator[tuple[slice, slice]]:
    """Yield the boxes of bright pieces as large as characters whose surroundings are dark."""
    pieces, _ = pieces_of(bright)
    low, high = _CHARACTER
    for number, box in boxes_of(pieces):
        height, width = box[0].stop - box[0].start, box[1].stop - box[1].start
        if not (low <= height <= high and 2 <= width <= high):
            continue
        around = (
            slice(max(0, box[0].start - 2), box[0].stop + 2),
            slice(max(0, box[1].start - 2), box[1].stop + 2),
        )
        own = pieces[around] == number
        ring = ~grown_by_one(own) & ~bright[around]
        if ring.any() and np.median(light[around][ring]) < _DARK * light.max():
            yield box


def _longest_row(boxes: Sequence[tuple[slice, slice]]) -> int:
    """Return how many marks of one line, as high as each other, stand side by side, at most."""
    ordered = sorted(boxes, key=lambda box: box[1].start)
    runs: list[int] = []
    for place, box in enumerate(ordered):
        longest = 0
        for before in range(place - 1, -1, -1):
            if ordered[before][1].start < box[1].start - 2 * _CHARACTER[1]:
                break  # too far, as are all others
            if _follows(ordered[before], box):
                longest = max(longest, runs[before])
        runs.append(longest + 1)
    return max(runs, default=0)


def _follows(left: tuple[slice, slice], right: tuple[slice, slice]) -> bool:
    """Return whether a mark is the next character of a line: as high, within a pixel, and near."""
    level = abs(left[0].start - right[0].start) <= 1 and abs(left[0].stop - right[0].stop) <= 1
    return level and -1 <= right[1].start - left[1].stop <= left[0].stop - left[0].start


def _upright_crosses(bright: Bool[np.ndarray, "y x"], light: Integer[np.ndarray, "y x"]) -> int:
    """Return how many crosses of a vertical and a horizontal stroke there are: thin, as long, on dark ground.

    One corner may hold anything: calipers are numbered, and the digit often touches the cross.
    """
    down, above = _runs(bright)
    across, before = (each.T for each in _runs(bright.T))
    halved = (np.abs(2 * above + 1 - down) <= _UNEQUAL) & (np.abs(2 * before + 1 - across) <= _UNEQUAL)
    low, high = _STROKE
    long = (np.minimum(down, across) >= low) & (np.maximum(down, across) <= high)
    centres = bright & halved & long & (np.abs(down - across) <= _UNEQUAL)
    for y, x in np.argwhere(centres).tolist():
        reach = int(min(down[y, x], across[y, x])) // 2
        empty = [
            not bright[corner].any() and np.median(light[corner]) < _DARK * light.max()
            for corner in product(_beside(y, reach), _beside(x, reach))
        ]
        centres[y, x] = sum(empty) >= 3
    return pieces_of(centres)[1]


def _beside(middle: int, reach: int) -> tuple[slice, slice]:
    """Return the pixels on both sides of a stroke's middle, without the stroke, which may be three pixels wide."""
    return slice(max(0, middle - reach), middle - 1), slice(middle + 2, middle + reach + 1)


def _runs(mask: Bool[np.ndarray, "y x"]) -> tuple[Integer[np.ndarray, "y x"], Integer[np.ndarray, "y x"]]:
    """Return how long the vertical run of True through each pixel is, and how many of it lie above the pixel.

    >>> [each[:, 0].tolist() for each in _runs(np.array([[True], [True], [False], [True]]))]
    [[2, 2, 0, 1], [0, 1, 0, 0]]
    """
    above, below = (np.zeros(mask.shape, np.int32) for _ in range(2))
    for row in range(1, len(mask)):
        above[row] = np.where(mask[row] & mask[row - 1], above[row - 1] + 1, 0)
        below[-1 - row] = np.where(mask[-1 - row] & mask[-row], below[-row] + 1, 0)
    return np.where(mask, above + below + 1, 0), above


def _is_slanting_cross(mark: Bool[np.ndarray, "y x"]) -> bool:
    """Return whether a mark is a cross of two diagonals, whole and thin, and nothing else."""
    height, width = mark.shape
    if height < _STROKE[0] or not (0.7 <= height / width <= 1.4):
        return False
    rows, columns = np.mgrid[0:height, 0:width]
    down, across = np.abs(rows - (height - 1) / 2), np.abs(columns - (width - 1) / 2)
    away = np.abs(down - across * height / width)
    return bool(mark[away <= 0.5].mean() > 0.8 and not mark[away > max(1.5, 0.12 * height)].any())
