"""A view of an image in the square that a student sees: its longer side the square's, what lies beyond it filled."""

from typing import Literal

import numpy as np
from jaxtyping import Float, Float32

from segdistill.networks.grid import interpolation_weights


def fitted(shape: tuple[int, int], *, side: int, stride: int) -> tuple[int, int]:
    """Return the size (y, x) that an image is brought to: its longer side the square's, both whole tokens.

    So tokens of student and teacher cover the same ground, however the teacher's own grid lies. The ratio is kept to
    half a token.

    Args:
        shape: Of the image (y, x), pixels.
        side: Of the square, a multiple of the stride.
        stride: Pixels per token.

    >>> fitted((500, 300), side=256, stride=16), fitted((10, 4000), side=256, stride=16)
    ((256, 160), (16, 256))
    """
    height, width = (max(int(length * side / max(shape) / stride + 0.5), 1) * stride for length in shape)
    return height, width


def resampled(planes: Float[np.ndarray, "c y x"], shape: tuple[int, int]) -> Float32[np.ndarray, "c _ _"]:
    """Return planes on another grid, linearly; where they shrink every pixel counts (``interpolation_weights``)."""
    rows, columns = (interpolation_weights(old, new) for old, new in zip(planes.shape[1:], shape, strict=True))
    return (rows @ planes @ columns.T).astype(np.float32, copy=False)


def in_square(
    planes: Float32[np.ndarray, "c y x"], side: int, fill: Literal["constant", "edge"] = "constant"
) -> Float32[np.ndarray, "c side side"]:
    """Return planes in the top left corner of a square, with zeros or the last row and column beyond them."""
    below, right = side - planes.shape[1], side - planes.shape[2]
    return np.pad(planes, ((0, 0), (0, below), (0, right)), mode=fill)
