import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdistill.data.bands import bands_of, strips_of
from segdistill.errors import ShapeError


@given(cuts=st.lists(st.integers(1, 12), max_size=5), height=st.integers(1, 15))
def test_strips_are_the_rows_of_the_bands_in_one_height(cuts, height):
    rows = np.arange(26).reshape(13, 2)
    strips = list(strips_of(np.split(rows, sorted(cuts)), height))
    np.testing.assert_array_equal(np.concatenate(strips), rows)
    assert {len(strip) for strip in strips[:-1]} <= {height}
    assert 0 < len(strips[-1]) <= height


def test_no_rows_are_no_strips():
    assert list(strips_of([], 4)) == []


def test_a_gap_is_refused():
    blocks = [((slice(0, 1), slice(0, 2)), np.zeros((1, 1, 2))), ((slice(2, 3), slice(0, 2)), np.zeros((1, 1, 2)))]
    with pytest.raises(ShapeError, match=r"Blocks of a test must cover 3 × 2.*at row 1, column 0 came \[2:3"):
        list(bands_of(blocks, (1, 3, 2), np.dtype(float), source="a test"))
