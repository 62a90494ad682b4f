"""What X-rays leave on a detector: absorption that adds up, scatter, blur, photon noise, an image that lags."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy.ndimage import gaussian_filter

from segdistill.data.simulate.fields import smooth_field
from segdistill.data.simulate.fluoroscopy.anatomy import Chain
from segdistill.data.simulate.fluoroscopy.settings import FluoroscopySettings

_TISSUE = 1.1
"""What the neck takes of the beam, as the negative logarithm of what is left."""
_WHITE = 0.72
"""Grey value, of 1, that the brightest rays of a clip get."""


def thickness(chains: Sequence[Chain], height: int, width: int) -> Float[np.ndarray, "y x"]:
    """Return how long rays are in some tubes, over the longest there could be; 0 outside, 1 along the axis.

    >>> tube = Chain(np.array([[0.5, 0.0], [0.5, 1.0]]), np.array([0.25, 0.25]))
    >>> [round(float(value), 2) for value in thickness([tube], 8, 8)[:, 4]]
    [0.0, 0.0, 0.66, 0.97, 0.97, 0.66, 0.0, 0.0]
    """
    longest = np.zeros((height, width))
    for chain in chains:
        for ends, radii in zip(pairwise(chain.points), pairwise(chain.radii), strict=True):
            window = _window(np.stack(ends), max(radii), height, width)
            place = (np.moveaxis(np.mgrid[window], 0, -1) + 0.5) / height
            np.maximum(longest[window], 1 - _away(place, *ends, *radii) ** 2, out=longest[window])
    return np.sqrt(longest)


def _window(ends: Float[np.ndarray, "2 2"], radius: float, height: int, width: int) -> tuple[slice, slice]:
    """Return the rows and columns that a tube may reach."""
    low = np.floor((ends.min(axis=0) - radius) * height).astype(int)
    high = np.ceil((ends.max(axis=0) + radius) * height).astype(int) + 1
    first, last = np.clip(low, 0, (height, width)), np.clip(high, 0, (height, width))
    return slice(first[0], last[0]), slice(first[1], last[1])


def _away(
    place: Float[np.ndarray, "y x 2"],
    first: Float[np.ndarray, "2"],
    second: Float[np.ndarray, "2"],
    wide: float,
    next_wide: float,
) -> Float[np.ndarray, "y x"]:
    """Return how far places are from a tube's axis, over its radius there."""
    along = second - first
    share = np.clip(((place - first) @ along) / max(float(along @ along), 1e-12), 0, 1)
    return np.linalg.norm(place - (first + share[..., None] * along), axis=-1) / (wide + share * (next_wide - wide))


class Machine:
    """Films one clip: what it saw before is still faintly seen."""

    def __init__(self, generator: np.random.Generator, settings: FluoroscopySettings) -> None:
        self._generator, self._settings = generator, settings
        shape = settings.height, settings.width
        body = Chain(np.array([[0.25, 0.36], [0.5, 0.48], [1.2, 0.52]]), np.array([0.42, 0.36, 0.30]))
        texture = 1 + 0.12 * smooth_field(generator, shape, scale=settings.height / 8)
        self._tissue = _TISSUE * thickness([body], *shape) * texture
        self._gain = float(np.exp(0.1 * generator.standard_normal()))
        self._before: Float[np.ndarray, "y x"] | None = None

    def film(
        self, lengths: Mapping[str, Float[np.ndarray, "y x"]], densities: Mapping[str, float]
    ) -> UInt8[np.ndarray, "y x"]:
        """Return the next frame.

        Args:
            lengths: Of the rays in each structure, as ``thickness`` returns them.
            densities: What the thickest place of each takes of the beam.
        """
        settings = self._settings
        taken = self._tissue + settings.contrast * sum(densities[name] * length for name, length in lengths.items())
        direct = np.exp(-taken)
        pixel = settings.height / 256
        veil = gaussian_filter(direct, 30 * pixel)
        seen = gaussian_filter((1 - settings.scatter) * direct + settings.scatter * veil, settings.blur * pixel)
        counted = self._generator.poisson(settings.photons * seen) / settings.photons
        kept = counted if self._before is None else (1 - settings.lag) * counted + settings.lag * self._before
        self._before = kept
        return np.rint(255 * np.clip(_WHITE * self._gain * np.sqrt(kept), 0, 1)).astype(np.uint8)


def mask_of(length: Float[np.ndarray, "y x"]) -> Bool[np.ndarray, "y x"]:
    """Return where a structure is: all rays that pass through it."""
    return length > 0
