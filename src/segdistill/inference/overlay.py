"""Masks drawn upon the pictures that they are of: one frame of a clip after another."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from segdistill.data.channels import COLOURS, UNNAMED, select
from segdistill.data.clip_writer import COLOUR, Add, clip_file
from segdistill.data.clips import frame_rate
from segdistill.data.drawing import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    YELLOW,
    Colour,
    false_colour,
    hatched,
    outline,
)
from segdistill.data.labels import Structure
from segdistill.data.normalisation import normalise
from segdistill.inference.segmented import Segmented

_PALETTE: Sequence[Colour] = (SKY, ORANGE, PURPLE, YELLOW, GREEN, VERMILLION, BLUE)
"""Of structures, in order; further ones have the same colours again, in broken lines."""

_LARGE = 720
"""Frames that are smaller are magnified, by whole numbers, up to this side: pixels stay to be seen."""

_FILLED = 0.22
"""How much of a structure's colour lies over its pixels."""

_BROKEN = 6
"""Length of a line's dash and gap together, pixels of the clip."""

_TEXT = 13
"""Height of letters, pixels of the clip."""

_USUAL_RATE = Fraction(10)
"""Frames per second of what does not say."""

_PAPER: Colour = (24, 24, 24)
_INK: Colour = (235, 235, 235)


def clip_of(path: Path, painter: "Painter", *, source: Path) -> AbstractContextManager[Add]:
    """Return what opens a clip for painted frames: as many a second as the source shows.

    Args:
        path: Ends in .avi.
        painter: Makes the frames.
        source: The file that is segmented.
    """
    return clip_file(path, size=painter.size, rate=frame_rate(source) or _USUAL_RATE, codec=COLOUR)


class Painter:
    """Draws frames of one size with a line below that says which colour is what, and which frame it is.

    Args:
        first: Any frame; the others have its size and its structures.
        frames: How many there are.
    """

    def __init__(self, first: Segmented, frames: int) -> None:
        self._shape = first.target.shape
        self._frames = frames
        self._structures = tuple(first.masks)
        self._times = max(1, _LARGE // max(self._shape))

    @property
    def size(self) -> tuple[int, int]:
        """Of a painted frame, pixels along y and x."""
        return self._picture_size[0] + len(self._lines) * self._line, self._picture_size[1]

    def painted(self, segmented: Segmented, number: int) -> UInt8[np.ndarray, "y x 3"]:
        """Return a frame with its masks.

        Args:
            segmented: The frame.
            number: Of the frame, counted from 1.
        """
        picture, masks = background(segmented), [mask.whole() != 0 for mask in segmented.masks.values()]
        for place, inside in enumerate(masks):
            colour = np.array(_PALETTE[place % len(_PALETTE)])
            picture[inside] = np.rint((1 - _FILLED) * picture[inside] + _FILLED * colour)
        picture = _magnified(picture, self._times)
        for place, mask in enumerate(segmented.masks.values()):
            edge = outline(_magnified(mask.whole().astype(np.int64), self._times))
            picture[edge if place < len(_PALETTE) else edge & self._dashes] = _PALETTE[place % len(_PALETTE)]
        return self._with_words(picture, number)

    def lost(self, number: int) -> UInt8[np.ndarray, "y x 3"]:
        """Return what stands for a frame, counted from 1, that cannot be segmented: stripes."""
        empty = np.zeros((*self._picture_size, 3), np.uint8)
        return self._with_words(hatched(empty, np.zeros(self._picture_size, bool)), number, " is damaged")

    @property
    def _picture_size(self) -> tuple[int, int]:
        return self._shape[0] * self._times, self._shape[1] * self._times

    @cached_property
    def _dashes(self) -> Bool[np.ndarray, "y x"]:
        """Where lines are not broken."""
        height, width = self._picture_size
        return np.add.outer(np.arange(height), np.arange(width)) % _BROKEN < _BROKEN // 2

    @property
    def _line(self) -> int:
        return _TEXT + 5

    @cached_property
    def _font(self) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
        return ImageFont.load_default(_TEXT)

    @cached_property
    def _lines(self) -> list[list[Structure]]:
        """The names of structures, line by line; the first line is for the frame's number alone."""
        lines: list[list[Structure]] = [[], []]
        used = 0
        for structure in self._structures:
            width = self._width(structure)
            if lines[-1] and used + width > self._picture_size[1]:
                lines.append([])
                used = 0
            lines[-1].append(structure)
            used += width
        return lines

    def _width(self, structure: Structure) -> int:
        return round(self._font.getlength(structure.name)) + _TEXT + 14

    @cached_property
    def _words(self) -> Pillow.Image:
        """What is written below every frame."""
        paper = Pillow.new("RGB", (self.size[1], len(self._lines) * self._line), _PAPER)
        draw = ImageDraw.Draw(paper)
        places = {structure: place for place, structure in enumerate(self._structures)}
        for row, structures in enumerate(self._lines):
            left, top = 4, row * self._line + 3
            for structure in structures:
                colour = _PALETTE[places[structure] % len(_PALETTE)]
                box = (left, top, left + _TEXT - 2, top + _TEXT - 2)
                draw.rectangle(box, fill=colour if places[structure] < len(_PALETTE) else None, outline=colour, width=2)
                draw.text((left + _TEXT + 3, top - 2), structure.name, fill=_INK, font=self._font)
                left += self._width(structure)
        return paper

    def _with_words(
        self, picture: UInt8[np.ndarray, "y x 3"], number: int, more: str = ""
    ) -> UInt8[np.ndarray, "higher x 3"]:
        paper = self._words.copy()
        text = f"frame {number} of {self._frames}{more}"
        ImageDraw.Draw(paper).text((4, 1), text, fill=_INK, font=self._font)
        return np.concatenate([picture, np.asarray(paper)])


def background(segmented: Segmented) -> UInt8[np.ndarray, "y x 3"]:
    """Return a picture as it is, if it is grey or coloured and of 8 bits; else as the network saw it, in colours."""
    image, view = segmented.image, segmented.view
    array = image.read()
    if array.dtype == np.uint8 and tuple(image.channels) in {(UNNAMED,), COLOURS}:
        return np.array(np.broadcast_to(array, (3, *array.shape[1:])).transpose(1, 2, 0), order="C")
    chosen = select(array, image.channels, view.channels, source=image.source)
    finite = np.where(np.isfinite(chosen), chosen, 0)
    return false_colour(normalise(finite, view.low, view.high), view.channels)


def _magnified(array: np.ndarray, times: int) -> np.ndarray:
    return array.repeat(times, axis=0).repeat(times, axis=1)
