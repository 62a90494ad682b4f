"""Files whose planes follow each other in time: clips, films saved as TIFF, DICOM files that say their rate."""

from fractions import Fraction
from pathlib import Path

import tifffile

from segdistill.data.readers import count_label_planes, suffix_of
from segdistill.data.readers.clip_index import SUFFIXES, read_index
from segdistill.data.readers.dicom_header import is_dicom, quietly, read_dataset
from segdistill.data.readers.faults import reading
from segdistill.data.readers.planes import file_of
from segdistill.data.readers.tiff import SUFFIXES as TIFF

_FASTEST = 100_000
"""Frames per second that are believed."""


def is_clip(path: Path) -> bool:
    """Return whether a file's planes follow each other in time.

    Slices of a volume do not. A TIFF file of several planes is one, since only such of time are taken for planes.

    Args:
        path: The file, or a path to a plane of it.

    Raises:
        DataError: A DICOM file cannot be read.
        MissingExtra: What reads such files is not installed.
    """
    path = file_of(path)
    suffix = suffix_of(path)
    if suffix in TIFF:
        return count_label_planes(path) > 1
    return suffix in SUFFIXES or (is_dicom(path) and _dicom_rate(path) is not None)


def frame_rate(path: Path) -> Fraction | None:
    """Return how many frames a clip shows in a second, in the mean; None where it does not say.

    Args:
        path: The file, or a path to a frame of it.

    Raises:
        DataError: It cannot be read.
        MissingExtra: What reads such files is not installed.
    """
    path = file_of(path)
    suffix = suffix_of(path)
    if suffix in SUFFIXES:
        return read_index(path).rate
    if suffix in TIFF:
        with reading(str(path), "TIFF"), tifffile.TiffFile(path) as file:
            found = file.imagej_metadata or {}
            return _believed(found.get("fps")) or _inverse(found.get("finterval"))
    return _dicom_rate(path) if is_dicom(path) else None


def _dicom_rate(path: Path) -> Fraction | None:
    """Return the rate that a DICOM file recommends, or at which it was recorded."""
    dataset = read_dataset(path)
    with reading(str(path), "DICOM"), quietly():
        milliseconds = dataset.get("FrameTime")
        said = dataset.get("CineRate") or dataset.get("RecommendedDisplayFrameRate")
        return _inverse(None if milliseconds is None else float(milliseconds) / 1000) or _believed(said)


def _inverse(seconds: object) -> Fraction | None:
    believed = _believed(seconds, least=1 / _FASTEST)
    return None if believed is None else (1 / believed).limit_denominator(100_000)


def _believed(number: object, *, least: float = 1e-6) -> Fraction | None:
    """Return a number above 0 that is no nonsense; None: it is none.

    >>> _believed("12.5"), _believed(0), _believed("fast")
    (Fraction(25, 2), None, None)
    """
    try:
        value = float(str(number))
    except ValueError:
        return None
    return Fraction(value).limit_denominator(100_000) if least <= value <= _FASTEST else None
