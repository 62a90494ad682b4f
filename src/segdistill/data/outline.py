"""One object that somebody drew."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64


@dataclass(frozen=True, eq=False)
class Outline:
    """An area by its edges."""

    name: str
    """What to call it in messages: its place in the file, and its name if it has one."""

    parts: tuple[tuple[Float64[np.ndarray, "_ 2"], ...], ...]
    """Areas, each of rings of corners (x, y): within an area rings count by the even-odd rule."""
