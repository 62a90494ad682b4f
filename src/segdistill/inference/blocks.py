"""Masks of an image too large to segment in one piece: block by block, as the probability maps come in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Float

from segdistill.data.image import Window
from segdistill.data.labels import Structure
from segdistill.errors import ShapeError
from segdistill.inference.canvas import Canvas, Mask, ObjectCanvas, Place, PlainCanvas
from segdistill.inference.instances import find_seeds, seed_reach, segment

_WHOLE = 2**22
"""Images of at most so many pixels are one block."""

_SIDE = 1024
"""Side of the blocks of larger images, pixels."""

_BAND = 2**23
"""About so many pixels are in a row of blocks, if the image is wide."""


class BlockSegmenter:
    """Takes the probability maps of an image, row by row, and gives its masks; a context manager.

    What memory it needs depends on the image's width, not on its height: maps are kept for one row of
    blocks, and masks wait on the disk until every object has its number.

    Args:
        shape: Height and width of the image, pixels.
        structures: What is segmented.
        thresholds: As for ``segment``.
        folder: For temporary data. None is the system's.
        block: Side of a block, pixels. None chooses one; small images are one block.
        margin: What a block sees around itself, pixels. Objects that reach no farther than this from
            their seed are those of the uncut image.

    >>> maps = np.zeros((2, 4, 9), np.float32)
    >>> maps[0, 1:3, 1:8] = 0.9                     # one object across three blocks
    >>> with BlockSegmenter((4, 9), [Structure("cell", True)], {}, block=3, margin=2) as segmenter:
    ...     segmenter.add((slice(0, 4), slice(0, 9)), maps)
    ...     mask = segmenter.finish()["cell"]
    ...     mask.objects, mask.whole()[1].tolist()
    (1, [0, 1, 1, 1, 1, 1, 1, 1, 0])
    """

    def __init__(
        self,
        shape: tuple[int, int],
        structures: Sequence[Structure],
        thresholds: Mapping[str, Mapping[str, Any]],
        *,
        folder: Path | None = None,
        block: int | None = None,
        margin: int = 64,
    ) -> None:
        self._shape = shape
        self._structures = tuple(structures)
        # An object may lie in several blocks, so its size is known, and judged, only at the end.
        self._thresholds = {name: {**cut, "minimum_size": 0} for name, cut in thresholds.items()}
        self._block = _block_sides(shape) if block is None else (block, block)
        self._margin = margin
        self._reach = seed_reach(thresholds)
        self._rows = _Rows(shape[1])
        self._top = 0
        self._canvases: dict[str, Canvas] = {}
        for structure in self._structures:
            minimum = int(thresholds.get(structure.name, {}).get("minimum_size", 0))
            self._canvases[structure.name] = (
                ObjectCanvas(shape[1], margin=margin, minimum_size=minimum, folder=folder)
                if structure.instances
                else PlainCanvas(shape[1], folder=folder)
            )

    def add(self, window: Window, maps: Float[np.ndarray, "o y x"]) -> None:
        """Take the maps of one part; the parts cover the image row by row, without gaps."""
        self._rows.add(window, maps)
        while self._top < self._shape[0] and self._rows.complete >= self._needed:
            self._segment_band()

    @property
    def _needed(self) -> int:
        return min(self._top + self._block[0] + self._margin + self._reach, self._shape[0])

    def _segment_band(self) -> None:
        rows = slice(self._top, min(self._top + self._block[0], self._shape[0]))
        for left in range(0, self._shape[1], self._block[1]):
            own = (rows, slice(left, min(left + self._block[1], self._shape[1])))
            place = Place(own, self._around(own, self._margin))
            # Neighbours must agree on every pixel that both see whether it is a seed: so seeds are found with
            # all that they depend on in sight.
            wide = self._around(own, self._margin + self._reach)
            inner = _within(place.seen, wide)
            maps = self._rows.take(wide)
            found = find_seeds(maps, self._structures, self._thresholds)
            seeds = {name: mask[inner] for name, mask in found.items()}
            masks = segment(maps[:, *inner], self._structures, self._thresholds, seeds=seeds)
            for name, mask in masks.items():
                self._canvases[name].add(mask, seeds[name], place)
        self._top = rows.stop
        self._rows.forget(rows.stop - self._margin - self._reach)

    def _around(self, window: Window, border: int) -> Window:
        """Return a window with so many pixels around it, as far as the image reaches."""
        rows, columns = (
            slice(max(span.start - border, 0), min(span.stop + border, length))
            for span, length in zip(window, self._shape, strict=True)
        )
        return rows, columns

    def finish(self) -> dict[str, Mask]:
        """Return the mask of each structure, once all parts were given. They can be read until this is closed.

        Raises:
            ShapeError: Parts are missing.
        """
        if self._top < self._shape[0]:
            raise ShapeError(
                f"Maps of {self._rows.complete} of {self._shape[0]} rows were given. Give all parts of the image."
            )
        return {name: canvas.finish() for name, canvas in self._canvases.items()}

    def close(self) -> None:
        """Let go of temporary data."""
        for canvas in self._canvases.values():
            canvas.close()

    def __enter__(self) -> "BlockSegmenter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _within(window: Window, larger: Window) -> Window:
    """Return where a window lies in a larger one."""
    rows, columns = (
        slice(span.start - other.start, span.stop - other.start) for span, other in zip(window, larger, strict=True)
    )
    return rows, columns


def _block_sides(shape: tuple[int, int]) -> tuple[int, int]:
    """Return height and width of a block, pixels.

    >>> _block_sides((1080, 1280)), _block_sides((20_000, 20_000)), _block_sides((100_000, 100_000))
    ((1080, 1280), (419, 1024), (256, 1024))
    """
    if shape[0] * shape[1] <= _WHOLE:
        return shape
    return min(_SIDE, max(_BAND // shape[1], _SIDE // 4)), _SIDE


@dataclass(eq=False)
class _Rows:
    """The rows of the maps that are still needed, in strips as wide as the image."""

    width: int
    complete: int = 0
    """All rows above this one are there."""

    strips: list[tuple[int, np.ndarray]] = field(default_factory=list)
    """First row and maps of each strip, from the top."""

    def add(self, window: Window, maps: np.ndarray) -> None:
        rows, columns = window
        if columns.start == 0:
            self.strips.append((rows.start, np.empty((*maps.shape[:2], self.width), np.float32)))
        self.strips[-1][1][:, :, columns] = maps
        if columns.stop == self.width:
            self.complete = rows.stop

    def take(self, window: Window) -> np.ndarray:
        rows, columns = window
        parts = [
            maps[:, max(rows.start - top, 0) : rows.stop - top, columns]
            for top, maps in self.strips
            if top < rows.stop and rows.start < top + maps.shape[1]
        ]
        return np.concatenate(parts, axis=1)

    def forget(self, row: int) -> None:
        """Let go of the strips that end above this row."""
        self.strips = [(top, maps) for top, maps in self.strips if top + maps.shape[1] > row]
