"""What a simulated swallow looks like, and the machine that films it."""

from dataclasses import dataclass
from math import inf

from segdistill.data.simulate.ranges import check_ranges

STRUCTURES = (
    *("vertebrae", "mandible", "hard_palate", "soft_palate", "tongue", "hyoid", "epiglottis"),
    *("thyroid_cartilage", "airway", "pharynx", "oesophagus", "bolus"),
)
"""What is labelled, in the order of the planes and of the bits."""

_RANGES: dict[str, tuple[float, float]] = {
    "height": (32, inf),
    "width": (32, inf),
    "frames": (1, inf),
    "rate": (1, 120),
    "variation": (0, 1),
    "contrast": (0.05, 2),
    "photons": (1, 100000),
    "scatter": (0, 0.9),
    "blur": (0, 20),
    "lag": (0, 0.9),
}
"""Lowest and highest value of each field, both allowed."""


@dataclass(frozen=True, kw_only=True)
class FluoroscopySettings:
    """One kind of clips from one machine.

    Raises:
        ConfigError: A value is out of its range; every such value is named at once.

    >>> FluoroscopySettings(frames=10).rate
    15.0
    """

    height: int = 256
    """Rows of a frame, pixels."""

    width: int = 256
    """Columns of a frame, pixels."""

    frames: int = 40
    """Frames of a clip. A swallow takes about a second and begins in the first third."""

    rate: float = 15.0
    """Frames per second."""

    variation: float = 1.0
    """How much people differ in size, place, posture, timing and density: 0 not at all, 1 plausibly."""

    contrast: float = 0.5
    """How much of the beam structures take, over what would make them easy to see."""

    photons: float = 400.0
    """Mean count of photons in a pixel of the open beam: fewer make more noise."""

    scatter: float = 0.35
    """Share of the light that comes from scattered rays: a veil that lowers contrast."""

    blur: float = 0.9
    """Standard deviation of the focal spot's and the detector's blur, pixels of a frame of 256 rows."""

    lag: float = 0.25
    """Share of the frame before that is still seen in a frame."""

    def __post_init__(self) -> None:
        check_ranges(self, _RANGES, what="Simulated clips")
