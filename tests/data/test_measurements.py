import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import regionprops_table

from segdistill.data.measurements import Measurer
from segdistill.errors import ShapeError

CUTS = st.tuples(st.lists(st.integers(0, 17), max_size=2), st.lists(st.integers(0, 27), max_size=2))


def fields(seed, dtype=np.uint16):
    """Objects of some pixels, several of them in pieces, and two channels."""
    draw = np.random.default_rng(seed)
    coarse = draw.integers(0, 6, (6, 7)) * (draw.random((6, 7)) < 0.7)
    labels = np.kron(coarse, np.ones((3, 4), np.int64))[:17, :27]
    image = draw.integers(0, 60_000, (2, *labels.shape)) + 1000.5
    return labels, image.astype(dtype)


def measured(labels, image=None, rows=(), columns=()):
    """Measure an image that comes in blocks which end at these rows and columns."""
    measurer = Measurer(channels=0 if image is None else len(image))
    tops, lefts = sorted({0, *rows, labels.shape[0]}), sorted({0, *columns, labels.shape[1]})
    for top, bottom in pairwise(tops):
        for left, right in pairwise(lefts):
            window = (slice(top, bottom), slice(left, right))
            measurer.add(window, labels[window], None if image is None else image[:, *window])
    return measurer.finish()


def test_by_hand():
    # Pixels (0, 0), (0, 1) and (1, 0) of intensities 1, 2 and 6: centres have mean 5/6, variance 2/9, covariance -1/9.
    found = measured(np.array([[7, 7], [7, 0]]), np.array([[[1, 2], [6, 99]]]))
    assert found.label.tolist() == [7]
    assert found.area.tolist() == [3]
    assert found.box.tolist() == [[0, 0, 2, 2]]
    np.testing.assert_allclose(found.centre, [[5 / 6, 5 / 6]])
    np.testing.assert_allclose(found.spread, [[2 / 9, 2 / 9, -1 / 9]])
    assert (found.mean.item(), found.low.item(), found.high.item()) == (3, 1, 6)
    assert found.deviation.item() == pytest.approx(np.sqrt((4 + 1 + 9) / 3))
    assert found.equivalent_diameter.item() == pytest.approx(np.sqrt(12 / np.pi))
    # Eigenvalues 3/9 and 1/9: e² = 1 - 1/3.
    assert found.eccentricity.item() == pytest.approx(np.sqrt(2 / 3))


def test_one_pixel_is_round():
    found = measured(np.array([[0, 4]]))
    assert found.eccentricity.tolist() == [0]
    assert found.centre.tolist() == [[0.5, 1.5]]


@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 1000), cuts=CUTS, dtype=st.sampled_from([np.uint16, np.float32, np.float64]))
def test_however_it_is_cut_it_is_what_scikit_image_says(seed, cuts, dtype):
    labels, image = fields(seed, dtype)
    found = measured(labels, image, *cuts)
    names = ("label", "area", "bbox", "centroid", "equivalent_diameter_area", "eccentricity")
    names += tuple(f"intensity_{what}" for what in ("mean", "min", "max", "std"))
    wanted = regionprops_table(labels, np.moveaxis(image, 0, -1), properties=names)
    np.testing.assert_array_equal(found.label, wanted["label"])
    np.testing.assert_array_equal(found.area, wanted["area"])
    for place in range(4):
        np.testing.assert_array_equal(found.box[:, place], wanted[f"bbox-{place}"])
    for place in range(2):  # scikit-image counts from the centre of the first pixel
        np.testing.assert_allclose(found.centre[:, place], wanted[f"centroid-{place}"] + 0.5, rtol=1e-12)
    np.testing.assert_allclose(found.equivalent_diameter, wanted["equivalent_diameter_area"], rtol=1e-12)
    np.testing.assert_allclose(found.eccentricity, wanted["eccentricity"], rtol=1e-6, atol=1e-6)
    mine = {"mean": found.mean, "min": found.low, "max": found.high, "std": found.deviation}
    for what, values in mine.items():
        for channel in range(2):
            theirs = wanted[f"intensity_{what}-{channel}"]
            np.testing.assert_allclose(values[:, channel], theirs, rtol=1e-5 if dtype == np.float32 else 1e-11)


def test_a_small_variation_on_a_large_offset_is_kept():
    # Sums of squares of such numbers have no digits left for a variance of 1/4.
    image = 1e9 + np.array([[[0.0, 1.0], [1.0, 0.0]]])
    found = measured(np.ones((2, 2), np.int64), image, rows=[1])
    assert found.deviation.item() == pytest.approx(0.5, rel=1e-9)


def test_what_is_not_a_number_is_said_of_its_object_alone():
    image = np.array([[[1.0, np.nan, 5.0, np.inf]]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = measured(np.array([[1, 1, 2, 3]]), image, columns=[1])
    assert np.isnan(found.mean[0]).all()
    assert np.isnan(found.deviation[0]).all()
    assert found.mean[1:].tolist() == [[5], [np.inf]]


def test_nothing_has_no_rows():
    found = measured(np.zeros((3, 5), np.int64), np.zeros((2, 3, 5)))
    assert found.label.tolist() == []
    assert found.mean.shape == (0, 2)
    assert found.eccentricity.tolist() == []


def test_numbers_need_no_room_of_their_own():
    found = measured(np.array([[1, 2**32 - 1]]))
    assert found.label.tolist() == [1, 2**32 - 1]


def test_channels_that_were_not_announced_are_refused():
    with pytest.raises(ShapeError, match="2 channels were to be measured, but 1 were given"):
        Measurer(channels=2).add((slice(0, 1), slice(0, 1)), np.ones((1, 1), np.int64), np.ones((1, 1, 1)))
