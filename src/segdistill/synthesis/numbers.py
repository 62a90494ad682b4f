"""From a file's numbers to what a diffusion model sees, and back to numbers of the data's own range and type."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Shaped

from segdistill.data.inversion import turned_round
from segdistill.data.normalisation import FullRangeRule, PercentileRule, Rule
from segdistill.training.square import resampled


@dataclass(frozen=True)
class Numbers:
    """The numbers of one image's file."""

    low: tuple[float, ...]
    """What became 0, one per channel."""

    high: tuple[float, ...]
    """What became 1."""

    dtype: str
    """Their type, as NumPy names it."""

    inverted: bool = False
    """Whether they were turned round when they were read, so that what is drawn is turned round when it is written."""


def rule_for(types: Sequence[np.dtype]) -> Rule:
    """Return how images are brought to 0..1: bytes as they are, other numbers by the range of their own image.

    Bytes are pictures whose brightness and colour were somebody's choice; other numbers are counts, whose range
    varies with the exposure.

    >>> rule_for([np.dtype(np.uint8)]), rule_for([np.dtype(np.uint16)])
    (FullRangeRule(), PercentileRule(lower=0.1, upper=99.9))
    """
    return FullRangeRule() if all(each == np.uint8 for each in types) else PercentileRule()


def in_numbers(picture: Float[np.ndarray, "c y x"], numbers: Numbers) -> Shaped[np.ndarray, "c y x"]:
    """Return a picture, 0 to 1, in numbers of a file's range and type.

    Args:
        picture: What lies outside of 0 to 1 is cut.
        numbers: Of a real image.

    >>> in_numbers(np.array([[[0.0, 0.5, 2.0]]]), Numbers((100.0,), (300.0,), "uint16"))
    array([[[100, 200, 300]]], dtype=uint16)
    """
    low, high = (np.array(ends, np.float64)[:, None, None] for ends in (numbers.low, numbers.high))
    values = low + np.clip(picture, 0, 1) * np.maximum(high - low, 0)
    dtype = np.dtype(numbers.dtype)
    if dtype.kind in "iu":
        ends = np.iinfo(dtype)
        values = np.rint(values).clip(ends.min, ends.max)
    elif dtype.kind == "b":
        values = values > (low + high) / 2
    array = values.astype(dtype)
    return turned_round(array) if numbers.inverted else array


def brought_to(picture: Float[np.ndarray, "c y x"], side: int) -> Float32[np.ndarray, "c _ _"]:
    """Return a picture whose shorter side has so many pixels, its ratio kept to half a pixel.

    >>> brought_to(np.zeros((1, 100, 250), np.float32), 32).shape
    (1, 32, 80)
    """
    shorter = min(picture.shape[1:])
    height, width = (max(side, round(length * side / shorter)) for length in picture.shape[1:])
    return resampled(picture, (height, width))
