import nibabel
import numpy as np
import pytest

from segdistill.data import Case, read_dataset, read_sample, split_cases
from segdistill.data.pseudonyms import pseudonymous
from segdistill.data.survey import survey
from segdistill.errors import DataError

VOXELS = np.random.default_rng(0).integers(0, 200, (31, 20, 3)).astype(np.uint8)  # x y z
MASK = (VOXELS > 150).astype(np.uint8)


def nifti(path, voxels, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([0.5, 0.5, 3, 1]) if affine is None else affine), path)


def sample_of(dataset, name):
    return read_sample(next(case for case in dataset.cases if case.name == name), dataset)


def test_planes_of_a_volume_are_cases_of_one_group_with_their_own_labels(tmp_path):
    nifti(tmp_path / "images" / "ann.nii.gz", VOXELS)
    nifti(tmp_path / "images" / "bob.nii", VOXELS[:, :, ::-1])
    nifti(tmp_path / "labels" / "ann.nii.gz", MASK)
    dataset = read_dataset(tmp_path, label_kind="binary")
    assert [case.name for case in dataset.cases] == [f"{who}/000{n}" for who in ("ann", "bob") for n in (1, 2, 3)]
    assert [case.group for case in dataset.cases] == ["ann"] * 3 + ["bob"] * 3
    for place in range(3):
        sample = sample_of(dataset, f"ann/000{place + 1}")
        np.testing.assert_array_equal(sample.image.array[0], VOXELS[:, :, place].T)
        np.testing.assert_array_equal(sample.planes[0], MASK[:, :, place].T)
        assert sample.image.pixel_size == 500
    assert any("2 files hold 6 planes" in note and "ann, bob" in note for note in dataset.notes)


def test_a_split_and_a_patient_s_folder_hold_for_all_planes(tmp_path):
    for place in ("train/ann/one", "train/ann/two", "test/bob/one"):
        nifti(tmp_path / "images" / f"{place}.nii", VOXELS)
    cases = read_dataset(tmp_path).cases
    assert {(case.split, case.group) for case in cases} == {("train", "ann"), ("test", "bob")}


def test_a_split_never_divides_a_file(tmp_path):
    for name in "abcde":
        nifti(tmp_path / "images" / f"{name}.nii", np.roll(VOXELS, ord(name), axis=0))
    parts = split_cases(read_dataset(tmp_path).cases, fractions=(0.6, 0.2, 0.2), seed=0)
    groups = [{case.group for case in part} for part in parts.values()]
    assert sum(map(len, groups)) == 5
    assert all(len(part) % 3 == 0 for part in parts.values())


def test_frames_of_a_dicom_file_are_labelled_by_nifti_and_dicom_seg(tmp_path, enhanced):
    from segdistill.data.dicom_seg_writer import write_dicom_seg

    frames, masks = VOXELS.transpose(2, 1, 0), MASK.transpose(2, 1, 0).astype(np.int32)
    for name in ("a.dcm", "b"):
        enhanced(tmp_path / "images" / name, frames)
    nifti(tmp_path / "labels" / "a.nii.gz", MASK)
    write_dicom_seg(
        tmp_path / "labels" / "b.dcm",
        masks,
        source=tmp_path / "images" / "b",
        structure="x",
        told_apart=False,
        model="m",
    )
    dataset = read_dataset(tmp_path, label_kind="binary")
    for name in "ab":
        for place in range(3):
            np.testing.assert_array_equal(sample_of(dataset, f"{name}/000{place + 1}").planes[0], masks[place])


def test_masks_of_other_files_are_refused(tmp_path, enhanced):
    from segdistill.data.dicom_seg_writer import write_dicom_seg

    masks = MASK.transpose(2, 1, 0).astype(np.int32)
    source, image = tmp_path / "other.dcm", tmp_path / "images" / "a.dcm"
    for path in (source, image):
        enhanced(path, VOXELS.transpose(2, 1, 0))
    (tmp_path / "labels").mkdir()
    write_dicom_seg(tmp_path / "labels" / "a.dcm", masks, source=source, structure="x", told_apart=False, model="m")
    with pytest.raises(DataError, match=r"masks of 1 DICOM files, but .*images.a\.dcm is none of them"):
        read_dataset(tmp_path)
    image.unlink()
    nifti(tmp_path / "images" / "a.nii", VOXELS)
    with pytest.raises(DataError, match=r"pictures in other files than .*a\.nii"):
        read_dataset(tmp_path)


def test_channels_in_files_of_their_own_are_divided_alike(tmp_path):
    for channel, shift in (("t1", 0), ("flair", 1)):
        nifti(tmp_path / "images" / f"ann_{channel}.nii.gz", VOXELS + shift)
    dataset = read_dataset(tmp_path, pattern="{name}_{channel}.nii.gz", channels=("t1", "flair"))
    sample = sample_of(dataset, "ann/0002")
    np.testing.assert_array_equal(sample.image.array, [VOXELS[:, :, 1].T, VOXELS[:, :, 1].T + 1])
    nifti(tmp_path / "images" / "ann_flair.nii.gz", VOXELS[:, :, :2])
    with pytest.raises(DataError, match=r"equally many planes: .*flair\.nii\.gz 2, .*t1\.nii\.gz 3"):
        read_dataset(tmp_path, pattern="{name}_{channel}.nii.gz", channels=("t1", "flair"))


