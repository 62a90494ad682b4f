"""Where channel, y and x lie in a stored array, or a refusal where that is not certain.

Axes are letters in the file's order: c channel, s sample of a colour, y, x, z depth, t time. Any
other letter is an axis whose meaning nothing states.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

from segdistill.data.image import Window
from segdistill.errors import ConfigError, DataError

UNKNOWN = "q"
_MEANING = {"c": "channel", "s": "colour sample", "y": "y", "x": "x", "z": "depth", "t": "time"}


@dataclass(frozen=True)
class Layout:
    """Positions of the axes that count; all other axes have length 1."""

    shape: tuple[int, ...]
    """Of the stored array."""

    y: int
    """Position of the y axis."""

    x: int
    """Position of the x axis."""

    channel: int | None
    """Position of the channel axis; None where there is one channel and no axis for it."""

    @property
    def size(self) -> tuple[int, int]:
        """Pixels along y and x."""
        return self.shape[self.y], self.shape[self.x]

    @property
    def count(self) -> int:
        """Number of channels."""
        return 1 if self.channel is None else self.shape[self.channel]

    def index(self, window: Window) -> tuple[int | slice, ...]:
        """Return what to index the stored array with to get a window of all channels."""
        spans: dict[int | None, slice] = {self.channel: slice(0, self.count), self.y: window[0], self.x: window[1]}
        return tuple(spans.get(axis, 0) for axis in range(len(self.shape)))

    def arrange(self, block: Shaped[np.ndarray, "*stored"]) -> Shaped[np.ndarray, "c y x"]:
        """Return what ``index`` picked with its axes in the order c y x."""
        if self.channel is None:
            return block[None] if self.y < self.x else block.T[None]
        kept = sorted((self.channel, self.y, self.x))
        return block.transpose([kept.index(axis) for axis in (self.channel, self.y, self.x)])


def find_layout(shape: Sequence[int], found: str, given: str | None, *, source: str) -> Layout:
    """Return the layout of a stored array.

    Args:
        shape: Of the array.
        found: Axes as the file states them, one letter each; ``unstated(shape)`` where it does not.
        given: Axes as the user states them; None where the user says nothing. Axes of length 1 may
            be left out. They may rename what the file calls depth, time or channel, but not move
            y and x that the file states.
        source: File name, for messages.

    Raises:
        ConfigError: What the user states is no list of axes.
        DataError: The axes are ambiguous or contradictory, or depth or time is longer than 1.

    >>> find_layout((2, 8, 9), "cyx", None, source="a.tif").channel
    0
    """
    letters = found.lower() if given is None else _reconciled(shape, found.lower(), given, source)
    long = "".join(letter for letter, length in zip(letters, shape, strict=True) if length != 1 or letter in "yx")
    if sorted(letter for letter in long if letter not in "cs") != ["x", "y"]:
        _refuse(shape, letters, long, source)
    if sum(long.count(letter) for letter in "cs") > 1:
        raise DataError(
            f"{source} has several channels of several colour samples each ({_described(shape, letters)})."
            " Save the channels as one grey plane each."
        )
    channel = next((place for place, letter in enumerate(letters) if letter in "cs" and shape[place] != 1), None)
    return Layout(tuple(shape), letters.index("y"), letters.index("x"), channel)


def find_frames(shape: Sequence[int], found: str, given: str | None, *, source: str) -> tuple[str, int | None]:
    """Return the letters of a stored array's axes, and which of them counts frames: time, if it is longer than 1.

    The arguments, and what is raised, are those of ``find_layout``. None: there are no frames.

    >>> find_frames((5, 8, 9), "tyx", None, source="a.tif"), find_frames((5, 8, 9), "tyx", "cyx", source="a.tif")
    (('tyx', 0), ('cyx', None))
    """
    letters = found.lower() if given is None else _reconciled(shape, found.lower(), given, source)
    place = letters.find("t")
    return letters, place if place >= 0 and shape[place] != 1 else None


def unstated(shape: Sequence[int]) -> str:
    """Return the axes of an array that carries no metadata: y and x where only two axes count.

    >>> unstated((4, 5)), unstated((1, 4, 5)), unstated((3, 4, 5))
    ('yx', 'qyx', 'qqq')
    """
    if len(shape) == 2:
        return "yx"
    counting = [place for place, length in enumerate(shape) if length != 1]
    names = dict(zip(counting, "yx", strict=True)) if len(counting) == 2 else {}
    return "".join(names.get(place, UNKNOWN) for place in range(len(shape)))


def _reconciled(shape: Sequence[int], found: str, given: str, source: str) -> str:
    """Return the user's axes, one per stored axis, where the file's own do not contradict them."""
    wanted = given.lower()
    if set(wanted) - set(_MEANING) or len(set(wanted)) < len(wanted) or not {"y", "x"} <= set(wanted):
        raise ConfigError(
            f"--axes is {given!r}, but axes are named once each by the letters c (channel), y, x, z (depth) and"
            " t (time), y and x always among them. For example --axes cyx."
        )
    counting = [place for place, length in enumerate(shape) if length != 1]
    if len(wanted) == len(shape):
        letters = wanted
    elif len(wanted) == len(counting):
        names = dict(zip(counting, wanted, strict=True))
        letters = "".join(names.get(place, UNKNOWN) for place in range(len(shape)))
    else:
        raise DataError(
            f"{source} has {len(shape)} axes ({_described(shape, found)}), but --axes {given} names {len(wanted)}."
            " Name each axis of this file once; files with other axes belong into a data set of their own."
        )
    stated = set(found) <= set(_MEANING)
    if stated and any(letters.find(letter) != found.find(letter) for letter in "yx"):
        raise DataError(
            f"{source} states its axes as {_described(shape, found)}, but --axes {given} puts y and x elsewhere."
            " Drop --axes for this file."
        )
    return letters


def _refuse(shape: Sequence[int], letters: str, long: str, source: str) -> None:
    stacked = [letter for letter in long if letter in "zt"]
    if stacked and not set(long) - set(_MEANING):
        raise DataError(
            f"{source} has {_described(shape, letters)}, but one image is one plane per channel. Choose a plane, or"
            " project the stack (for example its maximum), and save that."
            " If these planes are the channels, or the frames of a clip, say so with --axes: c is channel, t is time."
        )
    example = "cyx" if len(long) < 4 else "zcyx"
    raise DataError(
        f"{source} has the shape {tuple(shape)}, and nothing says which axis is which (found:"
        f" {_described(shape, letters)}). Say so with --axes, one letter per axis in the file's order: c channel, y, x,"
        f" z depth, t time; for example --axes {example}."
    )


def _described(shape: Sequence[int], letters: str) -> str:
    """Return axes as text.

    >>> _described((3, 8, 9), "qyx")
    '3 unknown, 8 y, 9 x'
    """
    return ", ".join(
        f"{length} {_MEANING.get(letter, 'unknown')}" for length, letter in zip(shape, letters, strict=True)
    )
