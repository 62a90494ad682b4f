"""What DICOM and NIfTI files say of themselves that people should know before they train on them.

Nothing here repeats a name, a number or a date of a patient.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from segdistill.data.case import Case, image_files, shown
from segdistill.data.readers import suffix_of
from segdistill.data.readers.dicom_header import SEGMENTATIONS, Header, is_dicom, read_dataset, read_header
from segdistill.data.readers.dicom_spacing import where
from segdistill.data.readers.nifti import SUFFIXES, read_volume
from segdistill.data.readers.planes import file_of, number_of
from segdistill.errors import DataError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def says_written_on(case: Case) -> bool:
    """Return whether a DICOM file of a case says that text is burnt into its pixels, which may name a patient."""
    return any(_burnt(dataset) for dataset in _datasets(case))


def of_one_patient(cases: Iterable[Case]) -> tuple[tuple[str, ...], ...]:
    """Return the names of cases whose DICOM files are of one patient, those of each patient together.

    Patients of one group alone are left out, and so is everything where all files name the same patient: that is what
    programs write that hide names.
    """
    patients: defaultdict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        for key in {_patient(dataset) for dataset in _datasets(case)}:
            if key[0]:
                patients[key].append(case)
    if len(patients) < 2:
        return ()
    torn = (own for own in patients.values() if len({case.group for case in own}) > 1)
    return tuple(tuple(case.name for case in own) for own in torn)


def scan_notes(cases: Sequence[Case]) -> Iterator[str]:
    """Yield what DICOM and NIfTI files among images say that should be known.

    Args:
        cases: Of a data set. Files that cannot be read are passed over: they are refused in their turn.
    """
    headers, directions = _read(cases)
    yield from _on_writing([name for name, header in headers.items() if _burnt(header.dataset)])
    inverted = [name for name, header in headers.items() if header.light == "MONOCHROME1"]
    if inverted:
        yield (
            f"{len(inverted)} DICOM files store white as the least number (MONOCHROME1) and are turned round when they"
            f" are read: {shown(inverted)}."
        )
    yield from _on_sizes(headers)
    sides = [
        name
        for name, header in headers.items()
        if header.dataset.get("ImageLaterality") or header.dataset.get("Laterality")
    ]
    if sides:
        yield (
            f"{len(sides)} DICOM files say which side of the body they show: {shown(sides)}. A mirrored image shows the"
            " other one; if that matters, train with --protocol.no-flips and --protocol.no-turns."
        )
    if len(directions) > 1:
        found = "; ".join(f"{way} in {len(names)}: {shown(names, most=5)}" for way, names in directions.items())
        yield (
            f"NIfTI files lie in different directions (their x, y and z lead to): {found}. Planes are read as they are"
            " stored: bring all to one direction, or the student must learn each."
        )
    if len({_patient(header.dataset) for header in headers.values()}) == 1 and len(headers) > 1:
        yield (
            "All DICOM files name one patient, or none, so patients cannot be told apart by them: put the files of each"
            " into a sub-folder of images/, or name a group for each in a manifest."
        )


def _on_writing(names: Sequence[str]) -> Iterator[str]:
    if names:
        yield (
            f"{len(names)} DICOM files say that text is burnt into their pixels (BurnedInAnnotation), which may name a"
            f" patient and which a network can learn: {shown(names)}."
        )


def _on_sizes(headers: Mapping[str, Header]) -> Iterator[str]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name, header in headers.items():
        found[where(header)].append(name)
    if found["detector"]:
        yield (
            f"Pixel sizes of {len(found['detector'])} DICOM files are those at the detector (or film), onto which what"
            f" is seen is magnified: {shown(found['detector'])}. Lengths in the body are smaller."
        )
    if found["regions"]:
        yield (
            f"{len(found['regions'])} ultrasound files hold regions of different scale, so that no one pixel size is"
            f" true of them and none is kept: {shown(found['regions'])}."
        )


def _read(cases: Iterable[Case]) -> tuple[dict[str, Header], dict[str, list[str]]]:
    """Return the headers of DICOM files by name of the file's case, and the directions of NIfTI files' axes."""
    headers, directions = {}, defaultdict[str, list[str]](list)
    for path, name in _files(cases).items():
        try:
            if is_dicom(path):
                headers[name] = read_header(path)
            elif suffix_of(path) in SUFFIXES:
                directions[_direction(path)].append(name)
        except DataError:  # refused with all else when it is read
            continue
    return headers, directions


def _direction(path: Path) -> str:
    """Return where a volume's axes lead to, such as "left, back, top"."""
    from nibabel.orientations import aff2axcodes

    words = {"R": "right", "L": "left", "A": "front", "P": "back", "S": "top", "I": "bottom", None: "nowhere"}
    return ", ".join(words[letter] for letter in aff2axcodes(read_volume(path).affine))


def _files(cases: Iterable[Case]) -> dict[Path, str]:
    """Return file to name, each file once: planes have the name of their file."""
    return {
        file_of(path): case.name.rpartition("/")[0] if number_of(path) is not None else case.name
        for case in cases
        for path in image_files(case)
    }


def _datasets(case: Case) -> Iterator["Dataset"]:
    for path in image_files(case):
        if is_dicom(file_of(path)):
            try:
                dataset = read_dataset(file_of(path))
            except DataError:
                continue
            if dataset.get("SOPClassUID") not in SEGMENTATIONS:
                yield dataset


def _burnt(dataset: "Dataset") -> bool:
    return str(dataset.get("BurnedInAnnotation", "")).upper() == "YES"


def _patient(dataset: "Dataset") -> tuple[str, str]:
    return str(dataset.get("PatientID") or ""), str(dataset.get("IssuerOfPatientID") or "")
