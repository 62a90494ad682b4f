import gzip

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdistill.data import read_image
from segdistill.data.nifti_writer import nifti_volume
from segdistill.data.readers import BUILTIN, count_planes, open_image, planes
from segdistill.errors import ConfigError, DataError, ShapeError
from segdistill.testing import check_reader

VOXELS = np.random.default_rng(0).integers(-900, 900, (31, 20, 3)).astype(np.int16)  # x y z
TURNED = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0], [0.48, 0.64, 0.6]])  # a rotation
OBLIQUE = np.block([[TURNED * [0.5, 0.5, 3], np.array([[-30], [12], [5]])], [np.zeros(3), 1]])


def write(path, voxels, *, affine=None, unit="mm", kind=nibabel.Nifti1Image, **header):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = kind(voxels, np.diag([0.5, 0.5, 3, 1]) if affine is None else affine)
    image.header.set_xyzt_units(unit)
    for name, value in header.items():
        image.header[name] = value
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_each_plane_is_an_image(tmp_path, suffix, kind):
    path = write(tmp_path / f"a{suffix}", VOXELS, kind=kind)
    assert count_planes(path) == 3
    for place in range(3):
        plane = planes.plane_path(path, place + 1)
        check_reader(BUILTIN[suffix], plane, VOXELS[:, :, place].T[None])
        assert read_image(plane).pixel_size == 500


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float32, np.float64])
def test_numbers_are_read_as_they_are_stored(tmp_path, dtype):
    voxels = (VOXELS[:, :, 0] % 100).astype(dtype)
    path = write(tmp_path / "a.nii", voxels)
    check_reader(BUILTIN[".nii"], path, voxels.T[None])


def test_the_other_byte_order_is_read(tmp_path):
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nibabel.save(nibabel.Nifti1Image(VOXELS[:, :, 0], np.eye(4), header), tmp_path / "a.nii")
    check_reader(BUILTIN[".nii"], tmp_path / "a.nii", VOXELS[:, :, 0].T[None])


@pytest.mark.parametrize(("slope", "inter", "dtype"), [(1, -1024, np.int16), (0.5, 3, np.float32), (3, 0, np.int32)])
def test_values_are_those_that_slope_and_intercept_give(tmp_path, slope, inter, dtype):
    # Whole numbers stay whole in 16 bits where these hold whatever 8 (or, times 3, no longer 16) bits can mean.
    stored = np.arange(31 * 20, dtype=np.uint8 if slope != 3 else np.int16).reshape(31, 20)
    image = nibabel.Nifti1Image(stored, np.eye(4))
    image.header.set_slope_inter(slope, inter)
    nibabel.save(image, tmp_path / "plain.nii")
    raw = bytearray((tmp_path / "plain.nii").read_bytes())
    assert np.frombuffer(raw[112:120], "<f4").tolist() == [slope, inter]  # scl_slope, scl_inter
    raw[352:] = np.asfortranarray(stored).tobytes("F")
    (tmp_path / "a.nii").write_bytes(raw)
    found = read_image(tmp_path / "a.nii").array
    assert found.dtype == dtype
    np.testing.assert_array_equal(found[0], (stored.astype(float) * slope + inter).T)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_volume_one_voxel_thick_is_one_image_along_whichever_axis(tmp_path, axis):
    thin = np.expand_dims(VOXELS[:, :, 0], axis)
    path = write(tmp_path / "a.nii.gz", thin, affine=np.eye(4))
    assert count_planes(path) == 1
    np.testing.assert_array_equal(read_image(path).array[0], VOXELS[:, :, 0].T)


@pytest.mark.parametrize(
    ("unit", "placed", "wanted"),
    [("mm", 1, 500), ("micron", 1, 0.5), ("meter", 1, 5e5), ("unknown", 1, 500), ("unknown", 0, None)],
)
def test_the_size_of_pixels_is_that_of_the_unit(tmp_path, unit, placed, wanted):
    path = write(tmp_path / "a.nii", VOXELS[:, :, :1], unit=unit)
    raw = bytearray(path.read_bytes())
    raw[252:256] = np.array([0, placed], "<i2").tobytes()  # codes of qform and sform
    path.write_bytes(raw)
    assert read_image(path).pixel_size == wanted


def test_pixels_that_are_not_square_are_refused(tmp_path):
    path = write(tmp_path / "a.nii", VOXELS[:, :, :1], affine=np.diag([0.5, 0.8, 3, 1]))
    with pytest.raises(DataError, match="800 µm along y and 500 µm along x"):
        open_image(path)


@pytest.mark.parametrize("shape", [(31, 20, 3, 5), (31, 20, 1, 5), (31, 20, 3, 1, 3), (31,)])
def test_times_and_vectors_are_refused_with_what_was_found(tmp_path, shape):
    path = write(tmp_path / "a.nii.gz", np.zeros(shape, np.uint8))
    with pytest.raises(DataError, match=" × ".join(map(str, shape))):
        open_image(path)


