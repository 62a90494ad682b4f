import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image as Pillow

from segdistill.data.readers import open_image, read_image
from segdistill.errors import DataError

SHAPE = (7, 13)
COLOURS = ("red", "green", "blue")
RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, SHAPE, dtype=np.uint8)
RGB = RANDOM.integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
DEEP = RANDOM.integers(0, 65536, (*SHAPE, 3), dtype=np.uint16)


def cyx(array):
    return np.moveaxis(array, -1, 0)


@pytest.mark.parametrize("suffix", ["png", "PNG", "bmp", "gif", "GIF"])
def test_grey(tmp_path, suffix):
    path = tmp_path / f"a b é 🙂 'q'.{suffix}"
    Pillow.fromarray(GREY).save(path)
    image = read_image(path)
    assert np.array_equal(image.array[0], GREY)
    assert (image.array.dtype, image.channels, image.pixel_size) == (np.uint8, ("channel0",), None)
    assert read_image(path, channels=["nucleus"]).channels == ("nucleus",)


def test_rgb(tmp_path):
    Pillow.fromarray(RGB).save(tmp_path / "a.png", dpi=(300, 300))
    image = read_image(tmp_path / "a.png")
    assert np.array_equal(image.array, cyx(RGB))
    assert image.channels == COLOURS
    assert image.pixel_size is None  # dots per inch are a wish for printing
    renamed = read_image(tmp_path / "a.png", channels=["a", "b", "c"])
    assert (renamed.channels, renamed.stated) == (("a", "b", "c"), ())  # a picture's colours name nothing
    with pytest.raises(DataError, match=r"red, green, blue.*puts blue and red elsewhere"):
        read_image(tmp_path / "a.png", channels=["blue", "green", "red"])


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "JPG"])
def test_jpeg(tmp_path, suffix):
    smooth = np.linspace(0, 200, 7 * 13).reshape(SHAPE).astype(np.uint8)
    Pillow.fromarray(np.dstack([smooth] * 3)).save(tmp_path / f"a.{suffix}", format="JPEG", quality=95)
    image = read_image(tmp_path / f"a.{suffix}")
    assert image.channels == COLOURS
    assert np.abs(image.array[1].astype(int) - smooth).max() <= 8


def test_sixteen_bits_of_grey_and_of_colours_are_kept(tmp_path):
    # pillow opens 16-bit RGB as 8-bit RGB without a word.
    (tmp_path / "grey.png").write_bytes(imagecodecs.png_encode(np.ascontiguousarray(DEEP[..., 0])))
    (tmp_path / "rgb.png").write_bytes(imagecodecs.png_encode(DEEP))
    opaque = np.full((*SHAPE, 1), 65535, np.uint16)
    (tmp_path / "rgba.png").write_bytes(imagecodecs.png_encode(np.concatenate([DEEP, opaque], axis=2)))
    (tmp_path / "la.png").write_bytes(imagecodecs.png_encode(np.concatenate([DEEP[..., :1], opaque], axis=2)))
    for name, expected in {"grey": DEEP[..., :1], "rgb": DEEP, "rgba": DEEP, "la": DEEP[..., :1]}.items():
        image = read_image(tmp_path / f"{name}.png")
        assert image.array.dtype == np.uint16
        assert np.array_equal(image.array, cyx(expected)), name


def test_one_bit_becomes_0_and_255(tmp_path):
    Pillow.fromarray(GREY > 99).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png").array[0], np.where(GREY > 99, 255, 0))


def test_a_palette_is_looked_up(tmp_path):
    quantised = Pillow.fromarray(RGB).quantize(16)
    quantised.save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png").array, cyx(np.asarray(quantised.convert("RGB"))))
    grey = Pillow.fromarray(GREY).quantize(256)
    grey.save(tmp_path / "b.png")
    image = read_image(tmp_path / "b.png")
    assert image.channels == ("channel0",)
    assert np.array_equal(image.array[0], np.asarray(grey.convert("L")))


@pytest.mark.parametrize("opacity", [255, 128, 0])
def test_constant_alpha_is_dropped(tmp_path, opacity):
    Pillow.fromarray(np.dstack([RGB, np.full(SHAPE, opacity, np.uint8)])).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.channels == COLOURS
    assert np.array_equal(image.array, cyx(RGB))


