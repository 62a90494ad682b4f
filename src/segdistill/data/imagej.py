"""Outlines from ImageJ: a .roi file, or the .zip of them that its ROI Manager saves."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from segdistill.data.outline import Outline
from segdistill.data.readers.faults import reading
from segdistill.errors import DataError

_AREAS = {"POLYGON", "RECT", "OVAL", "FREEHAND", "TRACED"}


_MOST_BYTES = 2**29
"""Of all outlines in a .zip together: a million objects of sixty corners take two thirds of it."""


def read_imagej(path: Path) -> list[Outline]:
    """Return the areas of ImageJ's file, in its order.

    Args:
        path: One .roi, or a .zip of them. Rectangles, ovals, polygons, freehand and traced areas and what
            is composed of them are areas. A .zip without any is refused: ImageJ does not write one.

    Raises:
        DataError: The file is damaged, holds something else than areas, or areas on several slices.
    """
    found = _members(path)
    rois = [(name, _parsed(path, name, content)) for name, content in found]
    slices = {_slice(roi) for _, roi in rois} - {(0, 0, 0, 0)}
    if len(slices) > 1:
        raise DataError(
            f"{path} holds outlines on {len(slices)} slices of a stack. Save those of each plane in a file of its own."
        )
    return [_outline(path, name, roi) for name, roi in rois]


def _members(path: Path) -> list[tuple[str, bytes]]:
    if path.suffix.lower() == ".roi":
        with reading(str(path), "ImageJ ROI"):
            return [(path.name, path.read_bytes())]
    with reading(str(path), "ZIP of ImageJ ROIs"), zipfile.ZipFile(path) as archive:
        inside = [member for member in archive.infolist() if not member.is_dir()]
        _refuse_bomb(path, sum(member.file_size for member in inside))
        found = [(each.filename, archive.read(each)) for each in inside if each.filename.lower().endswith(".roi")]
    others = len(inside) - len(found)
    if others or not found:
        raise DataError(
            f"{path} holds {len(found)} ImageJ ROIs and {others} other files; labels are a .zip of ROIs alone, as"
            " ImageJ's ROI Manager saves it. If there is nothing to label here, save an empty mask."
        )
    return found


def _refuse_bomb(path: Path, size: int) -> None:
    if size > _MOST_BYTES:
        raise DataError(
            f"{path} claims {size:,} bytes of outlines; more than {_MOST_BYTES:,} are not read. Save its objects again,"
            " or as a label image."
        )


def _parsed(path: Path, name: str, content: bytes) -> Any:
    from roifile import ImagejRoi

    if content[:4] != b"Iout":
        raise DataError(f"{path}: {name} is no ImageJ ROI: it does not begin with 'Iout'. Save it again from ImageJ.")
    with reading(f"{path}: {name}", "ImageJ ROI"):
        return ImagejRoi.frombytes(content)


def _slice(roi: Any) -> tuple[int, int, int, int]:
    return roi.position, roi.c_position, roi.z_position, roi.t_position


def _outline(path: Path, name: str, roi: Any) -> Outline:
    kind = roi.roitype.name
    if kind not in _AREAS or roi.subtype.name in {"TEXT", "ARROW", "IMAGE"}:
        what = roi.subtype.name if kind in _AREAS else kind
        raise DataError(
            f"{path}: {name} is a {what.lower()}, which has no area. Labels are areas, one for each object:"
            " take it out of the ROI Manager, or make an area of it."
        )
    with reading(f"{path}: {name}", "ImageJ ROI"):
        plain = kind in {"RECT", "OVAL"} and not roi.composite
        rings = _in_box(roi) if plain else roi.coordinates(multi=True)
        rings = tuple(np.asarray(ring, np.float64) for ring in (rings if isinstance(rings, list) else [rings]))
    if not rings or any(ring.ndim != 2 or len(ring) < 3 or not np.isfinite(ring).all() for ring in rings):
        raise DataError(f"{path}: {name} has fewer than three corners. Draw it again, or take it out.")
    return Outline(name, (rings,))


_CORNERS = 360
"""Of an oval: an oval 1,000 pixels wide is too small by 0.02 pixels at most."""


def _in_box(roi: Any) -> Float64[np.ndarray, "_ 2"]:
    """Return the corners of a rectangle or oval, between pixels where it was placed there."""
    left, top, right, bottom = roi.left, roi.top, roi.right, roi.bottom
    if roi.subpixelrect:  # its whole-pixel box, which the file has too, is off by up to a pixel
        left, top, right, bottom = roi.xd, roi.yd, roi.xd + roi.widthd, roi.yd + roi.heightd
    if roi.roitype.name == "RECT":
        return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)
    turns = np.arange(_CORNERS) * (2 * np.pi / _CORNERS)
    x, y = (left + right + (right - left) * np.cos(turns)) / 2, (top + bottom + (bottom - top) * np.sin(turns)) / 2
    return np.stack([x, y], axis=1)
