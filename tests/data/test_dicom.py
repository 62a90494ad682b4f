from itertools import product

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    MPEG2MPML,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from segdistill.data import read_image
from segdistill.data.readers import BUILTIN, count_planes, open_image, planes
from segdistill.errors import DataError
from segdistill.testing import check_reader

GREY = np.random.default_rng(0).integers(0, 256, (20, 31), np.uint8)
COLOURS = np.random.default_rng(1).integers(0, 256, (20, 31, 3), np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32])
def test_whole_numbers_are_read_as_they_are_stored(tmp_path, dicom, dtype):
    limits = np.iinfo(dtype)
    array = np.random.default_rng(0).integers(limits.min, limits.max, (20, 31), dtype, endpoint=True)
    dicom(tmp_path / "a.dcm", array)
    check_reader(BUILTIN[".dcm"], tmp_path / "a.dcm", array[None])


def test_colours_are_red_green_and_blue(tmp_path, dicom):
    dicom(tmp_path / "a.dcm", COLOURS, "RGB")
    check_reader(BUILTIN[".dcm"], tmp_path / "a.dcm", COLOURS.transpose(2, 0, 1))
    assert read_image(tmp_path / "a.dcm").channels == ("red", "green", "blue")


def test_colours_stored_plane_by_plane_are_the_same(tmp_path, dicom):
    planar = COLOURS.transpose(2, 0, 1).tobytes()
    dicom(tmp_path / "a.dcm", COLOURS, "RGB", PlanarConfiguration=1, PixelData=planar)
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").array, COLOURS.transpose(2, 0, 1))


def test_brightness_and_colour_differences_become_colours(tmp_path, dicom):
    # Y 76, Cb 85, Cr 255 is pure red: R = 76 + 1.402 × 127 = 254, G = 76 - 0.344 × -43 - 0.714 × 127 = 0.1, B = 0.
    dicom(tmp_path / "a.dcm", np.full((2, 3, 3), [76, 85, 255], np.uint8), "YBR_FULL")
    np.testing.assert_allclose(read_image(tmp_path / "a.dcm").array[:, 0, 0], [254, 0, 0], atol=1)


def test_a_palette_is_looked_up(tmp_path, dicom):
    table = {
        f"{colour}PaletteColorLookupTable{part}": value
        for colour, data in (
            ("Red", b"\x00\x40\x80\xff"),
            ("Green", b"\x01\x02\x03\x04"),
            ("Blue", b"\x09\x08\x07\x06"),
        )
        for part, value in (("Descriptor", [4, 0, 8]), ("Data", data))
    }
    dicom(tmp_path / "a.dcm", np.array([[0, 1, 2], [3, 3, 0]], np.uint8), "PALETTE COLOR", **table)
    image = read_image(tmp_path / "a.dcm")
    assert image.channels == ("red", "green", "blue")
    assert image.array.dtype == np.uint8
    assert image.array.tolist() == [
        [[0, 0x40, 0x80], [0xFF, 0xFF, 0]],
        [[1, 2, 3], [4, 4, 1]],
        [[9, 8, 7], [6, 6, 9]],
    ]


def test_white_stored_as_the_least_number_is_turned_round(tmp_path, dicom):
    # 12 bits: 0 is white and becomes 4095; 4095 is black and becomes 0.
    dicom(tmp_path / "a.dcm", np.array([[0, 1, 4095]], np.uint16), "MONOCHROME1", BitsStored=12, HighBit=11)
    assert read_image(tmp_path / "a.dcm").array.tolist() == [[[4095, 4094, 0]]]


def test_turning_round_keeps_signed_and_rescaled_values_in_their_range(tmp_path, dicom):
    dicom(tmp_path / "a.dcm", np.array([[-128, 0, 127]], np.int8), "MONOCHROME1")
    assert read_image(tmp_path / "a.dcm").array.tolist() == [[[127, -1, -128]]]
    # Stored 0 to 255 mean 100 to 610; turned round they run from 610 to 100.
    dicom(tmp_path / "b.dcm", np.array([[0, 255]], np.uint8), "MONOCHROME1", RescaleSlope=2, RescaleIntercept=100)
    assert read_image(tmp_path / "b.dcm").array.tolist() == [[[610, 100]]]


