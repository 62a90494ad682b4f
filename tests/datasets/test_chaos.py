from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from segdistill.data import read_dataset, read_image, read_sample
from segdistill.datasets import write_manifests
from segdistill.datasets.chaos import ordered
from segdistill.errors import DataError

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
RAMP = np.arange(15, dtype=np.uint16).reshape(3, 5)


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_a_slice_that_no_library_wrote_comes_back_as_it_was(syntax, dtype, dicom, tmp_path):
    pixels = (RAMP * 7 - (40 if np.dtype(dtype).kind == "i" else 0)).astype(dtype)
    read = read_image(dicom(tmp_path / "a.dcm", pixels, syntax=syntax))
    np.testing.assert_array_equal(read.array, pixels[None])
    assert (read.array.dtype, read.pixel_size) == (dtype, 500.0)  # half a millimetre


def test_bits_beside_the_stored_ones_do_not_count(dicom, tmp_path):
    # 12 of 16 bits are stored; the four above them may hold anything.
    read = read_image(dicom(tmp_path / "a.dcm", RAMP | 0xA000, stored=12))
    np.testing.assert_array_equal(read.array[0], RAMP)


def test_a_stored_sign_is_the_highest_stored_bit(dicom, tmp_path):
    # -1 in 12 bits is 0x0FFF.
    pixels = np.full((2, 3), 0x0FFF, np.int16)
    assert (read_image(dicom(tmp_path / "a.dcm", pixels, stored=12)).array == -1).all()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), value=st.integers(0, 255))
def test_a_changed_byte_gives_pixels_of_the_stated_size_or_a_refusal(place, value, dicom, tmp_path):
    path = dicom(tmp_path / "a.dcm", RAMP)
    content = bytearray(path.read_bytes())
    content[place % len(content)] = value
    path.write_bytes(bytes(content))
    with suppress(DataError):
        assert read_image(path).array.ndim == 3


def test_numbers_in_names_are_compared_as_numbers(tmp_path):
    names = ["IMG-0004-00010", "IMG-0004-00002", "i0009,0000b", "IMG-0004-2"]
    for name in names:
        (tmp_path / f"{name}.dcm").touch()
    assert [path.stem for path in ordered(tmp_path, "*.dcm")] == [
        "IMG-0004-00002",
        "IMG-0004-2",
        "IMG-0004-00010",
        "i0009,0000b",
    ]
    assert ordered(tmp_path / "nowhere", "*") == []


def ground(path: Path, values: dict[int, int]) -> None:
    """A mask with each grey value in a row of its own."""
    pixels = np.zeros((8, 10), np.uint8)
    for row, value in values.items():
        pixels[row] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def scan(number: int) -> np.ndarray:
    return np.full((8, 10), number, np.uint16)


@pytest.fixture
def chaos(dicom, tmp_path) -> Path:
    """Two patients of MRI with two slices, one of CT, with the names that the archive has."""
    root = tmp_path / "CHAOS_Train_Sets" / "Train_Sets"
    for patient in ("1", "2"):
        mr = root / "MR" / patient
        for place, number in enumerate((2, 10)):
            dicom(mr / f"T1DUAL/DICOM_anon/InPhase/IMG-0004-{number:05d}.dcm", scan(100 + place))
            dicom(mr / f"T1DUAL/DICOM_anon/OutPhase/IMG-0004-{number - 1:05d}.dcm", scan(200 + place))
            ground(mr / f"T1DUAL/Ground/IMG-0004-{number:05d}.png", {0: 63, 1: 126, 2: 189, 3: 252})
        dicom(mr / "T2SPIR/DICOM_anon/IMG-0002-00001.dcm", scan(7))
        ground(mr / "T2SPIR/Ground/IMG-0002-00001.png", {5: 63})
    dicom(root / "CT/1/DICOM_anon/i0000,0000b.dcm", scan(1), rescale=(b"-1024", b"1"))
    ground(root / "CT/1/Ground/liver_GT_000.png", {4: 255})
    return tmp_path / "CHAOS_Train_Sets"


def test_chaos(chaos, tmp_path):
    written, _ = write_manifests("chaos", chaos, tmp_path / "out")
    assert [path.name for path in written] == ["t1dual.csv", "t2spir.csv", "ct.csv"]
    t1, t2, ct = (read_dataset(path, label_kind="binary") for path in written)
    assert [case.group for case in t1.cases] == ["mr-1", "mr-1", "mr-2", "mr-2"]
    assert [case.group for case in t2.cases] == ["mr-1", "mr-2"]  # the same patients as in t1dual
    assert [structure.name for structure in t1.structures] == ["liver", "right_kidney", "left_kidney", "spleen"]
    sample = read_sample(t1.cases[1], t1)
    assert sample.image.channels == ("in_phase", "out_phase")
    assert sample.image.array[:, 0, 0].tolist() == [101, 201]  # slice 10 is the second, not the first
    assert sample.image.pixel_size == 500.0
    assert [plane.any(axis=1).nonzero()[0].tolist() for plane in sample.planes] == [[0], [1], [2], [3]]
    assert [structure.name for structure in ct.structures] == ["liver"]
    assert read_image(ct.cases[0].image).array.max() == 1 - 1024
    assert read_sample(ct.cases[0], ct).planes.sum() == 10


def test_a_scan_without_as_many_masks_is_refused(chaos, tmp_path):
    next((chaos / "Train_Sets/MR/2/T1DUAL/Ground").glob("*.png")).unlink()
    with pytest.raises(DataError, match=r"2 slices in_phase, 2 slices out_phase and 1 masks"):
        write_manifests("chaos", chaos, tmp_path / "out")


def test_a_grey_value_that_means_nothing_is_refused(chaos, tmp_path):
    ground(chaos / "Train_Sets/MR/1/T2SPIR/Ground/IMG-0002-00001.png", {5: 90})
    with pytest.raises(DataError, match="the grey value 90"):
        write_manifests("chaos", chaos, tmp_path / "out")


def test_phases_of_two_sizes_are_refused(chaos, dicom, tmp_path):
    dicom(chaos / "Train_Sets/MR/1/T1DUAL/DICOM_anon/OutPhase/IMG-0004-00001.dcm", np.zeros((4, 4), np.uint16))
    with pytest.raises(DataError, match="differ in size"):
        write_manifests("chaos", chaos, tmp_path / "out")


def test_a_download_of_one_kind_gives_the_manifests_of_that_kind(chaos, tmp_path):
    written, _ = write_manifests("chaos", chaos / "Train_Sets" / "CT" / "..", tmp_path / "out")
    assert len(written) == 3
    (chaos / "Train_Sets" / "CT").rename(tmp_path / "CT")
    written, _ = write_manifests("chaos", chaos, tmp_path / "again")
    assert [path.stem for path in written] == ["t1dual", "t2spir"]
