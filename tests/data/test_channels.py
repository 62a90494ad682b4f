import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdistill.data.channels import check_names, select
from segdistill.errors import DataError, ShapeError

COLOURS = ("red", "green", "blue")


def field(*values, dtype=np.uint8):
    """Return a 2 × 3 image with one constant value per channel."""
    return np.array(values, dtype).reshape(-1, 1, 1) * np.ones((1, 2, 3), dtype)


def test_channels_come_in_the_wanted_order_and_may_repeat():
    chosen = select(field(1, 2, 3), ("a", "b", "c"), ("c", "a", "c"), source="test")
    assert chosen[:, 0, 0].tolist() == [3, 1, 3]


@given(order=st.permutations(range(4)))
def test_the_order_in_the_file_does_not_matter(order):
    pixels = np.arange(4 * 2 * 3, dtype=np.uint16).reshape(4, 2, 3)
    names = ("DAPI", "actin", "tubulin", "ER")
    shuffled = select(pixels[order], [names[place] for place in order], ("ER", "DAPI"), source="test")
    assert np.array_equal(shuffled, pixels[[3, 0]])


def test_luma_by_hand():
    # 0.299 · 200 + 0.587 · 100 + 0.114 · 50 = 59.8 + 58.7 + 5.7 = 124.2, rounded to 124.
    assert select(field(200, 100, 50), COLOURS, ("luma",), source="test")[0, 0, 0] == 124
    floating = select(field(0.2, 0.1, 0.05, dtype=np.float32), COLOURS, ("luma",), source="test")
    assert floating.dtype == np.float32
    assert floating[0, 0, 0] == pytest.approx(0.1242)


@given(value=st.integers(0, 65535))
def test_luma_of_grey_is_the_grey(value):
    assert select(field(value, value, value, dtype=np.uint16), COLOURS, ("luma",), source="test")[0, 1, 2] == value


def test_luma_finds_the_colours_by_name_wherever_they_are():
    swapped = select(field(50, 7, 200, 100), ("blue", "mask", "red", "green"), ("luma",), source="test")
    assert swapped[0, 0, 0] == 124


def test_an_unnamed_grey_picture_is_its_own_luma_but_a_named_channel_is_not():
    assert select(field(9), ("channel0",), ("luma",), source="test")[0, 0, 0] == 9
    with pytest.raises(DataError, match="no channel 'luma'"):
        select(field(9), ("DAPI",), ("luma",), source="test")


def test_blank_is_zero_unless_the_image_has_a_channel_of_that_name():
    assert not select(field(9), ("a",), ("blank",), source="test").any()
    assert select(field(9), ("blank",), ("blank",), source="test")[0, 0, 0] == 9


def test_an_unknown_channel_is_refused_with_what_there_is():
    with pytest.raises(
        DataError, match=r"f\.tif has no channel 'membran'. Did you mean 'membrane'\? It has: nucleus, membrane"
    ):
        select(field(1, 2), ("nucleus", "membrane"), ("membran",), source="f.tif")
    with pytest.raises(DataError, match="Did you mean 'DAPI'"):
        check_names(("DAPI", "actin"), ("dapi",), source="f.tif")
    with pytest.raises(DataError, match="No channel"):
        check_names(("DAPI",), (), source="f.tif")


def test_names_and_channels_must_be_as_many():
    with pytest.raises(ShapeError, match="3 channels, but 2 names"):
        select(field(1, 2, 3), ("a", "b"), ("a",), source="test")
