"""In what lengths are told: micrometres where the pixel size is known, pixels otherwise."""

from dataclasses import dataclass
from math import isfinite

from segdistill.errors import ConfigError


@dataclass(frozen=True)
class Ruler:
    """How lengths in a field are measured, and how far apart two contours may lie.

    Pixels are square: the readers refuse files whose pixels are not, and arrays of other pixels
    must be resampled first.

    >>> Ruler().unit, Ruler(0.5, tolerance=1.0).unit, Ruler(0.5, tolerance=1.0).tolerance_pixels
    ('px', 'µm', 2.0)
    """

    pixel_size: float | None = None
    """Side of a pixel, micrometres. None: not known, so lengths are in pixels."""

    tolerance: float = 2.0
    """How far apart contours may lie for ``nsd``, and how wide the bands of ``boundary_dice`` are, > 0, in ``unit``."""

    def __post_init__(self) -> None:
        if self.pixel_size is not None and not (self.pixel_size > 0 and isfinite(self.pixel_size)):
            raise ConfigError(
                f"The pixel size is {self.pixel_size} µm. Give the side of a pixel in micrometres, above 0,"
                " or none to measure in pixels."
            )
        if not (self.tolerance > 0 and isfinite(self.tolerance)):
            raise ConfigError(
                f"The tolerance of contours is {self.tolerance} {self.unit}. Choose a length above 0,"
                " such as the distance at which two annotators agree."
            )

    @property
    def unit(self) -> str:
        """Of every length: "µm" or "px"."""
        return "px" if self.pixel_size is None else "µm"

    @property
    def pixel(self) -> float:
        """Side of a pixel in ``unit``."""
        return 1.0 if self.pixel_size is None else self.pixel_size

    @property
    def tolerance_pixels(self) -> float:
        """The tolerance, pixels."""
        return self.tolerance / self.pixel


PIXELS = Ruler()
"""Lengths in pixels."""
