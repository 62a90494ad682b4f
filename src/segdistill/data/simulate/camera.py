"""A fluorescence microscope: blur, uneven light, photon noise, read noise, digits."""

import numpy as np
from jaxtyping import Float, UInt16
from scipy.ndimage import gaussian_filter

from segdistill.data.simulate.fields import smooth_field
from segdistill.data.simulate.settings import TissueSettings

_HAZE = 0.12
"""Share of the light that comes from out of focus."""
_HAZE_WIDTH = 6.0
"""Standard deviation of the out-of-focus light, pixels."""
_GAIN = 12.0
"""Counts for one photon."""
_OFFSET = 100.0
"""Counts that the camera adds to every pixel."""


def photograph(
    generator: np.random.Generator, light: Float[np.ndarray, "c y x"], settings: TissueSettings, *, margin: int
) -> UInt16[np.ndarray, "c h w"]:
    """Return what the camera records of the tissue's light.

    Args:
        generator: Where the random numbers come from.
        light: Expected photons in each pixel without blur or background, ≥ 0.
        settings: Blur, shading, background and read noise.
        margin: Width of the frame that sends out light but is not recorded, pixels.

    Returns:
        Counts, with the frame cut away.

    >>> dark = np.zeros((1, 12, 14))
    >>> photograph(np.random.default_rng(0), dark, TissueSettings(), margin=2).shape
    (1, 8, 10)
    """
    sharp = np.stack([gaussian_filter(channel, settings.blur) for channel in light])
    wide = np.stack([gaussian_filter(channel, _HAZE_WIDTH) for channel in light])
    seen = (1 - _HAZE) * sharp + _HAZE * wide
    seen = seen[:, margin : light.shape[1] - margin, margin : light.shape[2] - margin]
    channels = zip(seen, generator.spawn(len(seen)), strict=True)
    return np.stack([_record(channel, own, settings) for channel, own in channels])


def _record(
    seen: Float[np.ndarray, "y x"], generator: np.random.Generator, settings: TissueSettings
) -> UInt16[np.ndarray, "y x"]:
    """Return the counts of one channel, which has its own lamp and its own stray light."""
    stray = settings.background * np.exp(0.25 * smooth_field(generator, seen.shape, scale=60.0))
    photons = (seen + stray) * _illumination(generator, seen.shape, settings.shading)
    electrons = settings.read_noise * generator.standard_normal(seen.shape)
    electrons += generator.poisson(photons)
    return np.clip(np.rint(_OFFSET + _GAIN * electrons), 0, np.iinfo(np.uint16).max).astype(np.uint16)


def _illumination(generator: np.random.Generator, shape: tuple[int, int], loss: float) -> Float[np.ndarray, "y x"]:
    """Return 1 at the brightest place, falling with the square of the distance to ``1 - loss``."""
    centre = generator.uniform(0.25, 0.75, 2) * shape
    row, column = np.ogrid[: shape[0], : shape[1]]
    distance = ((row - centre[0]) / shape[0]) ** 2 + ((column - centre[1]) / shape[1]) ** 2
    return 1 - loss * distance / distance.max()
