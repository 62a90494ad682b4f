"""Cutting a large image into tiles of one size, and which pixels of each tile to keep."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

from segdistill.errors import ConfigError, ShapeError

Span = tuple[slice, slice]


@dataclass(frozen=True)
class Tile:
    """One square to be processed and the part of it to be kept; all pairs are (y, x), in pixels."""

    read: Span
    """The pixels of the image to read."""

    pad: tuple[tuple[int, int], tuple[int, int]]
    """Pixels to add before and after what was read, so that the tile is side × side."""

    keep: Span
    """Where in the tile the kept pixels lie."""

    write: Span
    """Where in the image they belong. These parts cover the image, each pixel once."""


def tiles(shape: tuple[int, int], *, side: int, halo: int) -> Iterator[Tile]:
    """Yield the tiles of an image, row by row.

    Args:
        shape: Of the image, (y, x), pixels.
        side: Of a tile, pixels.
        halo: Pixels of context that a kept pixel has on every side, unless the image ends sooner;
            0 or more. With ``side`` and ``halo`` multiples of a network's stride, its pooling grid
            lies in every tile as in the whole image.

    The first tile of a row begins where the image begins and the last is padded only beyond the
    image's end, so an image that fits one tile is one tile.

    Raises:
        ConfigError: The halo leaves nothing to keep, or is negative.
        ShapeError: The image has no pixels.

    >>> [(tile.write[1], tile.keep[1]) for tile in tiles((4, 10), side=8, halo=2)]
    [(slice(0, 6, None), slice(0, 6, None)), (slice(6, 10, None), slice(2, 6, None))]
    """
    _check(shape, side, halo)
    columns = list(_spans(shape[1], side, halo))
    for read_y, pad_y, keep_y, write_y in _spans(shape[0], side, halo):
        for read_x, pad_x, keep_x, write_x in columns:
            yield Tile((read_y, read_x), (pad_y, pad_x), (keep_y, keep_x), (write_y, write_x))


def count_tiles(shape: tuple[int, int], *, side: int, halo: int) -> int:
    """Return how many tiles ``tiles`` yields, without making them.

    >>> count_tiles((20_000, 20_000), side=512, halo=64)
    2704
    """
    _check(shape, side, halo)
    return _count(shape[0], side, halo) * _count(shape[1], side, halo)


def padded(pixels: Shaped[np.ndarray, "c _ _"], tile: Tile) -> Shaped[np.ndarray, "c side side"]:
    """Return what was read for a tile, mirrored outwards to the tile's full size.

    Args:
        pixels: What ``source.read(tile.read)`` returned.
        tile: The tile.

    >>> tile = next(tiles((1, 3), side=4, halo=0))
    >>> padded(np.array([[[1, 2, 3]]]), tile)[0, 0]
    array([1, 2, 3, 2])
    """
    return np.pad(pixels, ((0, 0), *tile.pad), mode="reflect")


def _check(shape: tuple[int, int], side: int, halo: int) -> None:
    if min(shape) < 1:
        raise ShapeError(f"An image of shape {shape} (y, x) has no pixels and cannot be cut into tiles.")
    if halo < 0 or side <= 2 * halo:
        raise ConfigError(
            f"A tile of {side} px with a halo of {halo} px on every side keeps {side - 2 * halo} px."
            f" Choose a halo from 0 to {max((side - 1) // 2, 0)}, or larger tiles."
        )


def _count(length: int, side: int, halo: int) -> int:
    core = side - 2 * halo
    return max(1, -(-(length - 2 * halo) // core))


def _spans(length: int, side: int, halo: int) -> Iterator[tuple[slice, tuple[int, int], slice, slice]]:
    """Yield (read, pad, keep, write) of every tile along one axis."""
    core, count = side - 2 * halo, _count(length, side, halo)
    for index in range(count):
        start = index * core
        stop = min(start + side, length)
        first = start + halo if index else 0
        last = start + side - halo if index < count - 1 else length
        yield slice(start, stop), (0, start + side - stop), slice(first - start, last - start), slice(first, last)
