import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from segdistill.data.dicom_labels import read_segmentation
from segdistill.data.dicom_seg_writer import write_dicom_seg
from segdistill.data.labels import LabelSet, read_labels, read_planes
from segdistill.data.readers.planes import plane_path
from segdistill.errors import DataError, ShapeError

PATIENT = {
    "PatientName": "Doe^Jane",
    "PatientID": "7",
    "PatientBirthDate": "19500101",
    "PatientSex": "F",
    "AccessionNumber": "A1",
    "StudyDate": "20200101",
}


def masks_of(*frames):
    masks = np.zeros((len(frames), 20, 31), np.int32)
    for mask, numbers in zip(masks, frames, strict=True):
        for number in numbers:
            mask[2 * number : 2 * number + 2, 3 : 9 + number] = number
    return masks


def write(path, masks, source, *, told_apart=True):
    write_dicom_seg(path, masks, source=source, structure="lesion", told_apart=told_apart, model="model 1234")
    return path


@pytest.mark.parametrize("told_apart", [True, False])
def test_masks_of_a_picture_are_read_back(tmp_path, dicom, told_apart):
    dicom(tmp_path / "a.dcm", np.zeros((20, 31), np.uint8))
    masks = masks_of([1, 2, 3])
    masks = masks if told_apart else np.minimum(masks, 1)
    path = write(tmp_path / "a.seg.dcm", masks, tmp_path / "a.dcm", told_apart=told_apart)
    np.testing.assert_array_equal(read_labels(path), masks[0])


def test_masks_of_frames_are_read_back_one_by_one_also_where_there_is_nothing(tmp_path, enhanced):
    enhanced(tmp_path / "a.dcm", np.zeros((4, 20, 31), np.uint8))
    masks = masks_of([1], [], [2, 3], [])
    path = write(tmp_path / "a.seg.dcm", masks, tmp_path / "a.dcm")
    for place, mask in enumerate(masks, start=1):
        np.testing.assert_array_equal(read_labels(plane_path(path, place)), mask)


@pytest.mark.parametrize("told_apart", [True, False])
def test_nothing_is_read_back_as_nothing(tmp_path, dicom, told_apart):
    dicom(tmp_path / "a.dcm", np.zeros((20, 31), np.uint8))
    path = write(tmp_path / "a.seg.dcm", masks_of([]), tmp_path / "a.dcm", told_apart=told_apart)
    assert not read_labels(path).any()


def test_the_file_belongs_to_its_source_and_says_what_made_it(tmp_path, dicom):
    source = dicom(tmp_path / "a.dcm", np.zeros((20, 31), np.uint8), PixelSpacing=[0.5, 0.5], **PATIENT)
    made = highdicom.seg.segread(write(tmp_path / "a.seg.dcm", masks_of([1, 2]), tmp_path / "a.dcm"))
    assert {name: made[name].value for name in PATIENT} == PATIENT
    assert made.StudyInstanceUID == source.StudyInstanceUID
    assert made.SeriesInstanceUID != source.SeriesInstanceUID
    referenced = made.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID
    assert referenced == source.SOPInstanceUID
    assert [segment.SegmentLabel for segment in made.SegmentSequence] == ["lesion 1", "lesion 2"]
    assert (made.Manufacturer, made.DeviceSerialNumber) == ("segdistill", "model 1234")
    assert made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing == [0.5, 0.5]


def test_the_size_of_ultrasound_regions_is_kept(tmp_path, dicom, item):
    region = item(
        RegionSpatialFormat=1,
        PhysicalUnitsXDirection=3,
        PhysicalUnitsYDirection=3,
        PhysicalDeltaX=0.005,
        PhysicalDeltaY=0.005,
    )
    dicom(tmp_path / "a.dcm", np.zeros((20, 31), np.uint8), SequenceOfUltrasoundRegions=[region])
    made = highdicom.seg.segread(write(tmp_path / "a.seg.dcm", masks_of([1]), tmp_path / "a.dcm"))
    assert made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing == [0.05, 0.05]


