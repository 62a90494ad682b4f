"""One simulated clip, from its seed."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8

from segdistill.data.simulate.fields import stream
from segdistill.data.simulate.fluoroscopy.anatomy import draw_person, pose
from segdistill.data.simulate.fluoroscopy.rays import Machine, mask_of, thickness
from segdistill.data.simulate.fluoroscopy.settings import STRUCTURES, FluoroscopySettings
from segdistill.data.simulate.fluoroscopy.swallow import draw_swallow
from segdistill.errors import ConfigError

_DEFAULT = FluoroscopySettings()


@dataclass(frozen=True, eq=False)
class Clip:
    """A clip of which everything is known."""

    frames: UInt8[np.ndarray, "t y x"]
    """Grey values; what takes much of the beam is dark."""

    masks: Bool[np.ndarray, "t k y x"]
    """Where each of ``STRUCTURES`` is, in that order, hidden or not. They overlap."""


def simulate_clip(seed: int, settings: FluoroscopySettings = _DEFAULT) -> Clip:
    """Simulate one person's swallow.

    Equal seeds and settings give equal arrays. Anatomy, swallow and rays draw from streams of their own: more noise
    leaves the masks as they are.

    Args:
        seed: ≥ 0.
        settings: The clip and the machine.

    Raises:
        ConfigError: The seed is negative.

    >>> clip = simulate_clip(0, FluoroscopySettings(height=64, width=64, frames=3))
    >>> clip.frames.shape, clip.masks.shape
    ((3, 64, 64), (3, 12, 64, 64))
    """
    if seed < 0:
        raise ConfigError(f"The seed of a simulated clip is {seed}, but it must be 0 or more.")
    person = draw_person(stream(seed, "anatomy"), settings.variation)
    swallow = draw_swallow(stream(seed, "swallow"), settings.frames / settings.rate, settings.variation)
    machine = Machine(stream(seed, "rays"), settings)
    shape = settings.height, settings.width
    frames = np.empty((settings.frames, *shape), np.uint8)
    masks = np.zeros((settings.frames, len(STRUCTURES), *shape), bool)
    for number in range(settings.frames):
        chains = pose(person, swallow.at(number / settings.rate))
        lengths = {name: thickness(chains[name], *shape) for name in STRUCTURES if name in chains}
        frames[number] = machine.film(lengths, person.densities)
        for name, length in lengths.items():
            masks[number, STRUCTURES.index(name)] = mask_of(length)
    return Clip(frames, masks)
