"""What DICOM files say of patients and staff is in no file that a run leaves."""

import json

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset

from segdistill.cli import status
from segdistill.inference import Options, predict_files
from segdistill.settings import Distill, Protocol
from segdistill.study.main_job import distill

MARK = "Kowalska"
IDENTIFYING = (
    *("PatientName", "PatientID", "OtherPatientNames", "PatientAddress", "PatientMotherBirthName", "PatientComments"),
    *("MedicalRecordLocator", "IssuerOfPatientID", "EthnicGroup", "Occupation", "AdditionalPatientHistory"),
    *("AccessionNumber", "StudyID", "StudyDescription", "SeriesDescription", "ReferringPhysicianName"),
    *("PerformingPhysicianName", "OperatorsName", "InstitutionName", "InstitutionAddress", "StationName"),
    *("DeviceSerialNumber", "ProtocolName", "ImageComments", "RequestedProcedureDescription"),
    *("AdmissionID", "PatientTelephoneNumbers", "NameOfPhysiciansReadingStudy", "DerivationDescription"),
)
DATE, TIME, AGE = "19430217", "031415.926", "077Y"


def test_the_list_of_identifying_elements_is_of_texts():
    assert {dictionary_VR(name) for name in IDENTIFYING} <= {"PN", "LO", "SH", "LT", "ST", "UT", "AS"}
    assert keyword_for_tag("PatientName") == "PatientName"


@pytest.fixture
def clinic(tmp_path, dicom):
    """Nine pictures of five patients, every identifying element of them marked; one damaged, one with burnt-in text."""
    generator = np.random.default_rng(0)
    for number in range(10):
        y, x = np.ogrid[:48, :64]
        inside = (y - 12 - 2 * number) ** 2 + (x - 20 - 2 * number) ** 2 < 80
        picture = (inside * 900 + generator.integers(0, 300, (48, 64))).astype(np.uint16)
        marked = dict.fromkeys(IDENTIFYING, f"{MARK} {number // 2}"[:16])
        dates = dict.fromkeys(("PatientBirthDate", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"), DATE)
        private = Dataset()
        private.PatientName = MARK
        file = dicom(
            tmp_path / "in" / "images" / f"scan{number}.dcm",
            picture,
            "MONOCHROME1" if number == 1 else "MONOCHROME2",
            **marked,
            **dates,
            StudyTime=TIME,
            PatientAge=AGE,
            ImageLaterality="L",
            BurnedInAnnotation="YES" if number == 2 else "NO",
            ReferencedPatientSequence=[private],
            OtherPatientIDsSequence=[private],
        )
        file.private_block(0x0009, MARK, create=True).add_new(1, "LO", MARK)
        file.save_as(tmp_path / "in" / "images" / f"scan{number}.dcm", enforce_file_format=True)
        path = tmp_path / "in" / "labels" / f"scan{number}.nii.gz"
        path.parent.mkdir(exist_ok=True)
        mask = nibabel.Nifti1Image(inside.astype(np.uint8).T, np.eye(4))
        mask.header["descrip"] = MARK
        nibabel.save(mask, path)
    whole = (tmp_path / "in" / "images" / "scan9.dcm").read_bytes()
    (tmp_path / "in" / "images" / "scan9.dcm").write_bytes(whole[:-100])
    return tmp_path / "in"


def naming(folder, *words):
    """Return the files that hold one of the words, and which."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [
        (path.name, word)
        for path in found
        for word in words
        if any(word.encode(code) in path.read_bytes() for code in ("utf-8", "utf-16-le"))
    ]


def test_no_file_of_a_run_holds_what_names_a_patient(clinic, tmp_path, capfd):
    settings = Distill(
        data=clinic,
        out=tmp_path / "run",
        structure="lesion",
        teacher="fit:unet-tiny",
        teacher_channels=("channel0",),
        student="unet-tiny",
        student_channels=("channel0",),
        split=(0.5, 0.25, 0.25),
        protocol=Protocol(steps=2, batch_size=2, crop=32, validations=1),
        device="cpu",
    )
    told = []
    distill(settings, notice=told.append)
    predict_files(
        tmp_path / "run" / "model",
        [clinic / "images"],
        tmp_path / "pred",
        options=Options(device="cpu", outputs=("labels", "png", "geojson", "table", "nifti"), probabilities=True),
        notice=told.append,
    )
    told += capfd.readouterr()
    assert naming(tmp_path / "run", MARK, DATE, TIME, AGE) == []
    assert naming(tmp_path / "pred", MARK, DATE, TIME, AGE) == []
    assert not any(word in line for line in told for word in (MARK, DATE, TIME, AGE))
    dropped = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))["dropped"]
    assert "scan9" in json.dumps(dropped)
    assert any("their DICOM files name one patient" in line for line in told)


def test_a_check_names_nobody_and_says_what_matters(clinic, tmp_path, capfd):
    page = tmp_path / "check.html"
    assert status(["check", str(clinic), "--structure", "lesion", "--page", str(page)]) == 1  # one file is damaged
    said = "".join(capfd.readouterr())
    assert naming(tmp_path, MARK) == naming(clinic, MARK)  # the files themselves, and no other
    for words in ("text is burnt into", "scan2", "MONOCHROME1", "which side of the body", "Of one patient each"):
        assert words in said
    assert MARK not in said
    assert DATE not in said


def test_the_file_of_masks_names_the_patient_as_its_source_does(clinic, tmp_path, dicom):
    from segdistill.data.dicom_seg_writer import write_dicom_seg

    source = clinic / "images" / "scan0.dcm"
    write_dicom_seg(
        tmp_path / "mask.dcm",
        np.zeros((1, 48, 64), np.int32),
        source=source,
        structure="x",
        told_apart=False,
        model="m",
    )
    made, own = pydicom.dcmread(tmp_path / "mask.dcm"), pydicom.dcmread(source)
    for name in ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "StudyDate"):
        assert made[name].value == own[name].value