def test_equal_masks_have_one_identifier_and_others_another(tmp_path, dicom):
    dicom(tmp_path / "a.dcm", np.zeros((20, 31), np.uint8))
    names = [
        pydicom.dcmread(write(tmp_path / f"{number}.dcm", masks, tmp_path / "a.dcm")).SOPInstanceUID
        for number, masks in enumerate((masks_of([1]), masks_of([1]), masks_of([1, 2])))
    ]
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize("gone", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_a_source_without_what_must_be_named_is_refused(tmp_path, dicom, gone):
    dicom(tmp_path / "a.dcm", np.zeros((20, 31), np.uint8), **{gone: None})
    with pytest.raises(DataError, match=f"lacks {gone}.*--outputs nifti"):
        write(tmp_path / "a.seg.dcm", masks_of([1]), tmp_path / "a.dcm")


def test_frames_that_lie_nowhere_are_refused(tmp_path, dicom):
    dicom(tmp_path / "a.dcm", np.zeros((2, 20, 31), np.uint8))
    with pytest.raises(DataError, match=r"2 frames and does not say where.*--outputs nifti"):
        write(tmp_path / "a.seg.dcm", masks_of([1], []), tmp_path / "a.dcm")


def test_other_masks_than_the_source_s_and_too_many_objects_are_refused(tmp_path, dicom):
    dicom(tmp_path / "a.dcm", np.zeros((20, 31), np.uint8))
    with pytest.raises(ShapeError, match=r"\(20, 31\)"):
        write(tmp_path / "a.seg.dcm", masks_of([1], []), tmp_path / "a.dcm")
    with pytest.raises(DataError, match="2,000 objects"):
        write(tmp_path / "a.seg.dcm", masks_of([1]) * 2000, tmp_path / "a.dcm")
    (tmp_path / "a.png").touch()
    with pytest.raises(DataError, match=r"a\.png is no DICOM file.*--outputs nifti"):
        write(tmp_path / "a.seg.dcm", masks_of([1]), tmp_path / "a.png")
    assert not (tmp_path / "a.seg.dcm").exists()


def series(tmp_path, dicom, count):
    """Return the files of a series of single pictures, and what they say."""
    shared = {"SeriesInstanceUID": generate_uid(), "StudyInstanceUID": generate_uid(), "PatientID": "7"}
    place = {"FrameOfReferenceUID": generate_uid(), "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    place |= {"PixelSpacing": [0.5, 0.5], "SliceThickness": 2, "PatientName": "", "PatientSex": "", "StudyID": ""}
    place |= dict.fromkeys(("PatientBirthDate", "AccessionNumber", "StudyDate", "StudyTime"), "")
    files = [tmp_path / f"{number}.dcm" for number in range(count)]
    return files, [
        dicom(
            file,
            np.zeros((20, 31), np.uint8),
            kind="1.2.840.10008.5.1.4.1.1.2",
            ImagePositionPatient=[0, 0, 2 * number],
            InstanceNumber=number + 1,
            **shared,
            **place,
        )
        for number, file in enumerate(files)
    ]


def segmentation(sources, masks, kind="BINARY", names=("lung", "heart")):
    """Return a file of masks as another program would write it."""
    codes = highdicom.sr.CodedConcept("1", "99TEST", "organ")
    algorithm = highdicom.AlgorithmIdentificationSequence("test", codes, "1")
    segments = [
        highdicom.seg.SegmentDescription(number, name, codes, codes, "AUTOMATIC", algorithm)
        for number, name in enumerate(names, start=1)
    ]
    return highdicom.seg.Segmentation(
        sources, masks, kind, segments, generate_uid(), 1, generate_uid(), 1, "test", "test", "1", "1"
    )


def test_a_file_of_masks_of_a_whole_series_says_which_are_of_which_picture(tmp_path, dicom):
    from segdistill.data.dicom_labels import place_of

    files, sources = series(tmp_path, dicom, 3)
    masks = masks_of([1], [], [2]).astype(np.uint8)
    segmentation(sources, masks).save_as(tmp_path / "series.dcm")
    for file, mask in zip(files, masks, strict=True):
        place = place_of(tmp_path / "series.dcm", file)
        np.testing.assert_array_equal(read_segmentation(plane_path(tmp_path / "series.dcm", place)), mask)
    with pytest.raises(DataError, match=r"masks of 3 pictures.*manifest"):
        read_segmentation(tmp_path / "series.dcm")
    dicom(tmp_path / "other.dcm", np.zeros((20, 31), np.uint8))
    with pytest.raises(DataError, match=r"masks of 3 DICOM files, but .*other\.dcm is none of them"):
        place_of(tmp_path / "series.dcm", tmp_path / "other.dcm")


def test_segments_that_overlap_and_probabilities_are_refused(tmp_path, dicom):
    _, sources = series(tmp_path, dicom, 1)
    both = np.zeros((1, 20, 31, 2), np.uint8)
    both[0, 2:9, 3:11, 0] = both[0, 5:12, 4:20, 1] = 1
    segmentation(sources, both).save_as(tmp_path / "both.dcm")
    with pytest.raises(DataError, match=r"overlap \(lung, heart\)"):
        read_labels(tmp_path / "both.dcm")
    segmentation(sources, both[..., 0] * 0.5, "FRACTIONAL", ["lung"]).save_as(tmp_path / "maps.dcm")
    with pytest.raises(DataError, match="probabilities"):
        read_labels(tmp_path / "maps.dcm")


def test_segments_side_by_side_are_classes(tmp_path, dicom):
    _, sources = series(tmp_path, dicom, 1)
    masks = masks_of([1, 2]).astype(np.uint8)
    segmentation(sources, masks).save_as(tmp_path / "both.dcm")
    organs = LabelSet("organ", "classes", ("lung", "heart"), (1, 2))
    np.testing.assert_array_equal(read_planes(tmp_path / "both.dcm", organs), [masks[0] == 1, masks[0] == 2])


def test_a_damaged_file_of_masks_is_refused(tmp_path, dicom):
    dicom(tmp_path / "a.dcm", np.zeros((20, 31), np.uint8))
    path = write(tmp_path / "a.seg.dcm", masks_of([1]), tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(DataError, match=r"a\.seg\.dcm cannot be read"):
        read_labels(path)
