import sys

import highdicom
import nibabel
import numpy as np
import pytest
import tifffile

from segdistill.data.labels import Structure, read_labels
from segdistill.data.readers.planes import plane_path
from segdistill.errors import ConfigError, MissingExtra
from segdistill.files import sha256_path
from segdistill.inference import Options, predict_files
from segdistill.inference.one_image import merged

CELL, VESSEL = Structure("cell", instances=True), Structure("vessel", instances=False)
OBLIQUE = np.diag([-0.5, 0.5, 3, 1.0])
PLACES = [[(10, 12), (30, 40)], [], [(11, 60), (30, 20), (40, 50)]]


def options(*outputs, **more):
    return Options(device="cpu", outputs=outputs, **more)


@pytest.fixture
def frames(discs):
    """Three pictures of two, no and three discs; each has one brightest pixel, so that none is blank."""
    pictures = np.stack([discs(50, 71, places) for places in PLACES])
    pictures[1, 0, 0] = 200
    return pictures


@pytest.fixture
def volume(tmp_path, frames):
    path = tmp_path / "in" / "scan.nii.gz"
    path.parent.mkdir()
    nibabel.save(nibabel.Nifti1Image(frames.transpose(2, 1, 0), OBLIQUE), path)
    return path


def test_masks_of_a_volume_are_one_volume_on_its_voxels(tmp_path, bright, volume, records):
    out = tmp_path / "out"
    summary = predict_files(bright("channel0"), [volume.parent], out, options=options("labels", "nifti"))
    assert summary.done == ("scan",)
    made = nibabel.load(out / "scan.nii.gz")
    np.testing.assert_array_equal(made.affine, nibabel.load(volume).affine)
    masks = np.asarray(made.dataobj).transpose(2, 1, 0)
    assert masks.dtype == np.int32
    # Two objects, the bright pixel, three objects: no two have one number, though each plane counts from 1.
    assert [sorted(set(mask.flat) - {0}) for mask in masks] == [[1, 2], [3], [4, 5, 6]]
    for place, mask in enumerate(masks, start=1):
        plane = tifffile.imread(out / "scan" / f"{place:04d}.tif")
        np.testing.assert_array_equal(plane > 0, mask > 0)
    (record,) = records(out)
    assert (record["planes"], record["structures"]) == (
        3,
        {"cell": {"objects": 6, "pixels": int((masks > 0).sum()), "dropped": 0}},
    )
    wanted = {"scan.nii.gz", *(f"scan/000{place}.tif" for place in (1, 2, 3))}
    assert record["files"] == {name: sha256_path(out / name) for name in wanted}


def test_what_is_done_is_not_done_again_and_what_is_damaged_is(tmp_path, bright, volume):
    out = tmp_path / "out"
    for wanted in (("scan",), ()):
        summary = predict_files(bright("channel0"), [volume], out, options=options("nifti"))
        assert summary.done == wanted
    whole = (out / "scan.nii.gz").read_bytes()
    (out / "scan.nii.gz").write_bytes(whole[:-9])
    assert predict_files(bright("channel0"), [volume], out, options=options("nifti")).done == ("scan",)
    assert (out / "scan.nii.gz").read_bytes() == whole


def test_masks_of_frames_are_one_dicom_file(tmp_path, bright, enhanced, frames):
    class Foreground(type(bright().module)):
        def forward(self, image):
            return super().forward(image)[:, :1]

    source = enhanced(tmp_path / "in" / "scan.dcm", frames, PatientName="Doe")
    out = tmp_path / "out"
    model = bright("channel0", structures=(VESSEL,), module=Foreground())
    predict_files(model, [tmp_path / "in"], out, options=options("labels", "dicom-seg"))
    made = highdicom.seg.segread(out / "scan.seg.dcm")
    assert (made.PatientName, made.StudyInstanceUID) == ("Doe", source.StudyInstanceUID)
    assert [segment.SegmentLabel for segment in made.SegmentSequence] == ["vessel"]
    for place in (1, 2, 3):
        mask = read_labels(plane_path(out / "scan.seg.dcm", place))
        np.testing.assert_array_equal(mask, tifffile.imread(out / "scan" / f"{place:04d}.tif"))
        assert mask.any()