def test_a_fourth_axis_of_length_one_is_none(tmp_path):
    path = write(tmp_path / "a.nii.gz", VOXELS[..., None])
    np.testing.assert_array_equal(read_image(planes.plane_path(path, 2)).array[0], VOXELS[:, :, 1].T)


def test_axes_are_the_file_s_own(tmp_path):
    path = write(tmp_path / "a.nii", VOXELS[:, :, :1])
    with pytest.raises((ConfigError, DataError), match="--axes yx"):
        open_image(path, axes="yx")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.99])
def test_a_file_cut_short_is_refused(tmp_path, suffix, share):
    path = write(tmp_path / f"a{suffix}", VOXELS)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match=f"a{suffix}"):
        read_image(planes.plane_path(path, 3))


def test_a_header_that_claims_more_than_there_is_is_refused(tmp_path):
    path = write(tmp_path / "a.nii", VOXELS)
    raw = bytearray(path.read_bytes())
    raw[42:48] = np.array([30_000, 30_000, 3], "<i2").tobytes()
    path.write_bytes(raw)
    with pytest.raises(DataError, match="claims 5,400,000,000 bytes"):
        open_image(planes.plane_path(path, 1))


@pytest.mark.parametrize("content", [b"", b"hello", gzip.compress(b"hello", mtime=0), b"\0" * 400])
def test_what_is_no_nifti_is_refused(tmp_path, content):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.nii\.gz cannot be read as NIfTI"):
        open_image(path)


def written(path, masks, **options):
    with nifti_volume(path, masks.shape, masks.dtype, **options) as add:
        for mask in masks:
            add([mask[:7], mask[7:]])
    return nibabel.load(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_mask_lies_on_the_voxels_of_its_image(tmp_path, suffix):
    source = write(tmp_path / "a.nii.gz", VOXELS, affine=OBLIQUE, descrip=b"NAME OF PATIENT", db_name=b"NAME")
    masks = np.random.default_rng(0).integers(0, 9, (3, 20, 31), np.int32)
    image = written(tmp_path / f"mask{suffix}", masks, like=source)
    np.testing.assert_array_equal(image.affine, nibabel.load(source).affine)
    np.testing.assert_array_equal(np.asarray(image.dataobj), masks.transpose(2, 1, 0))
    assert image.header.get_xyzt_units()[0] == "mm"
    assert b"NAME" not in image.header.binaryblock
    for place in range(3):
        np.testing.assert_array_equal(
            read_image(planes.plane_path(tmp_path / f"mask{suffix}", place + 1)).array[0], masks[place]
        )


def test_a_mask_of_another_image_has_pixels_of_its_size_and_no_place(tmp_path):
    image = written(tmp_path / "mask.nii.gz", np.ones((1, 20, 31), np.uint8), pixel_size=250.0)
    assert image.header.get_zooms() == (0.25, 0.25, 1.0)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (0, 0)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_equal_masks_give_equal_files(tmp_path):
    masks = np.ones((2, 20, 31), np.uint8)
    for name in "ab":
        written(tmp_path / f"{name}.nii.gz", masks)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_a_side_longer_than_nifti_1_can_count_is_written(tmp_path):
    image = written(tmp_path / "a.nii.gz", np.ones((1, 8, 40_000), np.uint8))
    assert (type(image), image.shape) == (nibabel.Nifti2Image, (40_000, 8, 1))


def test_a_volume_that_is_not_whole_is_not_there(tmp_path):
    with (
        pytest.raises(ShapeError, match="differ by 620 bytes"),
        nifti_volume(tmp_path / "a.nii", (2, 20, 31), np.dtype("u1")) as add,
    ):
        add([np.zeros((20, 31), np.uint8)])
    with (
        pytest.raises(ShapeError, match="Rows of 30 pixels"),
        nifti_volume(tmp_path / "a.nii", (2, 20, 31), np.dtype("u1")) as add,
    ):
        add([np.zeros((20, 30), np.uint8)])
    assert list(tmp_path.iterdir()) == []


def test_a_mask_of_another_shape_than_its_image_is_refused(tmp_path):
    source = write(tmp_path / "a.nii", VOXELS)
    with (
        pytest.raises(ShapeError, match=r"\(3, 20, 31\)"),
        nifti_volume(tmp_path / "b.nii", (3, 31, 20), np.dtype("u1"), like=source),
    ):
        pass


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(2, 9), st.integers(2, 9)),
    seed=st.integers(0, 99),
    cut=st.integers(1, 8),
)
def test_what_is_written_is_what_is_read(tmp_path_factory, shape, seed, cut):
    path = tmp_path_factory.mktemp("law") / "a.nii.gz"
    masks = np.random.default_rng(seed).integers(0, 2**31, shape, np.int32)
    with nifti_volume(path, shape, masks.dtype) as add:
        for mask in masks:
            add(part for part in (mask[:cut], mask[cut:]) if len(part))
    assert count_planes(path) == shape[0]
    for place, mask in enumerate(masks, start=1):
        found = read_image(planes.plane_path(path, place) if shape[0] > 1 else path)
        np.testing.assert_array_equal(found.array[0], mask)
