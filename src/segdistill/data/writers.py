"""Writing label images and probability maps, whole or not at all, in bounded memory if need be."""

import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
import tifffile
from jaxtyping import Float, Integer, Shaped

from segdistill.data.bands import Block, bands_of, strips_of
from segdistill.data.png_writer import write_png
from segdistill.errors import DataError, ShapeError
from segdistill.files import whole_file

_SIDE = 256
_TIFF = (".tif", ".tiff")
# Below this many bytes of pixels, compressed ones surely fit the 32-bit offsets of a classic TIFF.
_CLASSIC = 2**31


def write_labels(path: Path, labels: Integer[np.ndarray, "y x"], *, pixel_size: float | None = None) -> None:
    """Write a label image: tiled, compressed OME-TIFF of 32-bit numbers, or PNG of 16-bit numbers.

    Args:
        path: Ends in .tif, .tiff or .png.
        labels: 0 is background; 0 to 2**32 - 1 (TIFF) or 65,535 (PNG).
        pixel_size: Micrometres; None if it is not known. PNG does not keep it.

    Equal labels give equal bytes. A file of that name stays until the new one is whole.

    Raises:
        DataError: The format cannot hold the labels, or there are no pixels.
        EnvironmentFault: The disk is full or the folder cannot be written.

    >>> file = Path(tempfile.mkdtemp()) / "cells.ome.tif"
    >>> write_labels(file, np.array([[0, 0, 70_000]]), pixel_size=0.5)
    >>> tifffile.imread(file)
    array([[    0,     0, 70000]], dtype=uint32)
    """
    _check_target(path, labels.shape, (*_TIFF, ".png"))
    _check_labels(labels, path)
    if path.suffix.lower() == ".png":
        write_png(path, labels.shape, [labels])
    else:
        whole = (slice(0, labels.shape[0]), slice(0, labels.shape[1]))
        write_labels_tiled(path, labels.shape, [(whole, labels)], pixel_size=pixel_size)


def write_labels_tiled(
    path: Path, shape: tuple[int, int], blocks: Iterable[Block], *, pixel_size: float | None = None
) -> None:
    """Write a label image of any size from its blocks, holding no more than a few rows of blocks.

    Args:
        path: Ends in .tif or .tiff; the file is an OME-TIFF as ``write_labels`` makes it.
        shape: Of the image, (y, x), pixels.
        blocks: Windows that cover the image row by row without gaps, as ``data.tiling.tiles`` yields
            them (``write``), each with its labels ``y x``.
        pixel_size: Micrometres; None if it is not known.

    Raises:
        ShapeError: Blocks are missing, overlap, come in another order or have the wrong shape.
        DataError: A block holds what a label cannot be.
        EnvironmentFault: The disk is full or the folder cannot be written.

    >>> file = Path(tempfile.mkdtemp()) / "cells.tif"
    >>> left, right = np.array([[1], [2]]), np.array([[3], [4]])
    >>> blocks = [((slice(0, 2), slice(0, 1)), left), ((slice(0, 2), slice(1, 2)), right)]
    >>> write_labels_tiled(file, (2, 2), blocks)
    >>> tifffile.imread(file).tolist()
    [[1, 3], [2, 4]]
    """
    _check_target(path, shape, _TIFF)
    checked = ((window, _checked(values, path)[None]) for window, values in blocks)
    bands = (band[0] for band in bands_of(checked, (1, *shape), np.dtype(np.uint32), source=str(path)))
    with whole_file(path) as partial:
        _write_tiles(partial, _tiles(bands), shape, np.dtype(np.uint32), _metadata(path, shape, (), pixel_size))


def write_film(
    path: Path,
    frames: Iterable[Shaped[np.ndarray, "y x"]],
    shape: tuple[int, int, int],
    dtype: np.dtype,
    *,
    pixel_size: float | None = None,
) -> None:
    """Write the label images of a clip, one after another: compressed OME-TIFF with an axis of time.

    Args:
        path: Ends in .tif or .tiff.
        frames: In order; only one is held at a time.
        shape: Frames, and pixels along y and x.
        dtype: Of the labels.
        pixel_size: Micrometres; None if it is not known.

    Raises:
        DataError: The format is another, or there are no pixels.
        EnvironmentFault: The disk is full or the folder cannot be written.
    """
    _check_target(path, shape, _TIFF)
    with whole_file(path) as partial:
        tifffile.imwrite(
            partial,
            iter(frames),
            shape=shape,
            dtype=dtype,
            ome=True,
            photometric="minisblack",
            compression="zlib",
            metadata={**_metadata(path, shape, (), pixel_size), "axes": "TYX"},
        )


def write_probabilities(
    path: Path, maps: Float[np.ndarray, "k y x"], names: Sequence[str], *, pixel_size: float | None = None
) -> None:
    """Write probability maps: tiled, compressed OME-TIFF of 32-bit floating-point numbers.

    Args:
        path: Ends in .tif or .tiff.
        maps: Any floating-point type.
        names: Of the maps; they become the names of the channels.
        pixel_size: Micrometres; None if it is not known.

    Raises:
        ShapeError: There are not as many names as maps.
        DataError: The format is another, or there are no pixels.
        EnvironmentFault: The disk is full or the folder cannot be written.
    """
    whole = (slice(0, maps.shape[1]), slice(0, maps.shape[2]))
    if len(maps) != len(names):
        raise ShapeError(
            f"There are {len(maps)} probability maps for {path}, but {len(names)} names: {', '.join(names)}."
        )
    write_probabilities_tiled(path, maps.shape[1:], [(whole, maps)], names, pixel_size=pixel_size)


