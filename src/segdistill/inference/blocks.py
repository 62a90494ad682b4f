"""Objects of an image too large to hold: block by block, each object from the block that holds its centre."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt32
from scipy import ndimage

from segdistill.data.labels import Structure
from segdistill.inference.instances import segment

Maps = Callable[[tuple[slice, slice]], Float[np.ndarray, "o y x"]]
"""Returns the probability maps of a window (rows, columns) of the image."""


def segment_large(
    maps: Maps,
    shape: tuple[int, int],
    structures: Sequence[Structure],
    thresholds: Mapping[str, Mapping[str, float]],
    *,
    block: int = 2048,
    margin: int = 128,
) -> Iterator[dict[str, UInt32[np.ndarray, "y x"]]]:
    """Yield the masks of an image in bands of about ``block`` rows, from the top.

    Every block is segmented with a margin of its surroundings, and an object belongs to the block
    that holds its centre: so none is cut at a block's border and none is counted twice, as long as
    it is smaller than the margin. What memory is needed depends on the block and on the image's
    width, not on its height.

    Args:
        maps: Gives the probability maps of any window.
        shape: Height and width of the image, pixels.
        structures: What is segmented.
        thresholds: As for ``segment``.
        block: Side of a block, pixels.
        margin: Surroundings that a block also sees, pixels.
    """
    height, width = shape
    counts = {structure.name: 0 for structure in structures}
    # The canvas of a band has ``margin`` rows above and below it, for objects that reach over its
    # borders. Once the band is painted, all but its last two margins is final.
    canvas = {structure.name: np.zeros((2 * margin, width), np.uint32) for structure in structures}
    for top in range(0, height, block):
        rows = min(block, height - top)
        canvas = {name: np.pad(carried, ((0, rows), (0, 0))) for name, carried in canvas.items()}
        for left in range(0, width, block):
            place = _Block((top, left), (rows, min(block, width - left)), margin)
            masks = segment(maps(place.window(shape)), structures, thresholds)
            for structure in structures:
                name = structure.name
                paint = _paint_objects if structure.instances else _paint_mask
                counts[name] += paint(canvas[name], masks[name], place, counts[name])
        last = top + rows == height
        first_row, end_row = (margin if top == 0 else 0), (margin + rows if last else rows)
        yield {name: painted[first_row:end_row] for name, painted in canvas.items()}
        canvas = {name: painted[rows:] for name, painted in canvas.items()}


@dataclass(frozen=True)
class _Block:
    """One block: the corner and size of its own pixels, and how far around it is looked at; pixels."""

    corner: tuple[int, int]
    size: tuple[int, int]
    margin: int

    def window(self, shape: tuple[int, int]) -> tuple[slice, slice]:
        """Return what is looked at."""
        rows, columns = (
            slice(max(start - self.margin, 0), min(start + length + self.margin, end))
            for start, length, end in zip(self.corner, self.size, shape, strict=True)
        )
        return rows, columns

    @property
    def own(self) -> tuple[slice, slice]:
        """The block's own pixels within what is looked at."""
        rows, columns = (
            slice(min(self.margin, start), min(self.margin, start) + length)
            for start, length in zip(self.corner, self.size, strict=True)
        )
        return rows, columns

    def on_canvas(self, canvas: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return the part of the canvas under the mask; the canvas begins ``margin`` rows above the corner."""
        top, left = self.margin - self.own[0].start, self.corner[1] - self.own[1].start
        return canvas[top : top + mask.shape[0], left : left + mask.shape[1]]


def _paint_mask(canvas: np.ndarray, mask: np.ndarray, place: _Block, count: int) -> int:  # noqa: ARG001 - a mask has no numbers
    place.on_canvas(canvas, mask)[place.own] = mask[place.own]
    return 0


def _paint_objects(canvas: np.ndarray, mask: np.ndarray, place: _Block, count: int) -> int:
    """Paint the block's own objects on free pixels, numbered on from ``count``; return how many they are."""
    if mask.max(initial=0) == 0:
        return 0
    centres = np.array(ndimage.center_of_mass(mask > 0, mask, np.arange(1, int(mask.max()) + 1))).round().astype(int)
    own = np.all(
        [(axis >= part.start) & (axis < part.stop) for axis, part in zip(centres.T, place.own, strict=True)], 0
    )
    numbers = np.concatenate([[0], np.where(own, count + np.cumsum(own), 0)]).astype(np.uint32)
    painted, target = numbers[mask], place.on_canvas(canvas, mask)
    np.copyto(target, painted, where=(painted > 0) & (target == 0))
    return int(own.sum())
