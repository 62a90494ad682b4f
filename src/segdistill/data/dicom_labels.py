"""Labels from DICOM-SEG files, through highdicom: the number of a segment is the label of its pixels.

Such a file says of which pictures it holds masks: of one picture, of the frames of one file, or of several files. A
path into it, ``mask.dcm/0003.plane``, means the third frame or file.
"""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from segdistill.data.readers.dicom_header import SEGMENTATIONS, is_dicom, quietly, read_dataset
from segdistill.data.readers.faults import reading
from segdistill.data.readers.planes import file_of, number_of
from segdistill.errors import DataError, MissingExtra

if TYPE_CHECKING:
    from highdicom.seg import Segmentation
    from pydicom.dataset import Dataset


def is_segmentation(path: Path) -> bool:
    """Return whether a file, or that which a path leads into, is a DICOM-SEG file; False for one that cannot be read.

    Raises:
        MissingExtra: It is a DICOM file and pydicom is not installed.
    """
    file = file_of(path)
    if not (is_dicom(file) and file.is_file()):
        return False
    try:
        return read_dataset(file).get("SOPClassUID") in SEGMENTATIONS
    except DataError:  # is told when it is read
        return False


def place_of(path: Path, image: Path) -> int | None:
    """Return which of the pictures that a DICOM-SEG file has masks of is an image, counted from 1; None: its only one.

    Raises:
        DataError: It has none of this image, or of several and the image is no DICOM file.
    """
    sources = _sources(read_dataset(path), path)
    with reading(str(image), "DICOM"), quietly():
        own = str(read_dataset(image).get("SOPInstanceUID")) if is_dicom(image) else None
    if own is None and len(sources) == 1:
        return None
    if own not in sources:
        raise DataError(
            f"{path} holds masks of {len(sources)} DICOM files, but {image} is none of them. Pair it with the image"
            " that it was made for."
        )
    return None if len(sources) == 1 else sources.index(own) + 1


def read_segmentation(path: Path) -> Int[np.ndarray, "y x"]:
    """Return the numbers of the segments at the pixels of one picture; 0 where there is none.

    Args:
        path: A DICOM-SEG file, or into one. What it does not say of a picture is 0.

    Raises:
        MissingExtra: highdicom is not installed.
        DataError: The file is damaged, holds probabilities, segments overlap, or it has masks of several pictures and
            the path does not say of which.
    """
    file = file_of(path)
    with reading(str(file), "DICOM-SEG"):
        facts = file.stat()
        masks = _read(file, facts.st_mtime_ns, facts.st_size)
    sources, number = _sources(masks, file), number_of(path)
    if masks.SegmentationType == "FRACTIONAL":
        raise DataError(
            f"{file} holds probabilities (FRACTIONAL), no labels. Save it with thresholds applied (BINARY)."
        )
    if number is None and len(sources) > 1:
        raise DataError(
            f"{file} holds masks of {len(sources)} pictures, so it is no label of one. Name it beside each of them in"
            " the label column of a manifest."
        )
    with reading(str(file), "DICOM-SEG"), quietly():
        return _pixels(masks, sources, number, file)


def _pixels(masks: "Segmentation", sources: list[str], number: int | None, file: Path) -> Int[np.ndarray, "y x"]:
    options: dict[str, Any] = {
        "combine_segments": True,
        "ignore_spatial_locations": True,
        "assert_missing_frames_are_empty": True,
    }
    try:
        if len(sources) == 1 and number is not None:
            return masks.get_pixels_by_source_frame(sources[0], [number], **options)[0].astype(np.int32)
        uid = sources[0 if number is None else number - 1]
        return masks.get_pixels_by_source_instance([uid], **options)[0].astype(np.int32)
    except RuntimeError as error:
        if "overlap" not in str(error):
            raise
        names = ", ".join(str(each.SegmentLabel) for each in masks.SegmentSequence)
        raise DataError(
            f"{file} holds segments that overlap ({names}), but a label is one number per pixel. Save each structure in"
            " a file of its own, in a folder of labels/ that has its name."
        ) from error


@lru_cache(maxsize=4)
def _read(path: Path, changed: int, size: int) -> "Segmentation":
    del changed, size  # they tell a file from what it was before
    try:
        from highdicom.seg import segread
    except ImportError as error:
        raise MissingExtra("highdicom", "medical", f"Reading {path}") from error
    with quietly():
        return segread(path)


def _sources(masks: "Dataset", path: Path) -> list[str]:
    """Return the identifiers of the files that a DICOM-SEG file has masks of, in its order."""
    with reading(str(path), "DICOM-SEG"), quietly():
        series = masks.get("ReferencedSeriesSequence") or ()
        named = [each for one in series for each in one.get("ReferencedInstanceSequence") or ()]
        for frame in () if named else masks.get("PerFrameFunctionalGroupsSequence") or ():
            for derived in frame.get("DerivationImageSequence") or ():
                named += derived.get("SourceImageSequence") or ()
        listed = [str(each.ReferencedSOPInstanceUID) for each in named]
    if not listed:
        raise DataError(f"{path} does not say of which DICOM file it holds masks. Save it as NIfTI or PNG instead.")
    return list(dict.fromkeys(listed))
