"""One object that somebody drew: its edges, or its pixels."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64


@dataclass(frozen=True, eq=False)
class Outline:
    """An area by its edges."""

    name: str
    """What to call it in messages: its place in the file, and its name if it has one."""

    parts: tuple[tuple[Float64[np.ndarray, "_ 2"], ...], ...]
    """Areas, each of rings of corners (x, y): within an area rings count by the even-odd rule."""


@dataclass(frozen=True, eq=False)
class Stamp:
    """An area by its pixels."""

    name: str
    """What to call it in messages."""

    top: int
    """Row of the image at which its own first row lies."""

    left: int
    """Column of the image at which its own first column lies."""

    inside: Bool[np.ndarray, "y x"]
    """Which pixels are its own; no larger than they need."""

    whole: tuple[int, int]
    """Pixels along y and x of the image that it was drawn on."""

    @classmethod
    def cut(cls, name: str, inside: Bool[np.ndarray, "y x"]) -> "Stamp":
        """Return the area of a mask of a whole image.

        >>> Stamp.cut("a", np.eye(4) > 0).inside.shape, Stamp.cut("a", np.zeros((4, 5)) > 0).inside.shape
        ((4, 4), (0, 0))
        """
        rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return cls(name, 0, 0, np.zeros((0, 0), bool), inside.shape)
        top, left = int(rows[0]), int(columns[0])
        own = inside[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1].copy()
        return cls(name, top, left, own, inside.shape)