def test_a_manifest_is_divided_and_may_name_masks_of_a_whole_series(tmp_path, dicom):
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import Segmentation, SegmentDescription
    from highdicom.sr import CodedConcept
    from pydicom.uid import generate_uid

    same = {"SeriesInstanceUID": generate_uid(), "StudyInstanceUID": generate_uid(), "PatientID": "1"}
    same |= {"FrameOfReferenceUID": generate_uid(), "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "SliceThickness": 2}
    same |= dict.fromkeys(("PatientName", "PatientSex", "PatientBirthDate", "StudyID", "StudyDate", "StudyTime"), "")
    sources = [
        dicom(
            tmp_path / f"{place}.dcm",
            VOXELS[:, :, place].T,
            kind="1.2.840.10008.5.1.4.1.1.2",
            ImagePositionPatient=[0, 0, 2 * place],
            PixelSpacing=[0.5, 0.5],
            AccessionNumber="",
            **same,
        )
        for place in range(3)
    ]
    code = CodedConcept("1", "99TEST", "organ")
    segment = SegmentDescription(1, "x", code, code, "AUTOMATIC", AlgorithmIdentificationSequence("t", code, "1"))
    uids = (generate_uid(), 1, generate_uid(), 1)
    made = Segmentation(sources, MASK.transpose(2, 1, 0), "BINARY", [segment], *uids, "t", "t", "1", "1")
    made.save_as(tmp_path / "masks.dcm")
    nifti(tmp_path / "volume.nii.gz", VOXELS)
    rows = ["image,label,group", *(f"{place}.dcm,masks.dcm,ann" for place in range(3)), "volume.nii.gz,,"]
    (tmp_path / "data.csv").write_text("\n".join(rows), encoding="utf-8")
    dataset = read_dataset(tmp_path / "data.csv", label_kind="binary")
    assert [(case.name, case.group) for case in dataset.cases] == [
        *((str(place), "ann") for place in range(3)),
        *((f"volume/000{place}", "volume") for place in (1, 2, 3)),
    ]
    for place in range(3):
        np.testing.assert_array_equal(sample_of(dataset, str(place)).planes[0], MASK[:, :, place].T)


def test_empty_first_slices_of_many_scans_do_not_make_them_one_group(tmp_path):
    from segdistill.study.duplicates import keep_together

    for seed, name in enumerate("ab"):
        voxels = np.random.default_rng(seed).integers(0, 200, VOXELS.shape).astype(np.uint8)
        voxels[:, :, 0] = 0
        nifti(tmp_path / "images" / f"{name}.nii", voxels)
    together = keep_together(read_dataset(tmp_path).cases)
    cases, notes = together.cases, together.notes
    assert ({case.group for case in cases}, notes) == ({"a", "b"}, ())


def test_a_label_that_cannot_be_divided_is_refused(tmp_path):
    nifti(tmp_path / "images" / "a.nii", VOXELS)
    nifti(tmp_path / "labels" / "a.nii", MASK[:, :, :2])
    with pytest.raises(DataError, match=r"labels.a\.nii has 2 planes, but its image .*a\.nii has 3"):
        read_dataset(tmp_path)


def test_a_label_that_lies_elsewhere_is_refused_and_told_by_a_survey(tmp_path):
    nifti(tmp_path / "images" / "a.nii", VOXELS)
    nifti(tmp_path / "labels" / "a.nii", MASK, np.diag([-0.5, 0.5, 3, 1]))  # mirrored
    dataset = read_dataset(tmp_path, label_kind="binary")
    with pytest.raises(DataError, match=r"lies elsewhere in the patient .*corners are up to 30 mm apart"):
        sample_of(dataset, "a/0001")
    faults = survey(dataset).faults
    assert len(faults) == 3
    assert "lies elsewhere" in faults[0]


def test_a_label_that_differs_by_rounding_is_taken(tmp_path):
    nifti(tmp_path / "images" / "a.nii", VOXELS)
    nifti(tmp_path / "labels" / "a.nii", MASK, np.diag([0.5, 0.5, 3, 1]) + np.eye(4, k=1) * 1e-5)
    assert sample_of(read_dataset(tmp_path, label_kind="binary"), "a/0002").known.all()


def test_a_damaged_volume_does_not_stop_the_others(tmp_path):
    nifti(tmp_path / "images" / "a.nii", VOXELS)
    (tmp_path / "images" / "b.nii").write_bytes(b"no")
    dataset = read_dataset(tmp_path)
    assert [case.name for case in dataset.cases] == ["a/0001", "a/0002", "a/0003", "b"]
    assert any("b.nii cannot be read as NIfTI" in fault for fault in survey(dataset).faults)


def test_pseudonyms_of_planes_are_those_of_their_file_numbered(tmp_path):
    nifti(tmp_path / "images" / "ann.nii", VOXELS)
    nifti(tmp_path / "images" / "bob.nii", VOXELS[::-1])
    cases = pseudonymous(read_dataset(tmp_path).cases)
    first = cases[0].name
    assert [case.name for case in cases[:3]] == [first, f"{first}-2", f"{first}-3"]
    assert len({case.group for case in cases}) == 2
    assert not any("ann" in f"{case.name} {case.group}" for case in cases)
    assert isinstance(cases[0], Case)
