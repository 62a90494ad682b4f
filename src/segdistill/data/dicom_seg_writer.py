"""Masks as DICOM-SEG, through highdicom: beside the pictures they belong to in any archive of DICOM files."""

import hashlib
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Integer

from segdistill import __version__
from segdistill.data.readers.dicom_header import Header, is_dicom, quietly, read_header
from segdistill.data.readers.dicom_spacing import pixel_size, where
from segdistill.errors import DataError, MissingExtra, ShapeError
from segdistill.files import whole_file

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MOST_OBJECTS = 1_000
"""Each object is a segment with a description of its own; viewers fail at many more."""

_LONGEST = 64
"""Letters of a name in DICOM."""

_MAY_BE_EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "SliceThickness"),
    *("StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)
"""What a file must say of patient and study, if only that it is not known: programs that hide names drop it."""

_NEEDED = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")


def refuse_other(source: Path) -> None:
    """Refuse a source of which DICOM-SEG cannot speak, before any work is done.

    Raises:
        MissingExtra: highdicom is not installed.
        DataError: It is no DICOM file, or lacks what DICOM-SEG must copy from it.
    """
    if not is_dicom(source):
        raise DataError(
            f"{source} is no DICOM file, and DICOM-SEG can only speak of one. Use --outputs nifti or labels."
        )
    _highdicom()
    header = read_header(source)
    lacking = [name for name in _NEEDED if not header.dataset.get(name)]
    if lacking:
        raise DataError(f"{source} lacks {', '.join(lacking)}, which a DICOM-SEG file must name. Use --outputs nifti.")
    if header.frames > 1 and header.of_frame("PlanePositionSequence", 0) is None:
        raise DataError(
            f"{source} has {header.frames} frames and does not say where in the patient they lie, without which no"
            " DICOM-SEG file of several frames can be made here. Use --outputs nifti."
        )


def write_dicom_seg(
    path: Path,
    masks: Integer[np.ndarray, "frames y x"],
    *,
    source: Path,
    structure: str,
    told_apart: bool,
    model: str,
) -> None:
    """Write the masks of a DICOM file's frames as one DICOM-SEG file, of binary segments.

    The file carries the name, number and dates of the patient and the study, copied from the source: without them it
    is not valid and no archive would file it where it belongs. It is as confidential as its source.

    Args:
        path: For the file.
        masks: 0 is background. Objects are numbered from 1 over all frames; an area is 1.
        source: The DICOM file whose frames they are, in order.
        structure: What is segmented; names the segments.
        told_apart: Whether each number is an object, and so a segment of its own; otherwise there is one segment.
        model: Says what segmented it; up to 64 letters.

    Raises:
        MissingExtra: highdicom is not installed.
        ShapeError: The source has other frames.
        DataError: The source is none, as ``refuse_other`` has it, or there are more than 1,000 objects.
        EnvironmentFault: The disk is full or the folder cannot be written.
    """
    refuse_other(source)
    header = read_header(source)
    if masks.shape != (header.frames, *header.size):
        raise ShapeError(f"{source} has {header.frames} × {header.size} pixels (y × x), but its masks {masks.shape}.")
    objects = int(masks.max(initial=0)) if told_apart else 1
    if objects > MOST_OBJECTS:
        raise DataError(
            f"{source} has {objects:,} objects ({structure}), but a DICOM-SEG file that programs can open has up to"
            f" {MOST_OBJECTS:,}. Use --outputs nifti."
        )
    names = [f"{structure} {number}" for number in range(1, objects + 1)] if told_apart else [structure]
    with quietly():
        try:
            made = _made(_completed(source, header), masks, names or [structure], structure, model)
        except Exception as error:  # what a header lacks, or holds against the standard, surfaces in many ways
            raise DataError(
                f"No DICOM-SEG file can be made of {source}: {error}. Use --outputs nifti, or mend its header."
            ) from error
        with whole_file(path) as partial:
            made.save_as(partial)


def _completed(source: Path, header: Header) -> "Dataset":
    """Return what a file says, with empty elements where it lacks some that may be empty, and its regions' size."""
    dataset = copy(header.dataset)
    size = pixel_size(header, 0, source=str(source))
    if size is not None and "PixelSpacing" not in dataset and where(header) == "body" and header.frames == 1:
        dataset.PixelSpacing = [size / 1000, size / 1000]  # said of regions of ultrasound
    for name in _MAY_BE_EMPTY:
        if name not in dataset:
            setattr(dataset, name, None)
    return dataset


def _highdicom() -> Any:
    try:
        import highdicom.seg
    except ImportError as error:
        raise MissingExtra("highdicom", "medical", "Writing DICOM-SEG") from error
    return highdicom


def _made(
    source: "Dataset", masks: Integer[np.ndarray, "frames y x"], names: list[str], structure: str, model: str
) -> "Dataset":
    highdicom = _highdicom()
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    algorithm = highdicom.AlgorithmIdentificationSequence(
        name="segdistill", version=__version__, family=codes.DCM.ArtificialIntelligence
    )
    segments = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=name[:_LONGEST],
            segmented_property_category=codes.SCT.SpatialAndRelationalConcept,
            segmented_property_type=highdicom.sr.CodedConcept(structure, "99SEGDISTILL", structure[:_LONGEST]),
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
        )
        for number, name in enumerate(names, start=1)
    ]
    # The same masks of the same source by the same model are the same file; others never have its identifier.
    content = hashlib.sha256(np.ascontiguousarray(masks, np.uint16).tobytes()).hexdigest()
    parts = [str(source.SeriesInstanceUID), structure, model]
    made = highdicom.seg.Segmentation(
        source_images=[source],
        pixel_array=masks.astype(np.uint16),
        segmentation_type="BINARY",
        segment_descriptions=segments,
        series_instance_uid=generate_uid(entropy_srcs=parts),
        series_number=int(source.get("SeriesNumber") or 0) + 1,
        sop_instance_uid=generate_uid(entropy_srcs=[*parts, str(source.SOPInstanceUID), content]),
        instance_number=int(source.get("InstanceNumber") or 1),
        manufacturer="segdistill",
        manufacturer_model_name="segdistill",
        software_versions=__version__,
        device_serial_number=model[:_LONGEST],
        content_label="SEGMENTATION",
    )
    for measures in made.SharedFunctionalGroupsSequence[0].get("PixelMeasuresSequence") or ():
        if "SliceThickness" not in measures:  # highdicom leaves it out where it is not known, and then cannot read it
            measures.SliceThickness = None
    return made
