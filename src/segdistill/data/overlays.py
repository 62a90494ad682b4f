"""Marks that a machine or a person wrote into a picture: text, caliper crosses, coloured lines.

A network learns them: calipers are set where somebody saw a lesion.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

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
    crosses = sum(_is_cross(bright[box]) for box in boxes)
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
    """Return how many marks with one top and one bottom stand side by side, at most."""
    lines: defaultdict[tuple[int, int], list[slice]] = defaultdict(list)
    for down, across in boxes:
        lines[down.start, down.stop].append(across)
    best = 0
    for (top, bottom), line in lines.items():
        run = 1
        ordered = sorted(line, key=lambda across: across.start)
        for left, right in pairwise(ordered):
            run = run + 1 if right.start - left.stop <= bottom - top else 1
            best = max(best, run)
    return best


def _is_cross(mark: Bool[np.ndarray, "y x"]) -> bool:
    """Return whether a mark is an upright or slanting cross: two strokes, whole and thin, and nothing else."""
    height, width = mark.shape
    if height < 9 or not (0.7 <= height / width <= 1.4):
        return False
    rows, columns = np.mgrid[0:height, 0:width]
    down, across = np.abs(rows - (height - 1) / 2), np.abs(columns - (width - 1) / 2)
    slant = np.abs(down - across * height / width)
    for away in (np.minimum(down, across), slant):
        if mark[away <= 0.5].mean() > 0.8 and not mark[away > max(1.5, 0.12 * height)].any():
            return True
    return False
