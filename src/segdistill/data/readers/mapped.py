"""Pixels that lie in a file as they are, read by memory-mapping no longer than a read takes."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class MappedPixels:
    """An array in a file.

    The file is mapped anew for each read: pages of a mapping that stays open would add up, window
    by window, to the whole file in the process's memory.
    """

    path: Path
    """The file."""

    dtype: np.dtype
    """As stored, byte order included."""

    offset: int
    """Bytes before the first pixel."""

    shape: tuple[int, ...]
    """Of the array."""

    fortran: bool = False
    """Whether the first axis, not the last, is the one whose neighbours lie side by side."""

    def __getitem__(self, index: Any, /) -> np.ndarray:
        if math.prod(self.shape) == 0:  # nothing can be mapped
            return np.empty(self.shape, self.dtype)[index]
        order = "F" if self.fortran else "C"
        return np.array(np.memmap(self.path, self.dtype, "r", self.offset, self.shape, order)[index])
