"""Channel names and pixel size in the metadata of TIFF files: OME-XML, ImageJ, resolution tags."""

from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import tifffile

from segdistill.data.readers import pixel_size as sizes


@dataclass(frozen=True)
class Metadata:
    """What a TIFF file says of its channels and pixels."""

    channels: tuple[str | None, ...] = ()
    """Names in order, None for a channel without one; () where the file says nothing."""

    y: float | None = None
    """Pixel size along y, micrometres."""

    x: float | None = None
    """Pixel size along x, micrometres."""

    def pixel_size(self, source: str) -> float | None:
        """Return the side of a pixel, micrometres, or refuse pixels that are not square."""
        return sizes.square(self.y, self.x, source=source)


def read_metadata(file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> Metadata:
    """Return the metadata of the kind by which tifffile laid the file out."""
    if series.kind == "ome" and file.ome_metadata:
        return _ome(file.ome_metadata)
    if series.kind == "imagej" and file.imagej_metadata:
        return _imagej(file.imagej_metadata, series)
    return _tags(series.keyframe)


def _ome(xml: str) -> Metadata:
    # tifffile has parsed this text with the same parser, which fetches nothing and bounds entities.
    pixels = ElementTree.fromstring(xml).find("{*}Image/{*}Pixels")  # noqa: S314
    if pixels is None:
        return Metadata()
    return Metadata(
        tuple(channel.get("Name") for channel in pixels.findall("{*}Channel")),
        *(_ome_length(pixels, axis) for axis in "YX"),
    )


def _ome_length(pixels: ElementTree.Element, axis: str) -> float | None:
    # The schema's own unit, where none is stated, is the micrometre.
    return sizes.micrometres(_number(pixels.get(f"PhysicalSize{axis}")), pixels.get(f"PhysicalSize{axis}Unit", "µm"))


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _imagej(found: dict[str, Any], series: tifffile.TiffPageSeries) -> Metadata:
    labels = found.get("Labels") or ()
    labels = (labels,) if isinstance(labels, str) else tuple(str(label) for label in labels)
    planes = series.axes.replace("Y", "").replace("X", "")
    unit = str(found.get("unit", "")).replace("\\u00B5", "µ")
    y, x = _per_pixel(series.keyframe, unit)
    if unit == "inch":
        y, x = sizes.optical(y), sizes.optical(x)
    return Metadata(labels if planes in {"", "C"} else (), y, x)


def _tags(page: tifffile.TiffPage) -> Metadata:
    unit = {2: "inch", 3: "cm"}.get(int(page.resolutionunit or 1))
    y, x = _per_pixel(page, unit)
    return Metadata((), sizes.optical(y), sizes.optical(x))


def _per_pixel(page: tifffile.TiffPage, unit: str | None) -> tuple[float | None, float | None]:
    """Return (y, x) in micrometres from the resolution tags, which state pixels per unit."""
    x, y = page.resolution
    return sizes.micrometres(1 / y if y else None, unit), sizes.micrometres(1 / x if x else None, unit)
