"""One structure's mask of a whole image, put together from blocks that were segmented one by one."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Integer, UInt32
from scipy import sparse

from segdistill.data.image import Window
from segdistill.evaluation.instances import match
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

    bands: "Bands"
    """The mask from top to bottom; may be iterated again."""

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

    def add(self, mask: Integer[np.ndarray, "y x"], place: Place) -> None:
        """Take the mask of one block, of all the pixels that it has seen."""
        if place.own[1].start == 0:
            self._begin_band(place)
        numbered = self._numbered(mask, place)
        self._band[:, place.own[1]] = _part(numbered, place, place.own)
        if place.own[1].stop == self._width:
            self._stored.append(self._band)
            self._height = place.own[0].stop

    def _begin_band(self, place: Place) -> None:
        rows = place.own[0]
        self._band = np.zeros((rows.stop - rows.start, self._width), np.uint32)

    @abstractmethod
    def _numbered(self, mask: np.ndarray, place: Place) -> np.ndarray: ...

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

    def _numbered(self, mask: np.ndarray, place: Place) -> np.ndarray:
        self._pixels += int(np.count_nonzero(_part(mask, place, place.own)))
        return mask

    def finish(self) -> Mask:
        """Return the mask, once all blocks were given."""
        bands = Bands(self._stored, np.array([0, 1], np.uint32))
        return Mask(self.shape, objects=None, dropped=0, pixels=self._pixels, bands=bands)


class ObjectCanvas(Canvas):
    """Objects, each of which has one number however many blocks it lies in.

    Note [Objects across blocks]: every block numbers what it sees by itself. Two neighbours both see a
    strip on either side of their common border; an object of one and an object of the other that
    share most of their pixels in that strip are the same. So nothing is cut and nothing counted
    twice, however large it is; sizes are those of whole objects; and the final numbers follow from
    the links once all are known.

    Args:
        width: Of the image, pixels.
        strip: Half the width of that strip, pixels; at most the margin that blocks see around them.
        minimum_size: Smaller objects are dropped, pixels. 0 keeps all.
        folder: For temporary data.
    """

    def __init__(self, width: int, *, strip: int, minimum_size: int, folder: Path | None) -> None:
        super().__init__(width, folder=folder)
        self._strip = strip
        self._minimum_size = minimum_size
        self._given = 0
        self._sizes = [np.zeros(1, np.int64)]
        self._links: list[np.ndarray] = [np.zeros((0, 2), np.int64)]
        self._right = np.zeros((0, 0), np.uint32)
        self._above = self._below = np.zeros((0, width), np.uint32)

    def _begin_band(self, place: Place) -> None:
        super()._begin_band(place)
        self._above = self._below
        around = self._around(place, axis=0)
        self._below = np.zeros((around.stop - around.start, self._width), np.uint32)

    def _numbered(self, mask: np.ndarray, place: Place) -> np.ndarray:
        count = int(mask.max(initial=0))
        numbered = np.where(mask > 0, mask + np.uint32(self._given), 0).astype(np.uint32)
        self._sizes.append(np.bincount(_part(mask, place, place.own).ravel(), minlength=count + 1)[1:])
        self._given += count
        self._link_left(numbered, place)
        self._link_above(numbered, place)
        return numbered

    def _link_left(self, numbered: np.ndarray, place: Place) -> None:
        rows, columns = place.own
        if columns.start > 0:
            border = _from(columns.start - self._strip, self._right.shape[1])
            self._link(self._right, _part(numbered, place, (rows, border)))
        if columns.stop < self._width:
            self._right = _part(numbered, place, (rows, self._around(place, axis=1)))

    def _link_above(self, numbered: np.ndarray, place: Place) -> None:
        rows, columns = place.own
        if rows.start > 0:
            border = _from(rows.start - self._strip, len(self._above))
            self._link(self._above[:, columns], _part(numbered, place, (border, columns)))
        self._below[:, columns] = _part(numbered, place, (self._around(place, axis=0), columns))

    def _around(self, place: Place, *, axis: int) -> slice:
        """Return the strip around the block's lower (0) or right (1) border."""
        border = place.own[axis].stop
        return slice(max(border - self._strip, 0), min(border + self._strip, place.seen[axis].stop))

    def _link(self, one: np.ndarray, other: np.ndarray) -> None:
        same = match(one, other)
        self._links.append(np.stack([same.prediction, same.label], axis=1))

    def finish(self) -> Mask:
        """Return the mask, once all blocks were given."""
        sizes, links = np.concatenate(self._sizes), np.concatenate(self._links)
        graph = sparse.coo_array((np.ones(len(links), bool), (links[:, 0], links[:, 1])), shape=(len(sizes),) * 2)
        found, whole = sparse.csgraph.connected_components(graph, directed=False)
        size = np.bincount(whole, weights=sizes, minlength=found).astype(np.int64)
        keep = size >= max(self._minimum_size, 1)
        # Components are numbered by their first member, so final numbers run from the top of the image, without gaps.
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
