"""Images written and read again: the same pixels, names and pixel size."""

import numpy as np
import pytest

from segdistill.data.image import Image
from segdistill.data.image_writer import write_image
from segdistill.data.readers import read_image
from segdistill.errors import DataError


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("count", [1, 3, 5])
def test_planes_come_back_with_their_names(count, dtype, tmp_path):
    array = np.arange(count * 12).reshape(count, 3, 4).astype(dtype)
    image = Image(array, tuple(f"stain {place}" for place in range(count)), 0.25, "a test")
    write_image(tmp_path / "a.ome.tif", image)
    again = read_image(tmp_path / "a.ome.tif")
    assert np.array_equal(again.array, array)
    assert (again.array.dtype, again.channels, again.pixel_size) == (array.dtype, image.channels, 0.25)


def test_pictures_come_back_as_pictures_and_equal_images_are_equal_files(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (3, 4, 7)).astype(np.uint8)
    image = Image(array, ("red", "green", "blue"), None, "a test")
    for suffix in ("png", "tif"):
        for name in ("a", "b"):
            write_image(tmp_path / f"{name}.{suffix}", image)
        again = read_image(tmp_path / f"a.{suffix}")
        assert np.array_equal(again.array, array)
        assert again.channels == image.channels
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_what_a_format_cannot_hold_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot hold uint16 numbers of red, green, blue"):
        write_image(tmp_path / "a.png", Image(np.zeros((3, 2, 3), np.uint16), ("red", "green", "blue"), None, "x"))
    with pytest.raises(DataError, match="cannot hold uint8 numbers of grey"):
        write_image(tmp_path / "a.png", Image(np.zeros((1, 2, 3), np.uint8), ("grey",), None, "x"))
    with pytest.raises(DataError, match=r"cannot be written as \.jpg"):
        write_image(tmp_path / "a.jpg", Image(np.zeros((1, 2, 3), np.uint8), ("grey",), None, "x"))
    assert list(tmp_path.iterdir()) == []