def test_values_are_those_that_slope_and_intercept_give(tmp_path, dicom):
    dicom(
        tmp_path / "a.dcm",
        np.array([[0, 1024, 4095]], np.uint16),
        BitsStored=12,
        HighBit=11,
        RescaleIntercept=-1024,
        RescaleSlope=1,
    )
    whole = read_image(tmp_path / "a.dcm").array
    assert (whole.dtype, whole.tolist()) == (np.int16, [[[-1024, 0, 3071]]])
    dicom(tmp_path / "b.dcm", np.array([[0, 3]], np.uint8), RescaleSlope=0.5, RescaleIntercept=0)
    fine = read_image(tmp_path / "b.dcm").array
    assert (fine.dtype, fine.tolist()) == (np.float32, [[[0, 1.5]]])


def test_a_slope_of_zero_is_refused(tmp_path, dicom):
    dicom(tmp_path / "a.dcm", GREY, RescaleSlope=0, RescaleIntercept=1)
    with pytest.raises(DataError, match="0 times what is stored"):
        open_image(tmp_path / "a.dcm")


def test_values_are_those_of_a_table(tmp_path, dicom, item):
    table = item(LUTDescriptor=[4, 0, 16], ModalityLUTType="US", LUTData=np.array([7, 300, 20, 65535], "<u2").tobytes())
    dicom(tmp_path / "a.dcm", np.array([[0, 1, 3]], np.uint8), ModalityLUTSequence=[table])
    image = read_image(tmp_path / "a.dcm").array
    assert (image.dtype, image.tolist()) == (np.uint16, [[[7, 300, 65535]]])


def test_floating_point_pixels_are_read_as_they_are(tmp_path, dicom):
    array = np.array([[0.5, -1.25, 1e6]], np.float32)
    gone = dict.fromkeys(("PixelData", "BitsStored", "HighBit", "PixelRepresentation"))
    dicom(tmp_path / "a.dcm", array, kind="1.2.840.10008.5.1.4.1.1.30", FloatPixelData=array.tobytes(), **gone)
    image = read_image(tmp_path / "a.dcm").array
    assert (image.dtype, image.tolist()) == (np.float32, [array.tolist()])


def test_each_frame_is_an_image_with_values_and_size_of_its_own(tmp_path, enhanced, item):
    array = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    frames = [
        {"PixelValueTransformationSequence": [item(RescaleSlope=1 + place, RescaleIntercept=10)]} for place in range(2)
    ]
    frames[1]["PixelMeasuresSequence"] = [item(PixelSpacing=[0.25, 0.25])]
    enhanced(tmp_path / "a.dcm", array, frames=frames)
    assert count_planes(tmp_path / "a.dcm") == 2
    for place, size in enumerate((500, 250)):
        image = read_image(planes.plane_path(tmp_path / "a.dcm", place + 1))
        assert image.pixel_size == size
        np.testing.assert_array_equal(image.array[0], array[place] * (1 + place) + 10)


@pytest.mark.parametrize(
    ("inner", "words"), [("", "holds 2 frames.*0001.plane"), ("0003.plane", "Choose 1 to 2"), ("0000.plane", "Choose")]
)
def test_a_frame_must_be_named_and_be_there(tmp_path, enhanced, inner, words):
    enhanced(tmp_path / "a.dcm", np.zeros((2, 3, 4), np.uint8))
    with pytest.raises(DataError, match=words):
        open_image(tmp_path / "a.dcm" / inner)


GREY12 = np.random.default_rng(0).integers(0, 4096, (20, 31), np.uint16)
COMPRESSED = {
    "JPEG lossless": (JPEGLosslessSV1, GREY12, lambda a: imagecodecs.ljpeg_encode(a, bitspersample=12)),
    "JPEG-LS": (JPEGLSLossless, GREY12, imagecodecs.jpegls_encode),
    "JPEG 2000": (
        JPEG2000Lossless,
        GREY12,
        lambda a: imagecodecs.jpeg2k_encode(a, codecformat="j2k", reversible=True, level=0),
    ),
    "HTJ2K": (HTJ2K, GREY12, lambda a: imagecodecs.htj2k_encode(a, reversible=True)),
}


