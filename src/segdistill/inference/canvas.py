"""One structure's mask of a whole image, put together from blocks that were segmented one by one."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Integer, UInt32

from segdistill.data.bands import Block
from segdistill.data.image import Window
from segdistill.inference.links import Links
from segdistill.inference.spool import Spool


@dataclass(frozen=True)
class Place:
    """Where a block lies in the image; pairs are (y, x), pixels."""

    own: Window
    """The pixels that the block decides. Those of all blocks cover the image, each pixel once."""

    seen: Window
    """The pixels that were segmented: its own and a margin."""


@dataclass(frozen=True, eq=False)
class Mask:
    """A finished mask, read band by band."""

    shape: tuple[int, int]
    """Height and width, pixels."""

    objects: int | None
    """How many there are; None where objects are not told apart."""

    dropped: int
    """How many objects were too small and are gone."""

    pixels: int
    """How many are not background."""

    bands: Iterable[Block]
    """The mask from top to bottom, in parts as wide as the image; may be iterated again."""

    def whole(self) -> UInt32[np.ndarray, "y x"]:
        """Return all of it."""
        return np.concatenate([values for _, values in self.bands])


@dataclass(frozen=True, eq=False)
class Bands:
    """Parts of a mask, each as wide as the image, with the windows they belong to."""

    stored: Spool
    """Provisional numbers."""

    numbers: UInt32[np.ndarray, " n"]
    """The final number for each provisional one."""

    def __iter__(self) -> Iterator[tuple[Window, UInt32[np.ndarray, "y x"]]]:
        top = 0
        for band in self.stored:
            yield (slice(top, top + len(band)), slice(0, band.shape[1])), self.numbers[band]
            top += len(band)


class Canvas(ABC):
    """Takes blocks row by row, from left to right; the blocks of one row are a band.

    Args:
        width: Of the image, pixels.
        folder: For temporary data.
    """

    def __init__(self, width: int, *, folder: Path | None) -> None:
        self._width = width
        self._stored = Spool(folder)
        self._band = np.zeros((0, width), np.uint32)
        self._height = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Height so far, and width, pixels."""
        return self._height, self._width

    def add(self, mask: Integer[np.ndarray, "y x"], seeds: Bool[np.ndarray, "y x"], place: Place) -> None:
        """Take the mask of one block, of all the pixels that it has seen, and from which of them objects were grown."""
        if place.own[1].start == 0:
            self._begin_band(place)
        numbered = self._numbered(mask, seeds, place)
        self._band[:, place.own[1]] = _part(numbered, place, place.own)
        if place.own[1].stop == self._width:
            self._stored.append(self._band)
            self._height = place.own[0].stop

    def _begin_band(self, place: Place) -> None:
        rows = place.own[0]
        self._band = np.zeros((rows.stop - rows.start, self._width), np.uint32)

    @abstractmethod
    def _numbered(self, mask: np.ndarray, seeds: np.ndarray, place: Place) -> np.ndarray: ...

    @abstractmethod
    def finish(self) -> Mask:
        """Return the mask, once all blocks were given."""

    def close(self) -> None:
        """Let go of temporary data."""
        self._stored.close()


class PlainCanvas(Canvas):
    """A mask of ones, in which objects are not told apart."""

    def __init__(self, width: int, *, folder: Path | None) -> None:
        super().__init__(width, folder=folder)
        self._pixels = 0

    def _numbered(self, mask: np.ndarray, seeds: np.ndarray, place: Place) -> np.ndarray:
        del seeds  # there are none
        self._pixels += int(np.count_nonzero(_part(mask, place, place.own)))
        return mask

    def finish(self) -> Mask:
        """Return the mask, once all blocks were given."""
        bands = Bands(self._stored, np.array([0, 1], np.uint32))
        return Mask(self.shape, objects=None, dropped=0, pixels=self._pixels, bands=bands)


class ObjectCanvas(Canvas):
    """Objects, each of which has one number however many blocks it lies in.

    Every block numbers what it sees by itself; two neighbours both see a strip on either side of
    their common border, and ``Links`` finds in it which of their objects are the same. So nothing is
    cut and nothing counted twice, however large it is, and sizes are those of whole objects.

    Args:
        width: Of the image, pixels.
        margin: What blocks see around themselves, pixels.
        minimum_size: Smaller objects are dropped, pixels. 0 keeps all.
        folder: For temporary data.
    """

    def __init__(self, width: int, *, margin: int, minimum_size: int, folder: Path | None) -> None:
        super().__init__(width, folder=folder)
        self._margin = margin
        self._minimum_size = minimum_size
        self._links = Links()
        self._sizes = [np.zeros(1, np.int64)]
        self._right = np.zeros((0, 0), np.uint32)
        self._above = self._below = np.zeros((0, width), np.uint32)

    def _begin_band(self, place: Place) -> None:
        super()._begin_band(place)
        around = self._around(place, axis=0)
        self._above, self._below = self._below, np.zeros((around.stop - around.start, self._width), np.uint32)

    def _numbered(self, mask: np.ndarray, seeds: np.ndarray, place: Place) -> np.ndarray:
        numbered = self._links.number(mask, seeds)
        count = int(mask.max(initial=0))
        self._sizes.append(np.bincount(_part(mask, place, place.own).ravel(), minlength=count + 1)[1:])
        rows, columns = place.own
        # Between blocks of one band the strip takes in the margin's corners: an object there may have its seed in
        # the block that is the neighbour's neighbour.
        if columns.start > 0:
            border = _from(columns.start - self._margin, self._right.shape[1])
            self._link(self._right, numbered, seeds, place, (place.seen[0], border))
        if columns.stop < self._width:
            self._right = _part(numbered, place, (place.seen[0], self._around(place, axis=1)))
        if rows.start > 0:
            border = _from(rows.start - self._margin, len(self._above))
            self._link(self._above[:, columns], numbered, seeds, place, (border, columns))
        self._below[:, columns] = _part(numbered, place, (self._around(place, axis=0), columns))
        return numbered

    def _link(self, there: np.ndarray, numbered: np.ndarray, seeds: np.ndarray, place: Place, strip: Window) -> None:
        self._links.add(there, _part(numbered, place, strip), _part(seeds, place, strip))

    def _around(self, place: Place, *, axis: int) -> slice:
        """Return the strip around the block's lower (0) or right (1) border, which its neighbour will see too."""
        border = place.own[axis].stop
        return slice(max(border - self._margin, 0), place.seen[axis].stop)

    def finish(self) -> Mask:
        """Return the mask, once all blocks were given."""
        whole = self._links.resolved()
        size = np.bincount(whole, weights=np.concatenate(self._sizes)).astype(np.int64)
        keep = size >= max(self._minimum_size, 1)
        numbers = np.where(keep, np.cumsum(keep), 0).astype(np.uint32)
        return Mask(
            self.shape,
            objects=int(np.count_nonzero(keep)),
            dropped=int(np.count_nonzero((size > 0) & ~keep)),
            pixels=int(size[keep].sum()),
            bands=Bands(self._stored, numbers[whole]),
        )


def _from(start: int, length: int) -> slice:
    return slice(max(start, 0), max(start, 0) + length)


def _part(array: np.ndarray, place: Place, part: Window) -> np.ndarray:
    """Return a window of the image out of what a block has seen."""
    rows, columns = (
        slice(wanted.start - seen.start, wanted.stop - seen.start)
        for wanted, seen in zip(part, place.seen, strict=True)
    )
    return array[rows, columns]