def test_varying_alpha_is_refused_also_when_each_window_is_constant(tmp_path):
    alpha = np.full(SHAPE, 255, np.uint8)
    alpha[:, 6:] = 254
    Pillow.fromarray(np.dstack([RGB, alpha])).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="alpha channel that varies"):
        read_image(tmp_path / "a.png")
    with open_image(tmp_path / "a.png") as image:
        image.read((slice(0, 7), slice(0, 6)))
        with pytest.raises(DataError, match="alpha channel that varies"):
            image.read((slice(0, 7), slice(6, 13)))


@pytest.mark.parametrize("pixels", [RGB, GREY])
def test_a_transparent_colour_counts_as_alpha(tmp_path, pixels):
    used = tuple(pixels[2, 3].tolist()) if pixels.ndim == 3 else int(pixels[2, 3])
    Pillow.fromarray(pixels).save(tmp_path / "a.png", transparency=used)
    with pytest.raises(DataError, match="alpha"):
        read_image(tmp_path / "a.png")
    unused = next(value for value in range(256) if value not in pixels)
    Pillow.fromarray(pixels).save(tmp_path / "b.png", transparency=(unused,) * 3 if pixels.ndim == 3 else unused)
    assert np.array_equal(read_image(tmp_path / "b.png").array, cyx(pixels.reshape(*SHAPE, -1)))


def test_a_transparent_colour_of_sixteen_bits_counts_as_alpha(tmp_path):
    plain = imagecodecs.png_encode(DEEP)
    content = b"tRNS" + struct.pack(">HHH", *DEEP[0, 0].tolist())
    chunk = struct.pack(">I", 6) + content + struct.pack(">I", zlib.crc32(content))
    place = plain.index(b"IDAT") - 4
    (tmp_path / "a.png").write_bytes(plain[:place] + chunk + plain[place:])
    with pytest.raises(DataError, match="alpha"):
        read_image(tmp_path / "a.png")


def test_what_is_neither_grey_nor_rgb_is_refused_by_name(tmp_path):
    Pillow.fromarray(RGB).convert("CMYK").save(tmp_path / "a.jpg")
    with pytest.raises(DataError, match="CMYK"):
        read_image(tmp_path / "a.jpg")


def test_several_frames_are_refused(tmp_path):
    first, second = Pillow.fromarray(RGB), Pillow.fromarray(255 - RGB)
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    with pytest.raises(DataError, match="2 frames"):
        read_image(tmp_path / "a.gif")


def test_a_picture_that_asks_to_be_turned_is_refused(tmp_path):
    exif = Pillow.Exif()
    exif[0x0112] = 6
    Pillow.fromarray(RGB).save(tmp_path / "a.jpg", exif=exif)
    with pytest.raises(DataError, match="orientation 6"):
        read_image(tmp_path / "a.jpg")


def test_a_window_is_a_part_of_the_picture_and_memory_of_its_own(tmp_path):
    Pillow.fromarray(RGB).save(tmp_path / "a.png")
    with open_image(tmp_path / "a.png") as image:
        assert (image.shape, image.dtype) == ((3, *SHAPE), np.uint8)
        window = image.read((slice(1, 3), slice(4, 9)))
        assert np.array_equal(window, cyx(RGB)[:, 1:3, 4:9])
        window[:] = 0
        assert np.array_equal(image.read(), cyx(RGB))


def test_axes_of_a_picture_are_known(tmp_path):
    Pillow.fromarray(RGB).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", axes="yxc").channels == COLOURS
    with pytest.raises(DataError, match="--axes"):
        read_image(tmp_path / "a.png", axes="cyx")


def test_a_bomb_is_refused_with_its_claim_and_the_size_of_the_file(tmp_path):
    # A PNG header of 50,000 × 50,000 pixels with nothing behind it.
    content = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + content + struct.pack(">I", zlib.crc32(content))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT\x35\xaf\x06\x1e")
    with pytest.raises(DataError, match=r"2500000000 pixels.*45 bytes.*tiled TIFF"):
        open_image(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9])
def test_a_cut_picture_is_refused_or_whole(tmp_path, suffix, kept):
    path = tmp_path / f"a.{suffix}"
    Pillow.fromarray(np.kron(RGB, np.ones((9, 9, 1), np.uint8))).save(path)
    whole = read_image(path).array
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(DataError, match=f"a.{suffix} cannot be read as picture"):
        assert not np.array_equal(read_image(path).array, whole), "what was cut off held no pixels"
