"""Label images as OME-Zarr 0.5 with a pyramid, in bounded memory."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Shaped

from segdistill.data.bands import strips_of
from segdistill.files import whole_folder

if TYPE_CHECKING:
    import zarr

_CHUNK = 512
"""Side of a chunk, pixels. The pyramid ends with the level that is one chunk."""


def write_zarr(
    path: Path, shape: tuple[int, int], bands: Iterable[Shaped[np.ndarray, "_ x"]], *, pixel_size: float | None = None
) -> None:
    """Write a label image as an image of OME-Zarr 0.5 that says it is labels.

    Each level of the pyramid keeps every other pixel of every other row of the one before: labels are never
    averaged. A coarse pixel's centre lies where that of the pixel it keeps does, so levels differ by their scale
    alone.

    Args:
        path: Of the folder.
        shape: (y, x), pixels.
        bands: The labels from top to bottom, 0 to 2**32 - 1, in parts as wide as the image.
        pixel_size: Micrometres. None: it is not known, and the axes have no unit.

    Raises:
        EnvironmentFault: The disk is full or the folder cannot be written.

    Source:
        https://ngff.openmicroscopy.org/0.5/ sections 3.3 to 3.5.
    """
    import zarr

    shapes = list(_levels(shape))
    with whole_folder(path) as partial:
        group = zarr.create_group(partial, zarr_format=3, attributes={"ome": _metadata(path, len(shapes), pixel_size)})
        levels = [_level(group, str(place), each) for place, each in enumerate(shapes)]
        top = 0
        for strip in strips_of(bands, _CHUNK):
            _write(levels[0], top, strip)
            top += len(strip)
        for fine, coarse in pairwise(levels):
            for top in range(0, coarse.shape[0], _CHUNK):
                _write(coarse, top, np.asarray(fine[2 * top : 2 * (top + _CHUNK) : 2, ::2]))


def _levels(shape: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield the shape of every level.

    >>> list(_levels((1025, 400)))
    [(1025, 400), (513, 200), (257, 100)]
    """
    yield shape
    while max(shape) > _CHUNK:
        shape = (shape[0] + 1) // 2, (shape[1] + 1) // 2
        yield shape


def _level(group: "zarr.Group", name: str, shape: tuple[int, int]) -> "zarr.Array":
    return group.create_array(
        name,
        shape=shape,
        chunks=(_CHUNK, _CHUNK),
        dtype=np.uint32,
        dimension_names=("y", "x"),
        # A chunk that is not there could not be told from one that was lost.
        config={"write_empty_chunks": True},
    )


def _write(level: "zarr.Array", top: int, rows: Shaped[np.ndarray, "_ x"]) -> None:
    """Write whole chunks one by one: of several at once, zarr goes on with the others when one has failed."""
    for left in range(0, rows.shape[1], _CHUNK):
        level[top : top + len(rows), left : left + _CHUNK] = rows[:, left : left + _CHUNK]


def _metadata(path: Path, levels: int, pixel_size: float | None) -> dict[str, Any]:
    side, unit = (1.0, {}) if pixel_size is None else (pixel_size, {"unit": "micrometer"})
    scales = [[side * 2**place] * 2 for place in range(levels)]
    return {
        "version": "0.5",
        "multiscales": [
            {
                "name": path.name.partition(".ome.zarr")[0],
                "axes": [{"name": axis, "type": "space", **unit} for axis in "yx"],
                "datasets": [
                    {"path": str(place), "coordinateTransformations": [{"type": "scale", "scale": scale}]}
                    for place, scale in enumerate(scales)
                ],
            }
        ],
        "image-label": {},
    }
