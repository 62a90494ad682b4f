"""The objects of one structure in a label image that is read in parts, as writers of outlines want them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Integer, Shaped

from segdistill.data.bands import Block, bands_of
from segdistill.data.labels import Structure
from segdistill.data.measurements import Measurements, Measurer
from segdistill.data.rings import Area
from segdistill.data.tracing import trace
from segdistill.errors import DataError

_LARGEST = np.iinfo(np.uint32).max


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects of one structure."""

    structure: Structure
    """What they are."""

    shape: tuple[int, int]
    """Of the image, (y, x), pixels."""

    blocks: Iterable[Block]
    """The label image: windows that cover it row by row without gaps. Can be read again."""

    pixel_size: float | None
    """Micrometres; None if it is not known."""

    measured: Measurements
    """Sizes and places."""

    def areas(self) -> Iterator[Area]:
        """Yield their outlines."""
        bands = (band for _, band in _bands(self.structure, self.blocks, self.shape))
        return trace(bands, self.measured.label, self.measured.box[:, 2])


def find_objects(
    structure: Structure, blocks: Iterable[Block], shape: tuple[int, int], *, pixel_size: float | None = None
) -> Objects:
    """Return the objects of a label image after reading it once.

    Args:
        structure: What they are.
        blocks: Windows that cover the image row by row without gaps, as ``data.tiling.tiles`` yields them
            (``write``), each with its labels ``y x``; 0 is background. They will be read once more for every
            time that outlines are asked for, so they may not be an iterator.
        shape: Of the image, (y, x), pixels.
        pixel_size: Micrometres; None if it is not known.

    Raises:
        ShapeError: Blocks are missing, overlap, come in another order or have the wrong shape.
        DataError: A label is negative or above 2**32 - 1.

    >>> blocks = [((slice(0, 1), slice(0, 2)), np.array([[3, 0]])), ((slice(1, 2), slice(0, 2)), np.array([[3, 4]]))]
    >>> [area.label for area in find_objects(Structure("cell", True), blocks, (2, 2)).areas()]
    [3, 4]
    """
    measurer = Measurer()
    for top, band in _bands(structure, blocks, shape):
        measurer.add((slice(top, top + len(band)), slice(0, shape[1])), band)
    return Objects(structure, shape, blocks, pixel_size, measurer.finish())


def _bands(
    structure: Structure, blocks: Iterable[Block], shape: tuple[int, int]
) -> Iterator[tuple[int, Integer[np.ndarray, "_ x"]]]:
    """Yield the label image in parts as wide as it is, and the row at which each begins."""
    checked = ((window, _checked(structure, values)[None]) for window, values in blocks)
    top = 0
    for bands in bands_of(checked, (1, *shape), np.dtype(np.uint32), source=f"the labels of {structure.name}"):
        yield top, bands[0]
        top += bands.shape[1]


def _checked(structure: Structure, labels: Shaped[np.ndarray, "y x"]) -> Shaped[np.ndarray, "y x"]:
    low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
    if low < 0 or high > _LARGEST:
        raise DataError(
            f"Labels of {structure.name} run from {low} to {high}; objects are numbered from 1 to 2**32 - 1."
            " Number them again."
        )
    return labels
