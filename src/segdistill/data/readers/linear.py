"""Stored numbers that mean others: value = slope × stored + intercept."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

_WHOLE = (np.int16, np.int32)


@dataclass(frozen=True)
class Linear:
    """What stored numbers mean."""

    slope: float = 1.0
    intercept: float = 0.0

    @property
    def same(self) -> bool:
        """Whether the stored numbers mean themselves."""
        return (self.slope, self.intercept) == (1.0, 0.0)

    def bounds(self, low: int, high: int) -> tuple[float, float]:
        """Return the least and the greatest value that stored numbers from ``low`` to ``high`` can mean."""
        ends = (self.slope * low + self.intercept, self.slope * high + self.intercept)
        return min(ends), max(ends)

    def dtype(self, stored: np.dtype, low: int, high: int) -> np.dtype:
        """Return the type of the values: a whole one where it holds all of them exactly, else float32.

        Args:
            stored: Type of the stored numbers.
            low: The least number that can be stored.
            high: The greatest.

        >>> Linear(1.0, -1024.0).dtype(np.dtype("uint16"), 0, 4095), Linear(0.5).dtype(np.dtype("uint8"), 0, 255)
        (dtype('int16'), dtype('float32'))
        """
        if self.same:
            return stored.newbyteorder("=")
        if stored.kind in "iu" and self.slope.is_integer() and self.intercept.is_integer():
            ends = self.bounds(low, high)
            for whole in _WHOLE:
                if np.iinfo(whole).min <= ends[0] and ends[1] <= np.iinfo(whole).max:
                    return np.dtype(whole)
        return np.dtype(np.float32)

    def values(self, stored: Shaped[np.ndarray, "*shape"], dtype: np.dtype) -> Shaped[np.ndarray, "*shape"]:
        """Return what stored numbers mean, in a type as ``dtype`` chose it."""
        if self.same:
            return stored.astype(dtype, copy=False)
        return (stored.astype(np.float64) * self.slope + self.intercept).astype(dtype)

    @classmethod
    def stated(cls, slope: float, intercept: float) -> "Linear":
        """Return what a file states.

        Raises:
            ValueError: Its numbers are not finite, or its slope is 0: everything would have one value.
        """
        if not (math.isfinite(slope) and math.isfinite(intercept) and slope):
            raise ValueError(f"values are to be {slope:g} times what is stored plus {intercept:g}")
        return cls(float(slope), float(intercept))
