"""Random numbers of the simulator: independent streams, and smooth random fields."""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int

Stage = Literal["cells", "nuclei", "membrane", "camera", "anatomy", "swallow", "rays"]
"""What draws random numbers; a new one comes last, so that the others go on drawing what they drew."""
_TAPS = 8
"""Coarse nodes that reach a pixel in one direction: more than three standard deviations each way."""


def stream(seed: int, name: Stage) -> np.random.Generator:
    """Return the generator of one stage.

    Each stage draws from its own stream, so changing one, say the noise, leaves the others as
    they were.

    >>> float(stream(1, "cells").random()) == float(stream(1, "camera").random())
    False
    """
    return np.random.default_rng((seed, get_args(Stage).index(name)))


def smooth_field(generator: np.random.Generator, shape: tuple[int, int], *, scale: float) -> Float[np.ndarray, "y x"]:
    """Return a smooth Gaussian random field with mean 0 and variance 1 at every pixel.

    Args:
        generator: Where the random numbers come from.
        shape: Rows and columns, pixels.
        scale: Distance over which the field changes, pixels, > 0.

    White noise on a coarse grid is spread by a Gaussian, rows first and columns next, so the cost
    does not grow with the scale. Plain sums in a fixed order: a product of matrices by BLAS would
    depend on the number of threads, and equal seeds must give equal bytes.

    >>> smooth_field(np.random.default_rng(0), (6, 9), scale=4.0).shape
    (6, 9)
    """
    (row_weights, row_nodes), (column_weights, column_nodes) = (_taps(length, scale) for length in shape)
    white = generator.standard_normal((row_nodes[-1, -1] + 1, column_nodes[-1, -1] + 1))
    rows = np.zeros((shape[0], white.shape[1]))
    field = np.zeros(shape)
    for tap in range(_TAPS):
        rows += row_weights[:, [tap]] * white[row_nodes[:, tap]]
    for tap in range(_TAPS):
        field += column_weights[:, tap] * np.take(rows, column_nodes[:, tap], axis=1)
    return field


def _taps(length: int, scale: float) -> tuple[Float[np.ndarray, "pixel tap"], Int[np.ndarray, "pixel tap"]]:
    """Return, for each pixel, the weights of the coarse nodes around it and which nodes those are.

    The squares of a pixel's weights add up to 1, which keeps the variance at 1.
    """
    spacing = scale / 1.5
    place = np.arange(length) / spacing
    nodes = np.floor(place).astype(np.int64)[:, None] + np.arange(_TAPS)
    away = spacing * (place[:, None] - nodes + _TAPS // 2 - 1)
    weights = np.exp(-0.5 * (away / (scale / 2)) ** 2)
    return weights / np.linalg.norm(weights, axis=1, keepdims=True), nodes