def write_probabilities_tiled(
    path: Path,
    shape: tuple[int, int],
    blocks: Iterable[Block],
    names: Sequence[str],
    *,
    pixel_size: float | None = None,
) -> None:
    """Write probability maps of any size from their blocks, holding no more than a few rows of blocks.

    All maps but the first wait for their turn in unnamed temporary files beside the result: 4 bytes per
    pixel and map of disk, while it is written.

    Args:
        path: Ends in .tif or .tiff; the file is an OME-TIFF as ``write_probabilities`` makes it.
        shape: Of the image, (y, x), pixels.
        blocks: As for ``write_labels_tiled``, each with its maps ``k y x``.
        names: Of the maps.
        pixel_size: Micrometres; None if it is not known.

    Raises:
        ShapeError: Blocks are missing, overlap, come in another order or have the wrong shape.
        DataError: The format is another, or there are no pixels.
        EnvironmentFault: The disk is full or the folder cannot be written.
    """
    single = np.dtype(np.float32)
    full = (len(names), *shape)
    _check_target(path, full, _TIFF)
    with whole_file(path) as partial, ExitStack() as stack:
        later = [stack.enter_context(tempfile.TemporaryFile(dir=path.parent)) for _ in names[1:]]
        bands = bands_of(blocks, full, single, source=str(path))
        tiles = _planes(bands, later, shape[1])
        _write_tiles(partial, tiles, full, single, _metadata(path, full, names, pixel_size))


def _check_target(path: Path, shape: tuple[int, ...], allowed: Sequence[str]) -> None:
    suffix = path.suffix.lower()
    if suffix not in allowed:
        raise DataError(
            f"{path} cannot be written as {suffix or 'a file without a suffix'}. Use {' or '.join(allowed)}."
        )
    if min(shape, default=0) < 1:
        raise DataError(f"There is nothing to write to {path}: the shape is {shape}. Leave images without pixels out.")


def _check_labels(labels: Shaped[np.ndarray, "..."], path: Path) -> None:
    low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
    if low < 0 or high > np.iinfo(np.uint32).max:
        raise DataError(
            f"Labels for {path} run from {low} to {high}; a label file holds 0 to 2**32 - 1. Number them again."
        )


def _checked(labels: Shaped[np.ndarray, "..."], path: Path) -> Shaped[np.ndarray, "..."]:
    _check_labels(labels, path)
    return labels


def _tiles(bands: Iterable[Shaped[np.ndarray, "_ x"]]) -> Iterator[Shaped[np.ndarray, "side side"]]:
    """Cut bands of any heights into the tiles of a TIFF, row by row; tiles at the edges are filled with zeros."""
    for strip in strips_of(bands, _SIDE):
        yield from _cut(strip)


def _cut(rows: Shaped[np.ndarray, "_ x"]) -> Iterator[Shaped[np.ndarray, "side side"]]:
    for left in range(0, rows.shape[1], _SIDE):
        tile = np.zeros((_SIDE, _SIDE), rows.dtype)
        part = rows[:, left : left + _SIDE]
        tile[: len(part), : part.shape[1]] = part
        yield tile


def _planes(
    bands: Iterable[Shaped[np.ndarray, "k band x"]], later: Sequence[IO[bytes]], width: int
) -> Iterator[Shaped[np.ndarray, "side side"]]:
    """Yield the tiles of one map after the other, keeping the later ones in files meanwhile."""

    def first() -> Iterator[np.ndarray]:
        for band in bands:
            for file, plane in zip(later, band[1:], strict=True):
                file.write(plane.tobytes())
            yield band[0]

    yield from _tiles(first())
    for file in later:
        file.seek(0)
        yield from _tiles(_stored_bands(file, width))


def _stored_bands(file: IO[bytes], width: int) -> Iterator[Shaped[np.ndarray, "band x"]]:
    while data := file.read(_SIDE * width * np.dtype(np.float32).itemsize):
        yield np.frombuffer(data, np.float32).reshape(-1, width)


def _write_tiles(
    partial: Path, tiles: Iterator[np.ndarray], shape: tuple[int, ...], dtype: np.dtype, metadata: dict[str, Any]
) -> None:
    """Write tiles to a TIFF one at a time."""
    size = metadata.get("PhysicalSizeX")
    per_centimetre = None if size is None else (1e4 / size, 1e4 / size)
    tifffile.imwrite(
        partial,
        tiles,
        shape=shape,
        dtype=dtype,
        ome=True,
        bigtiff=int(np.prod(shape, dtype=np.int64)) * dtype.itemsize >= _CLASSIC,
        tile=(_SIDE, _SIDE),
        photometric="minisblack",
        compression="zlib",
        resolution=per_centimetre,
        resolutionunit=None if size is None else "CENTIMETER",
        metadata=metadata,
    )


def _metadata(path: Path, shape: tuple[int, ...], names: Sequence[str], pixel_size: float | None) -> dict[str, Any]:
    """Return OME metadata that depends on nothing but the arguments, so that a repeated run writes equal bytes."""
    metadata: dict[str, Any] = {
        "axes": "CYX"[-len(shape) :],
        "UUID": str(uuid.uuid5(uuid.NAMESPACE_URL, f"segdistill:{path.name}:{shape}")),
        "Creator": "segdistill",
    }
    if names:
        metadata["Channel"] = {"Name": list(names)}
    if pixel_size is not None:
        sides = {f"PhysicalSize{axis}": pixel_size for axis in "XY"}
        units = {f"PhysicalSize{axis}Unit": "µm" for axis in "XY"}
        metadata |= sides | units
    return metadata
