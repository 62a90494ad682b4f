"""What DICOM and NIfTI files say of themselves that people should know before they train on them.

Nothing here repeats a name, a number or a date of a patient.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from segdistill.data.case import Case, image_files, shown
from segdistill.data.readers import suffix_of
from segdistill.data.readers.dicom_header import is_dicom, quietly, read_header
from segdistill.data.readers.dicom_spacing import Where, where
from segdistill.data.readers.faults import reading
from segdistill.data.readers.nifti import SUFFIXES, read_volume
from segdistill.data.readers.planes import file_of, number_of
from segdistill.errors import DataError


@dataclass(frozen=True)
class _Said:
    """What a DICOM file says of itself."""

    burnt: bool
    inverted: bool
    sided: bool
    sizes: Where
    patient: tuple[str, str] = field(repr=False)
    """Number, and who gave it. Compared, never shown."""


def says_written_on(case: Case) -> bool:
    """Return whether a DICOM file of a case says that text is burnt into its pixels, which may name a patient."""
    return any(said.burnt for path in image_files(case) if (said := _said(file_of(path))))


def of_one_patient(cases: Iterable[Case]) -> tuple[tuple[str, ...], ...]:
    """Return the names of cases whose DICOM files are of one patient, those of each patient together.

    Patients of one group alone are left out, and so is everything where all files name the same patient: that is what
    programs write that hide names.
    """
    patients: defaultdict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        for patient in {said.patient for path in image_files(case) if (said := _said(file_of(path)))}:
            if patient[0]:
                patients[patient].append(case)
    if len(patients) < 2:
        return ()
    torn = (own for own in patients.values() if len({case.group for case in own}) > 1)
    return tuple(tuple(case.name for case in own) for own in torn)


def scan_notes(cases: Sequence[Case]) -> Iterator[str]:
    """Yield what DICOM and NIfTI files among images say that should be known.

    Args:
        cases: Of a data set. Files that cannot be read are passed over: they are refused in their turn.
    """
    files = _files(cases)
    said = {name: each for path, name in files.items() if (each := _said(path))}
    yield from _on_pixels(said)
    yield from _on_sizes(said)
    if len({each.patient for each in said.values()}) == 1 and len(said) > 1:
        yield (
            "All DICOM files name one patient, or none, so patients cannot be told apart by them: put the files of each"
            " into a sub-folder of images/, or name a group for each in a manifest."
        )
    yield from _on_directions(files)


def _on_pixels(said: Mapping[str, _Said]) -> Iterator[str]:
    burnt = [name for name, each in said.items() if each.burnt]
    if burnt:
        yield (
            f"{len(burnt)} DICOM files say that text is burnt into their pixels (BurnedInAnnotation), which may name a"
            f" patient and which a network can learn: {shown(burnt)}."
        )
    inverted = [name for name, each in said.items() if each.inverted]
    if inverted:
        yield (
            f"{len(inverted)} DICOM files store white as the least number (MONOCHROME1) and are turned round when they"
            f" are read: {shown(inverted)}."
        )
    sided = [name for name, each in said.items() if each.sided]
    if sided:
        yield (
            f"{len(sided)} DICOM files say which side of the body they show: {shown(sided)}. A mirrored image shows the"
            " other one; if that matters, train with --protocol.no-flips and --protocol.no-turns."
        )


def _on_sizes(said: Mapping[str, _Said]) -> Iterator[str]:
    detector = [name for name, each in said.items() if each.sizes == "detector"]
    if detector:
        yield (
            f"Pixel sizes of {len(detector)} DICOM files are those at the detector (or film), onto which what is seen"
            f" is magnified: {shown(detector)}. Lengths in the body are smaller."
        )
    regions = [name for name, each in said.items() if each.sizes == "regions"]
    if regions:
        yield (
            f"{len(regions)} ultrasound files hold regions of different scale, so that no one pixel size is true of"
            f" them and none is kept: {shown(regions)}."
        )


def _on_directions(files: Mapping[Path, str]) -> Iterator[str]:
    directions: defaultdict[str, list[str]] = defaultdict(list)
    for path, name in files.items():
        if suffix_of(path) in SUFFIXES:
            with suppress(DataError):  # refused with all else when it is read
                directions[_direction(path)].append(name)
    if len(directions) > 1:
        found = "; ".join(f"{way} in {len(names)}: {shown(names, most=5)}" for way, names in directions.items())
        yield (
            f"NIfTI files lie in different directions (their x, y and z lead to): {found}. Planes are read as they are"
            " stored: bring all to one direction, or the student must learn each."
        )


def _said(path: Path) -> _Said | None:
    """Return what a DICOM file of pictures says; None for any other, and for one that cannot be read."""
    if not is_dicom(path):
        return None
    with suppress(DataError), reading(str(path), "DICOM"), quietly():
        header = read_header(path)
        said = header.dataset
        return _Said(
            burnt=str(said.get("BurnedInAnnotation", "")).upper() == "YES",
            inverted=header.light == "MONOCHROME1",
            sided=bool(said.get("ImageLaterality") or said.get("Laterality")),
            sizes=where(header),
            patient=(str(said.get("PatientID") or ""), str(said.get("IssuerOfPatientID") or "")),
        )
    return None


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
