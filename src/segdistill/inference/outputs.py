"""What is written of an image's masks: each kind of file is a function, chosen by its name.

What is written of a whole file, of however many planes, is in ``segdistill.inference.file_outputs``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from segdistill.data.bands import Block
from segdistill.data.geojson_writer import write_geojson
from segdistill.data.image import ImageSource
from segdistill.data.imagej_writer import write_rois
from segdistill.data.measurements import Measurements, Measurer
from segdistill.data.object_table import write_table
from segdistill.data.png_writer import LARGEST, write_png
from segdistill.data.tiling import tiles
from segdistill.data.writers import write_labels_tiled
from segdistill.data.zarr_writer import write_zarr
from segdistill.errors import ConfigError, DataError, UnknownName
from segdistill.inference.canvas import Mask
from segdistill.inference.file_outputs import FILE_OUTPUTS
from segdistill.inference.segmented import Segmented

_MEASURED_AT_ONCE = 2**22
"""About so many intensities are in memory when objects are measured."""


Write = Callable[[Segmented], list[Path]]
"""Writes one kind of file, each whole or not at all, and returns where."""


def _labels(segmented: Segmented) -> list[Path]:
    """Label images: OME-TIFF of 32-bit numbers, one file per structure."""

    def write(path: Path, mask: Mask) -> None:
        write_labels_tiled(path, mask.shape, mask.bands, pixel_size=segmented.target.pixel_size)

    return _each(segmented, ".tif", write)


def _png(segmented: Segmented) -> list[Path]:
    """Label images: PNG of 16-bit numbers, one file per structure.

    Raises:
        DataError: There are more objects than such numbers.
    """
    for structure, mask in segmented.masks.items():
        if mask.objects is not None and mask.objects > LARGEST:
            raise DataError(
                f"{segmented.image.source} has {mask.objects:,} objects ({structure.name}), but a PNG holds numbers up"
                f" to {LARGEST:,}. Use --outputs labels, whose TIFF holds them all, and another --out."
            )
    return _each(segmented, ".png", lambda path, mask: write_png(path, mask.shape, _rows(mask.bands)))


def _zarr(segmented: Segmented) -> list[Path]:
    """Label images: OME-Zarr 0.5 with a pyramid, one folder per structure."""

    def write(path: Path, mask: Mask) -> None:
        write_zarr(path, mask.shape, _rows(mask.bands), pixel_size=segmented.target.pixel_size)

    return _each(segmented, ".ome.zarr", write)


def _geojson(segmented: Segmented) -> list[Path]:
    """Outlines for QuPath: one file per image, in which the structure is an object's class."""
    target = segmented.target
    path = target.of_image(".geojson")
    write_geojson(path, map(segmented.objects, segmented.masks), image=target.name)
    return [path]


def _rois(segmented: Segmented) -> list[Path]:
    """Outlines for ImageJ: a .zip of ROIs per structure, as its ROI Manager knows no classes."""
    paths = []
    for structure in segmented.masks:
        paths.append(segmented.target.of_structure(structure.name, ".rois.zip"))
        write_rois(paths[-1], segmented.objects(structure))
    return paths


def _table(segmented: Segmented) -> list[Path]:
    """Measurements: one CSV per image, all channels of the image, a row per object."""
    image, target = segmented.image, segmented.target
    path = target.of_image(".objects.csv")
    measured = ((structure.name, _measured(mask, image)) for structure, mask in segmented.masks.items())
    write_table(path, measured, channels=image.channels, pixel_size=target.pixel_size)
    return [path]


OUTPUTS: Mapping[str, Write] = {
    "png": _png,  # comes first: where it refuses an image, nothing else of it is written
    "labels": _labels,
    "zarr": _zarr,
    "geojson": _geojson,
    "rois": _rois,
    "table": _table,
}
"""What can be asked for of each plane, in the order in which it is written."""

NAMES = (*OUTPUTS, *FILE_OUTPUTS)
"""Of all that can be asked for; files of several planes are written last."""


def chosen(names: Sequence[str], *, otherwise: bool = False) -> tuple[str, ...]:
    """Return the names of outputs in the order of ``NAMES``, each once.

    Args:
        names: As the user gave them.
        otherwise: Whether something else is written anyway, so that there need be none.

    Raises:
        UnknownName: There is no such output.
        ConfigError: Nothing would be written.

    >>> chosen(["table", "labels", "table"])
    ('labels', 'table')
    """
    for name in names:
        if name not in NAMES:
            raise UnknownName("output", name, NAMES)
    if not names and not otherwise:
        raise ConfigError(f"No output is asked for, so nothing would be written. Choose of {', '.join(NAMES)}.")
    return tuple(name for name in NAMES if name in names)


def _each(segmented: Segmented, suffix: str, write: Callable[[Path, Mask], None]) -> list[Path]:
    """Write each structure's mask into a file of its own."""
    paths = []
    for structure, mask in segmented.masks.items():
        paths.append(segmented.target.of_structure(structure.name, suffix))
        write(paths[-1], mask)
    return paths


def _rows(blocks: Iterable[Block]) -> Iterator[Shaped[np.ndarray, "_ x"]]:
    return (labels for _, labels in blocks)


def _measured(mask: Mask, image: ImageSource) -> Measurements:
    """Return what is measured of a mask's objects, reading the image in windows."""
    channels, _, width = image.shape
    measurer = Measurer(channels=channels)
    side = max(1, int((_MEASURED_AT_ONCE / channels) ** 0.5))
    for (rows, _), labels in mask.bands:
        for tile in tiles((len(labels), width), side=side, halo=0):
            down, across = tile.write
            window = (slice(rows.start + down.start, rows.start + down.stop), across)
            measurer.add(window, labels[tile.write], image.read(window))
    return measurer.finish()
