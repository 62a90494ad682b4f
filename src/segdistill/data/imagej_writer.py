"""Outlines as ImageJ keeps them: a .zip of ROIs, as its ROI Manager opens it."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi

from segdistill.data.objects import Objects
from segdistill.data.rings import Area, Ring
from segdistill.files import whole_file

_MOVE, _LINE, _CLOSE = 0, 1, 4
"""What the numbers of a composite ROI's path mean, as in java.awt.geom.PathIterator."""

_LARGEST = 60_535
"""Up to here ImageJ takes the 16 bits of a corner for a number; beyond, corners are kept as floating-point numbers."""


def write_rois(path: Path, objects: Objects) -> None:
    """Write objects as ROIs: traced ones, as ImageJ's wand makes them, or composite ones.

    Objects with holes or of several pieces are composite. Each is called after the structure and the object's number.
    Corners are corners of pixels, so the outlines give back the label image exactly. Without objects the .zip is
    empty; ImageJ does not open that.

    Args:
        path: Ends in .zip.
        objects: Of one structure of one image.

    Raises:
        EnvironmentFault: The disk is full or the folder cannot be written.
    """
    word = objects.structure.name.lstrip(".") or "_"
    with whole_file(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for area in objects.areas():
            name = f"{word}-{area.label}"
            member = zipfile.ZipInfo(f"{name}.roi")  # of a fixed time: equal objects give equal bytes
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o644 << 16
            archive.writestr(member, _roi(area, name).tobytes())


def _roi(area: Area, name: str) -> ImagejRoi:
    """Return an object as ImageJ's."""
    rings = [ring for part in area.parts for ring in part]
    corners = np.concatenate(rings)
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    roi = ImagejRoi(left=left, top=top, right=right, bottom=bottom)
    if max(name) <= "\uffff":  # roifile counts longer characters wrongly; ImageJ takes the member's name then
        roi.name = name
    if len(rings) > 1:
        roi.roitype = ROI_TYPE.RECT  # the kind of a composite, which the size of its path makes one
        roi.multi_coordinates = _path(rings)
        roi.shape_roi_size = len(roi.multi_coordinates)
        return roi
    roi.roitype = ROI_TYPE.TRACED
    roi.n_coordinates = len(corners)
    roi.integer_coordinates = corners - np.array([left, top], np.int32)
    if max(right, bottom) > _LARGEST:
        roi.options |= ROI_OPTIONS.SUB_PIXEL_RESOLUTION
        roi.subpixel_coordinates = corners.astype(np.float32)  # exact up to 2**24
    return roi


def _path(rings: Sequence[Ring]) -> Float32[np.ndarray, " n"]:
    """Return rings as a path."""
    numbers: list[float] = []
    for ring in rings:
        for step, (x, y) in enumerate(ring.tolist()):
            numbers += (_LINE if step else _MOVE, x, y)
        numbers.append(_CLOSE)
    return np.array(numbers, np.float32)