@pytest.mark.parametrize("name", COMPRESSED)
def test_what_is_compressed_without_loss_is_read_exactly(tmp_path, dicom, name):
    syntax, array, encode = COMPRESSED[name]
    _write_compressed(dicom, tmp_path / "a.dcm", array, syntax, encode(array), BitsStored=12, HighBit=11)
    check_reader(BUILTIN[".dcm"], tmp_path / "a.dcm", array[None])


def _write_compressed(dicom, path, array, syntax, *frames, **elements):
    plain = dicom(path, array, **elements)
    plain.file_meta.TransferSyntaxUID = syntax
    plain.PixelData = encapsulate(list(frames))
    plain["PixelData"].VR = "OB"
    plain.save_as(path, enforce_file_format=True)


def test_run_lengths_are_read_exactly_frame_by_frame(tmp_path, enhanced):
    array = np.repeat(GREY[None], 3, axis=0) + np.arange(3, dtype=np.uint8)[:, None, None]
    file = enhanced(tmp_path / "a.dcm", array)
    file.compress(RLELossless)
    file.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    for place in range(3):
        image = read_image(planes.plane_path(tmp_path / "a.dcm", place + 1))
        np.testing.assert_array_equal(image.array[0], array[place])


@pytest.mark.parametrize(("syntax", "bits"), [(JPEGBaseline8Bit, 8), (JPEGExtended12Bit, 12)])
def test_what_is_compressed_with_loss_is_nearly_the_same(tmp_path, dicom, syntax, bits):
    y, x = np.mgrid[:24, :40]
    array = ((y + x) * 2 ** (bits - 7)).astype(np.uint8 if bits == 8 else np.uint16)
    code = imagecodecs.jpeg8_encode(array, level=98, bitspersample=bits)
    _write_compressed(dicom, tmp_path / "a.dcm", array, syntax, code, BitsStored=bits, HighBit=bits - 1)
    image = read_image(tmp_path / "a.dcm").array[0]
    assert image.dtype == array.dtype
    assert np.abs(image.astype(int) - array).max() <= 2 ** (bits - 7)


def test_a_way_of_compression_that_nothing_undoes_is_refused_by_name(tmp_path, dicom):
    _write_compressed(dicom, tmp_path / "a.dcm", GREY, MPEG2MPML, b"\0\0")
    with pytest.raises(DataError, match=r"compressed as MPEG2.*1\.2\.840\.10008\.1\.2\.4\.100.*gdcmconv"):
        open_image(tmp_path / "a.dcm")


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({"kind": "1.2.840.10008.5.1.4.1.1.66.4"}, "holds masks.*labels/"),
        ({"kind": "1.2.840.10008.5.1.4.1.1.77.1.6"}, "slide cut into tiles.*bioformats2raw"),
        ({"Rows": None}, "holds no picture: it is a Secondary Capture Image Storage"),
        ({"light": "ARGB"}, "ARGB of 3 samples"),
        ({"Rows": 30_000, "Columns": 30_000}, "claims 900,000,000 bytes"),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path, dicom, elements, words):
    array = COLOURS if elements.get("light") else GREY
    dicom(tmp_path / "a.dcm", array, **elements)
    with pytest.raises(DataError, match=words):
        open_image(tmp_path / "a.dcm")


@pytest.mark.parametrize("share", [0.1, 0.6, 0.99])
def test_a_file_cut_short_is_refused(tmp_path, dicom, share):
    dicom(tmp_path / "a.dcm", np.zeros((60, 71), np.uint16))
    whole = (tmp_path / "a.dcm").read_bytes()
    (tmp_path / "a.dcm").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match=r"a\.dcm"):
        read_image(tmp_path / "a.dcm")


