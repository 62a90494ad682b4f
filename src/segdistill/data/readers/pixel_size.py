"""The side of a pixel in micrometres, from whatever units a file states it in."""

import math

from segdistill.errors import DataError

_MICROMETRES = {
    "pm": 1e-6,
    "picometer": 1e-6,
    "å": 1e-4,
    "angstrom": 1e-4,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "µm": 1.0,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "mm": 1e3,
    "millimeter": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "m": 1e6,
    "meter": 1e6,
    "inch": 25_400.0,
    "in": 25_400.0,
}
_TOLERANCE = 0.01

COARSEST = 20.0
"""Micrometres. A resolution in dots per inch or centimetre that says more describes a screen or a printer
(72 dpi is 353 µm), not the object."""


def micrometres(length: float | None, unit: str | None) -> float | None:
    """Return a length in micrometres; None where it or its unit is not known.

    >>> micrometres(650.0, "nm")
    0.65
    >>> micrometres(1.0, "pixel") is None
    True
    """
    # U+03BC (Greek mu) and U+00B5 (micro sign) look alike, and both occur.
    factor = _MICROMETRES.get((unit or "").strip().lower().replace("\u03bc", "\u00b5").replace("metre", "meter"))
    if length is None or factor is None or not (length > 0 and math.isfinite(length)):
        return None
    return length * factor


def square(y: float | None, x: float | None, *, source: str) -> float | None:
    """Return the one side of a square pixel, micrometres; None where either side is not known.

    Raises:
        DataError: The sides differ by more than 1 %.

    >>> square(0.5, 0.502, source="a.tif")
    0.501
    """
    if y is None or x is None:
        return None
    if abs(y - x) > _TOLERANCE * min(y, x):
        raise DataError(
            f"{source} has pixels of {y:g} µm along y and {x:g} µm along x. Pixels must be square to within"
            f" {_TOLERANCE:.0%}: resample the image to square pixels and save it with their size."
        )
    return (y + x) / 2


def optical(size: float | None) -> float | None:
    """Return a size that a resolution tag states, or None where it can only be a screen's or printer's.

    >>> optical(0.65), optical(352.8)
    (0.65, None)
    """
    return size if size is not None and size <= COARSEST else None
