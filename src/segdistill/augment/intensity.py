"""Changes of brightness and noise, for the student's image only."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segdistill.errors import ConfigError, ShapeError

_STREAM = 2  # tells these draws from others of the same seed, step and slot


@dataclass(frozen=True, kw_only=True)
class Jitter:
    """Least and greatest of every change; all images are in 0..1."""

    gain: tuple[float, float] = (0.8, 1.25)
    """Factor, > 0; drawn evenly on a logarithmic scale."""

    offset: tuple[float, float] = (-0.05, 0.05)
    """Added after the gain."""

    gamma: tuple[float, float] = (0.7, 1.4)
    """Exponent, > 0; drawn evenly on a logarithmic scale."""

    noise: tuple[float, float] = (0.0, 0.03)
    """Standard deviation of normal noise, ≥ 0."""

    def __post_init__(self) -> None:
        for name, floor in (("gain", 1e-6), ("offset", -math.inf), ("gamma", 1e-6), ("noise", 0.0)):
            low, high = getattr(self, name)
            if not (math.isfinite(low) and floor <= low <= high < math.inf):
                raise ConfigError(
                    f"{name} is drawn from {low} to {high}, but needs two finite numbers, the smaller first"
                    f"{'' if floor == -math.inf else ', not negative' if floor == 0 else ', above 0'}."
                    f" For example {' '.join(map(str, type(self).__dataclass_fields__[name].default))}."
                )


def jitter_intensity(
    image: Float[Tensor, "b c y x"],
    *,
    seed: int,
    step: int,
    slots: Sequence[int],
    ranges: Jitter = Jitter(),
) -> Float[Tensor, "b c y x"]:
    """Return the images with gain, offset, gamma and noise of their own in each channel.

    Every draw is a function of (seed, step, slot): splitting a batch changes nothing. On another
    kind of device the noise is another.

    Args:
        image: In 0..1.
        seed: Of the run, ≥ 0.
        step: The optimiser step, ≥ 0.
        slots: Each sample's place in the whole batch of this step, ≥ 0.
        ranges: How strong the changes are.

    Returns:
        ``gain · image**gamma + offset + noise``, cut to 0..1, the range in which students work.

    Raises:
        ShapeError: There are not as many slots as images.

    Source:
        The strengths are those customary in microscopy, Isensee et al. 2021 (nnU-Net),
        doi:10.1038/s41592-020-01008-z, supplement, somewhat narrowed.

    >>> image = torch.rand(2, 1, 4, 6)
    >>> changed = jitter_intensity(image, seed=0, step=0, slots=[0, 1])
    >>> torch.equal(changed[1:], jitter_intensity(image[1:], seed=0, step=0, slots=[1]))
    True
    """
    if len(slots) != len(image):
        raise ShapeError(f"There are {len(slots)} slots but {len(image)} images. Give one slot per image.")
    channels = image.shape[1]
    draws = [_draw(np.random.default_rng((seed, step, slot, _STREAM)), channels, ranges) for slot in slots]
    numbers = torch.tensor(np.array([numbers for numbers, _ in draws]), dtype=image.dtype, device=image.device)
    gain, offset, gamma, deviation = numbers.reshape(-1, 4, channels, 1, 1).unbind(1)
    noise = torch.stack([_normal(key, image[0]) for _, key in draws]) if draws else torch.zeros_like(image)
    return (gain * image.clamp_min(0) ** gamma + offset + deviation * noise).clamp(0, 1)


def _draw(generator: np.random.Generator, channels: int, ranges: Jitter) -> tuple[Float[np.ndarray, "4 c"], int]:
    """Return gain, offset, gamma and noise of every channel, and the key of the noise."""
    gain, offset, gamma, noise = generator.random((4, channels))
    numbers = [
        _between_logarithms(ranges.gain, gain),
        _between(ranges.offset, offset),
        _between_logarithms(ranges.gamma, gamma),
        _between(ranges.noise, noise),
    ]
    return np.stack(numbers), int(generator.integers(2**63))


def _between(bounds: tuple[float, float], share: Float[np.ndarray, " c"]) -> Float[np.ndarray, " c"]:
    low, high = bounds
    return low + (high - low) * share


def _between_logarithms(bounds: tuple[float, float], share: Float[np.ndarray, " c"]) -> Float[np.ndarray, " c"]:
    low, high = bounds
    return low * (high / low) ** share


def _normal(key: int, like: Tensor) -> Tensor:
    generator = torch.Generator(like.device).manual_seed(key)
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)