def test_a_file_without_pixels_or_of_another_format_is_refused(tmp_path, dicom):
    dicom(tmp_path / "a.dcm", np.zeros((1, 2), np.uint8), PixelData=None)
    with pytest.raises(DataError, match="cannot be read as DICOM"):
        read_image(tmp_path / "a.dcm")
    (tmp_path / "b.dcm").write_bytes(b"hello" * 100)
    with pytest.raises(DataError, match=r"b\.dcm cannot be read as DICOM"):
        read_image(tmp_path / "b.dcm")


def test_a_file_without_suffix_is_known_by_what_it_says(tmp_path, dicom):
    dicom(tmp_path / "IM0001", GREY)
    np.testing.assert_array_equal(read_image(tmp_path / "IM0001").array[0], GREY)
    dicom(tmp_path / "1.2.840.7", GREY)
    with pytest.raises(DataError, match=r"no reader for \.7.*suffix \.dcm"):
        read_image(tmp_path / "1.2.840.7")


SPACINGS = {
    "body": ({"PixelSpacing": [0.5, 0.5]}, 500.0),
    "detector": ({"ImagerPixelSpacing": [0.14, 0.14]}, 140.0),
    "body before detector": ({"PixelSpacing": [0.1, 0.1], "ImagerPixelSpacing": [0.14, 0.14]}, 100.0),
    "nothing": ({}, None),
}


@pytest.mark.parametrize("name", SPACINGS)
def test_the_size_of_pixels_is_kept(tmp_path, dicom, name):
    elements, wanted = SPACINGS[name]
    dicom(tmp_path / "a.dcm", GREY, **elements)
    assert read_image(tmp_path / "a.dcm").pixel_size == (None if wanted is None else pytest.approx(wanted))


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({"PixelSpacing": [0.5, 0.7]}, "500 µm along y and 700 µm along x"),
        ({"PixelAspectRatio": [4, 3]}, "4 to 3"),
        ({"PixelSpacing": [0, 0]}, "0 × 0 mm"),
    ],
)
def test_pixels_that_are_not_square_are_refused(tmp_path, dicom, elements, words):
    dicom(tmp_path / "a.dcm", GREY, **elements)
    with pytest.raises(DataError, match=words):
        open_image(tmp_path / "a.dcm")


def region(item, delta, *, form=1, units=3):
    return item(
        RegionSpatialFormat=form,
        PhysicalUnitsXDirection=units,
        PhysicalUnitsYDirection=units,
        PhysicalDeltaX=delta,
        PhysicalDeltaY=-delta,
    )


def test_regions_of_ultrasound_say_the_size_of_pixels(tmp_path, dicom, item):
    # 0.005 cm are 50 µm; a spectrum beside the picture, in seconds, does not matter.
    regions = [region(item, 0.005), region(item, 0.001, form=3, units=4)]
    dicom(tmp_path / "a.dcm", COLOURS, "RGB", SequenceOfUltrasoundRegions=regions)
    assert read_image(tmp_path / "a.dcm").pixel_size == pytest.approx(50)


def test_regions_of_different_scale_leave_it_open(tmp_path, dicom, item):
    dicom(tmp_path / "a.dcm", GREY, SequenceOfUltrasoundRegions=[region(item, 0.005), region(item, 0.01)])
    assert read_image(tmp_path / "a.dcm").pixel_size is None


def test_reading_says_nothing_of_odd_elements_and_leaves_the_file_alone(tmp_path, dicom):
    file = dicom(tmp_path / "a.dcm", GREY)
    file.add_new("PatientBirthDate", "LO", "about 1950")  # neither a date nor of the type of one
    file.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    before = (tmp_path / "a.dcm").read_bytes()
    read_image(tmp_path / "a.dcm")
    assert (tmp_path / "a.dcm").read_bytes() == before


def test_every_window_is_a_part_of_the_whole(tmp_path, dicom):
    dicom(tmp_path / "a.dcm", GREY12, BitsStored=12, HighBit=11, RescaleIntercept=-7, RescaleSlope=3)
    whole = read_image(tmp_path / "a.dcm").array
    with open_image(tmp_path / "a.dcm") as opened:
        for top, left in product((0, 7, 19), (0, 30)):
            window = (slice(top, 20), slice(left, 31))
            np.testing.assert_array_equal(opened.read(window), whole[:, *window])
