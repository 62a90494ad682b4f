"""Images of any size in parts: blocks that come row by row, joined into bands of full width."""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Shaped

from segdistill.data.image import Window
from segdistill.errors import ShapeError

Block = tuple[Window, np.ndarray]
"""Where in the image (y, x) pixels belong, and the pixels."""


def bands_of(
    blocks: Iterable[Block], shape: tuple[int, int, int], dtype: np.dtype, *, source: str
) -> Iterator[Shaped[np.ndarray, "k band x"]]:
    """Yield bands of full width from blocks; every pixel must be given once, row by row.

    Args:
        blocks: Windows and their pixels ``k y x``.
        shape: Of the whole, (k, y, x).
        dtype: Of the bands.
        source: What is made of them, for messages.

    Raises:
        ShapeError: Blocks are missing, overlap, come in another order or have the wrong shape.

    >>> left, right = np.array([[[1], [2]]]), np.array([[[3], [4]]])
    >>> blocks = [((slice(0, 2), slice(0, 1)), left), ((slice(0, 2), slice(1, 2)), right)]
    >>> [band.tolist() for band in bands_of(blocks, (1, 2, 2), np.dtype(int), source="a test")]
    [[[[1, 3], [2, 4]]]]
    """
    count, height, width = shape
    band = np.empty((count, 0, width), dtype)
    top, left = 0, width
    for (rows, columns), values in blocks:
        if left == width:
            band = np.empty((count, (rows.stop or 0) - top, width), dtype)
            left = 0
        expected = (count, band.shape[1], min(columns.stop or 0, width) - left)
        if (rows.start, columns.start) != (top, left) or values.shape != expected or 0 in expected:
            raise ShapeError(
                f"Blocks of {source} must cover {height} × {width} pixels (y, x) row by row without gaps: at row {top},"
                f" column {left % width} came [{rows.start}:{rows.stop}, {columns.start}:{columns.stop}]"
                f" of shape {values.shape}."
            )
        band[:, :, left : columns.stop] = values
        left = columns.stop
        if left == width:
            top += band.shape[1]
            yield band
    if (top, left) != (height, width):
        raise ShapeError(
            f"Blocks of {source} must cover {height} × {width} pixels (y, x), but they end at row {top}, column {left}."
        )


def strips_of(bands: Iterable[Shaped[np.ndarray, "_ x"]], height: int) -> Iterator[Shaped[np.ndarray, "_ x"]]:
    """Yield the rows of bands of any heights in strips of one height; the last may be lower.

    >>> [strip.tolist() for strip in strips_of([np.array([[1], [2], [3]]), np.array([[4]])], 2)]
    [[[1], [2]], [[3], [4]]]
    """
    kept: list[np.ndarray] = []
    rows = 0
    for band in bands:
        done = 0
        while rows + len(band) - done >= height:
            step = height - rows
            strip = band[done : done + step]
            yield np.concatenate([*kept, strip]) if kept else strip
            kept, rows, done = [], 0, done + step
        if done < len(band):
            kept.append(band[done:])
            rows += len(band) - done
    if kept:
        yield np.concatenate(kept)