def test_each_structure_has_a_file_of_its_own_and_objects_are_segments(tmp_path, bright, dicom, frames):
    class Two(type(bright().module)):
        def forward(self, image):
            return super().forward(image)[:, [0, 1, 0]]

    dicom(tmp_path / "scan.dcm", frames[2])
    model = bright("channel0", structures=(CELL, VESSEL), module=Two())
    predict_files(model, [tmp_path / "scan.dcm"], tmp_path / "out", options=options("nifti", "dicom-seg"))
    cells = read_labels(tmp_path / "out" / "cell" / "scan.seg.dcm")
    vessels = read_labels(tmp_path / "out" / "vessel" / "scan.seg.dcm")
    assert (cells.max(), vessels.max()) == (3, 1)
    np.testing.assert_array_equal(cells > 0, vessels > 0)
    for name, masks in (("cell", cells), ("vessel", vessels)):
        np.testing.assert_array_equal(read_labels(tmp_path / "out" / name / "scan.nii.gz"), masks)


def test_a_source_that_is_no_dicom_file_is_refused_by_name_and_the_others_go_on(
    tmp_path, bright, dicom, discs, png, failures
):
    png(tmp_path / "in" / "a.png", discs(50, 71, PLACES[0]))
    dicom(tmp_path / "in" / "b.dcm", discs(50, 71, PLACES[0]))
    summary = predict_files(
        bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=options("labels", "dicom-seg")
    )
    assert summary.done == ("b",)
    assert not (tmp_path / "out" / "a.tif").exists()
    ((path, reason),) = failures(tmp_path / "out")
    assert path.endswith("a.png")
    assert "a.png is no DICOM file" in reason
    assert "--outputs nifti" in reason


def test_nifti_of_any_image_has_its_size_of_pixels(tmp_path, bright, discs, tif):
    tif(tmp_path / "a.tif", discs(50, 71, PLACES[0]), pixel_size=0.25)
    predict_files(bright("channel0"), [tmp_path / "a.tif"], tmp_path / "out", options=options("nifti"))
    made = nibabel.load(tmp_path / "out" / "a.nii.gz")
    assert (made.shape, made.header.get_zooms()[:2]) == ((71, 50, 1), (0.00025, 0.00025))


def test_a_plane_that_cannot_be_read_fails_the_whole_file_and_leaves_no_volume(tmp_path, bright, volume, failures):
    whole = volume.read_bytes()
    volume.write_bytes(whole[: len(whole) // 2])
    summary = predict_files(bright("channel0"), [volume], tmp_path / "out", options=options("nifti"))
    assert list(summary.failed) == [str(volume)]
    assert len(failures(tmp_path / "out")) == 1
    assert not list((tmp_path / "out").rglob("*.nii.gz*"))


def test_masks_of_a_file_that_fails_later_do_not_stay(tmp_path, bright, volume, frames, failures):
    broken = frames.astype(np.float32)
    broken[2, 5, 5] = np.nan
    nibabel.save(nibabel.Nifti1Image(broken.transpose(2, 1, 0), OBLIQUE), volume)
    out = tmp_path / "out"
    predict_files(bright("channel0"), [volume], out, options=options("labels", "geojson"))
    ((path, reason),) = failures(out)
    assert path == str(volume)
    assert "1 of 3,550" in reason
    # They would be of no record; if the file changed and failed sooner, they would pass for masks of what it then is.
    assert not [each for each in out.rglob("*") if each.suffix in {".tif", ".geojson"}]


def test_planes_and_another_image_of_their_names_are_refused(tmp_path, bright, volume, discs, png):
    png(tmp_path / "in" / "scan" / "0002.png", discs(50, 71, PLACES[0]))
    with pytest.raises(ConfigError, match=r"scan\.nii\.gz has many planes.*two masks could have one name"):
        predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=options("labels"))


def test_without_the_extra_nothing_begins(tmp_path, bright, dicom, discs, monkeypatch):
    dicom(tmp_path / "a.dcm", discs(50, 71, PLACES[0]))
    monkeypatch.setitem(sys.modules, "highdicom.seg", None)
    with pytest.raises(MissingExtra, match=r"highdicom.*pip install 'segdistill\[medical\]'"):
        predict_files(bright("channel0"), [tmp_path / "a.dcm"], tmp_path / "out", options=options("dicom-seg"))


def test_what_is_recorded_of_planes_is_added_up_by_hand():
    plane = {"pixel_size": 5.0, "scaled": 1.0, "unlike_training": ["dark"]}
    one = {
        **plane,
        "structures": {"cell": {"objects": 2, "pixels": 30, "dropped": 1}},
        "empty": False,
        "range": {"x": (1, 9)},
    }
    two = {
        **plane,
        "structures": {"cell": {"objects": 0, "pixels": 0, "dropped": 0}},
        "empty": True,
        "range": {"x": (0, 7)},
    }
    assert merged([one, two]) == {
        **plane,
        "planes": 2,
        "structures": {"cell": {"objects": 2, "pixels": 30, "dropped": 1}},
        "empty": False,
        "range": {"x": (0, 9)},
    }
