import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdistill.data.image import Image
from segdistill.data.rescale import at_pixel_size, nearest, resized
from segdistill.data.sample import Sample
from segdistill.errors import DataError


def field(height=12, width=20, pixel_size=0.5):
    rows, columns = np.mgrid[:height, :width]
    array = np.stack([rows, columns]).astype(np.uint16) * 10
    planes = (1 + (columns >= width // 2)).astype(np.int32)[None]
    return Sample(
        "a",
        Image(array, ("rows", "columns"), pixel_size, "a.tif"),
        planes,
        np.array([True]),
        np.ones((height, width), dtype=bool),
    )


def test_halving_the_resolution_halves_every_grid():
    half = at_pixel_size(field(), 1.0)
    assert half.image.array.shape == (2, 6, 10)
    assert half.planes.shape == (1, 6, 10)
    assert half.counts.shape == (6, 10)
    assert half.image.pixel_size == 1.0
    # The middle of two columns 2k, 2k + 1 is worth 10 (2k + ½); borders are smoothed differently.
    assert half.image.array[1, 3, 2:8] == pytest.approx(10 * (2 * np.arange(2, 8) + 0.5), abs=0.5)


def test_the_same_pixel_size_changes_nothing():
    sample = field()
    assert at_pixel_size(sample, 0.5) is sample
    assert at_pixel_size(sample, None) is sample


def test_without_a_pixel_size_nothing_is_guessed():
    with pytest.raises(DataError, match=r"a\.tif does not say its pixel size"):
        at_pixel_size(field(pixel_size=None), 1.0)


@given(st.integers(1, 40), st.integers(1, 40))
def test_no_label_appears_that_was_not_there(height, width):
    planes = np.random.default_rng(0).integers(0, 900, (1, 13, 7))
    assert set(np.unique(nearest(planes, (height, width)))) <= set(np.unique(planes))


def test_image_and_labels_stay_registered():
    picture = np.zeros((1, 30, 50), np.float32)
    picture[:, :, 24:] = 1
    small = resized(picture, (15, 25))[0] > 0.5
    assert (small == nearest(picture > 0.5, (15, 25))[0]).all()
