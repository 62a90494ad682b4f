"""The side of a DICOM picture's pixels in micrometres.

Source:
    DICOM PS3.3: 10.7.1 (spacing), C.7.6.16.2.1 (frames), C.8.5.5 (regions of ultrasound).
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from segdistill.data.readers.dicom_header import Header
from segdistill.data.readers.pixel_size import micrometres, square
from segdistill.errors import DataError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_CENTIMETRES, _PICTURE = 3, 1
_ALIKE = 0.01

Where = Literal["body", "detector", "regions", "nowhere"]
"""Where a size holds: in what is seen; at the detector, onto which things are magnified; ``regions`` means that regions
of one picture differ, so that it has no one size."""


def pixel_size(header: Header, frame: int, *, source: str) -> float | None:
    """Return the side of a pixel, micrometres; None where nothing says, or regions of the picture differ.

    Raises:
        DataError: Pixels are not square, or a size is no number above 0.
    """
    sides, _ = _sides(header, frame)
    if sides is None:
        _refuse_oblong(header.dataset, source)
        return None
    if not all(side > 0 and math.isfinite(side) for side in sides):
        raise DataError(
            f"{source} states pixels of {sides[0]:g} × {sides[1]:g} mm (y × x), which cannot be. Correct its header, or"
            " remove the size from it."
        )
    y, x = (micrometres(side, "mm") for side in sides)
    return square(y, x, source=source)


def where(header: Header) -> Where:
    """Return what a file's pixel size is said of."""
    return _sides(header, 0)[1]


def _sides(header: Header, frame: int) -> tuple[tuple[float, float] | None, Where]:
    """Return the sides of a pixel along y and x, millimetres, and where they hold."""
    measures = header.of_frame("PixelMeasuresSequence", frame)
    for holder in (measures, header.dataset):
        spacing = _pair(holder, "PixelSpacing")
        if spacing:
            return spacing, "body"
    regions = list(_regions(header.dataset))
    if regions:
        alike = all(
            abs(one - other) <= _ALIKE * other
            for region in regions[1:]
            for one, other in zip(region, regions[0], strict=True)
        )
        return (regions[0], "body") if alike else (None, "regions")
    for name in ("ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        spacing = _pair(header.dataset, name)
        if spacing:
            return spacing, "detector"
    return None, "nowhere"


def _pair(holder: "Dataset | None", name: str) -> tuple[float, float] | None:
    value = None if holder is None else holder.get(name)
    return None if not value or len(value) != 2 else (float(value[0]), float(value[1]))


def _regions(dataset: "Dataset") -> Iterator[tuple[float, float]]:
    """Yield the sides of a pixel along y and x, millimetres, in each region that is a picture measured in cm."""
    for region in dataset.get("SequenceOfUltrasoundRegions") or ():
        units = (region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection"))
        if region.get("RegionSpatialFormat") == _PICTURE and units == (_CENTIMETRES, _CENTIMETRES):
            # The sign says to which side the axis points.
            yield 10 * abs(float(region.PhysicalDeltaY)), 10 * abs(float(region.PhysicalDeltaX))


def _refuse_oblong(dataset: "Dataset", source: str) -> None:
    ratio: Any = dataset.get("PixelAspectRatio")
    if ratio and len(ratio) == 2 and float(ratio[0]) != float(ratio[1]):
        raise DataError(
            f"{source} has pixels of {float(ratio[0]):g} to {float(ratio[1]):g} (y to x). Pixels must be square:"
            " resample the image to square pixels."
        )
