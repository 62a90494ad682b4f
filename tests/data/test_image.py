import numpy as np
import pytest

from segdistill.data.image import Image, ImageSource, checked_window
from segdistill.data.readers import open_image
from segdistill.errors import DataError, ShapeError


def test_an_image_needs_one_different_name_per_channel():
    pixels = np.zeros((2, 3, 4), np.uint8)
    assert Image(pixels, ("a", "b"), None, "test").channels == ("a", "b")
    with pytest.raises(ShapeError, match=r"2 channels.* names are a"):
        Image(pixels, ("a",), None, "test")
    with pytest.raises(ShapeError, match="a, a"):
        Image(pixels, ("a", "a"), None, "test")


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), float("inf")])
def test_a_pixel_size_is_positive_or_unknown(size):
    with pytest.raises(DataError, match="pixel size"):
        Image(np.zeros((1, 3, 4), np.uint8), ("a",), size, "test")


def test_windows_inside_an_image_are_completed():
    assert checked_window(None, (3, 5), source="a") == (slice(0, 3), slice(0, 5))
    assert checked_window((slice(None, 2), slice(4, None)), (3, 5), source="a") == (slice(0, 2), slice(4, 5))


@pytest.mark.parametrize(
    "window",
    [
        (slice(0, 4), slice(0, 5)),  # beyond y
        (slice(0, 3), slice(0, 6)),  # beyond x
        (slice(-1, 3), slice(0, 5)),
        (slice(0, 3), slice(-2, None)),
        (slice(2, 2), slice(0, 5)),  # no pixel
        (slice(0, 3, 2), slice(0, 5)),
        (slice(2, 1), slice(0, 5)),
    ],
)
def test_windows_that_leave_the_image_are_refused_not_clipped(window):
    with pytest.raises(ShapeError, match="3 × 5"):
        checked_window(window, (3, 5), source="a.tif")


def test_what_readers_return_is_an_image_source(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 5)))
    with open_image(tmp_path / "a.npy") as opened:
        assert isinstance(opened, ImageSource)
        with pytest.raises(ShapeError, match=r"a\.npy"):
            opened.read((slice(0, 3), slice(0, 6)))
    opened.close()  # closing again does nothing
