import re

import nibabel
import numpy as np
import pytest

from segdistill.data import read_dataset
from segdistill.data.case import Case
from segdistill.data.scans import of_one_patient, says_written_on, scan_notes

GREY = np.random.default_rng(0).integers(0, 256, (20, 31), np.uint8)


def case(path, name=None, group=None):
    name = name or path.stem
    return Case(name, path, {}, None, None, group or name, None)


def notes_on(tmp_path, dicom, light="MONOCHROME2", **elements):
    dicom(tmp_path / "a.dcm", GREY, light, PatientID="secret", PatientName="secret", **elements)
    return list(scan_notes([case(tmp_path / "a.dcm")]))


def test_ordinary_files_are_no_matter_for_notes(tmp_path, dicom):
    assert notes_on(tmp_path, dicom, PixelSpacing=[0.5, 0.5], BurnedInAnnotation="NO") == []


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({"BurnedInAnnotation": "YES"}, "1 DICOM files say that text is burnt into their pixels"),
        ({"light": "MONOCHROME1"}, "MONOCHROME1"),
        ({"ImagerPixelSpacing": [0.1, 0.1]}, "those at the detector"),
        ({"ImageLaterality": "L"}, "which side of the body.*--protocol.no-flips"),
        ({"Laterality": "R"}, "which side of the body"),
    ],
)
def test_what_should_be_known_is_noted_without_any_name(tmp_path, dicom, elements, words):
    (note,) = notes_on(tmp_path, dicom, **elements)
    assert note.endswith((": a.", "magnified: a. Lengths in the body are smaller.", "--protocol.no-turns."))
    assert "secret" not in note
    assert re.search(words, note)


def test_regions_of_different_scale_are_noted(tmp_path, dicom, item):
    regions = [
        item(
            RegionSpatialFormat=1,
            PhysicalUnitsXDirection=3,
            PhysicalUnitsYDirection=3,
            PhysicalDeltaX=d,
            PhysicalDeltaY=d,
        )
        for d in (0.01, 0.02)
    ]
    (note,) = notes_on(tmp_path, dicom, SequenceOfUltrasoundRegions=regions)
    assert "1 ultrasound files hold regions of different scale" in note


def test_volumes_that_lie_differently_are_noted(tmp_path):
    for name, side in (("a", 1), ("b", 1), ("c", -1)):
        path = tmp_path / "images" / f"{name}.nii"
        path.parent.mkdir(exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(np.zeros((5, 4, 2), np.uint8), np.diag([side, 1, 1, 1])), path)
    notes = read_dataset(tmp_path).notes
    assert any("right, front, top in 2: a, b; left, front, top in 1: c" in note for note in notes)


def patients(tmp_path, dicom, **names):
    for name, patient in names.items():
        dicom(tmp_path / f"{name}.dcm", GREY, PatientID=patient)
    return [case(tmp_path / f"{name}.dcm") for name in names]


def test_files_of_one_patient_belong_together(tmp_path, dicom):
    cases = patients(tmp_path, dicom, a="1", b="2", c="1", d="", e="")
    assert of_one_patient(cases) == (("a", "c"),)


def test_a_patient_of_one_group_needs_no_joining(tmp_path, dicom):
    cases = patients(tmp_path, dicom, a="1", b="2")
    both = [*cases, case(tmp_path / "a.dcm", "a2", "a")]
    assert of_one_patient(both) == ()


def test_one_name_for_all_tells_nothing_and_is_noted(tmp_path, dicom):
    cases = patients(tmp_path, dicom, a="anonymous", b="anonymous")
    assert of_one_patient(cases) == ()
    (note,) = scan_notes(cases)
    assert "All DICOM files name one patient, or none" in note
    assert "anonymous" not in note


def test_other_and_damaged_files_are_passed_over(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"no")
    (tmp_path / "b.png").write_bytes(b"no")
    cases = [case(tmp_path / "a.dcm"), case(tmp_path / "b.png")]
    assert (list(scan_notes(cases)), of_one_patient(cases), says_written_on(cases[0])) == ([], (), False)
