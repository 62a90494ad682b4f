"""Who is right: by hand, laws, the refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from segdistill.errors import DataError, ShapeError
from segdistill.evaluation import Agreement, count_agreement

shapes = st.shared(st.tuples(st.integers(1, 6), st.integers(1, 9)), key="shape")
masks = arrays.arrays(np.bool_, shapes)


def test_by_hand():
    # One pixel each: all say foreground; the label and the first; the label and the second; the label alone;
    # the first alone, so the second is right; both but not the label; nobody, which is left out.
    label = np.array([[1, 1, 1, 1, 0, 0, 0]]) > 0
    first = np.array([[1, 1, 0, 0, 1, 1, 0]]) > 0
    second = np.array([[1, 0, 1, 0, 0, 1, 0]]) > 0
    found = count_agreement(first, second, label)
    assert found == Agreement(both=1, first=1, second=2, neither=2)
    assert found.pixels == 6
    counts = np.array([[1, 0, 0, 0, 0, 1, 1]]) > 0
    assert count_agreement(first, second, label, counts=counts) == Agreement(1, 0, 0, 1)


@given(first=masks, second=masks, label=masks)
def test_tiles_add_up_and_the_two_may_change_places(first, second, label):
    whole = count_agreement(first, second, label)
    assert whole.pixels == np.count_nonzero(first | second | label)
    cut = len(label) // 2
    if cut:
        parts = [count_agreement(first[part], second[part], label[part]) for part in (slice(cut), slice(cut, None))]
        assert parts[0] + parts[1] == whole
    turned = count_agreement(second, first, label)
    assert (turned.first, turned.second) == (whole.second, whole.first)
    assert count_agreement(label, label, label) == Agreement(int(label.sum()), 0, 0, 0)


def test_refusals():
    mask = np.ones((2, 3), np.bool_)
    with pytest.raises(ShapeError):
        count_agreement(mask, mask[:, :2], mask)
    with pytest.raises(DataError, match="first mask is int64"):
        count_agreement(mask.astype(np.int64), mask, mask)
    with pytest.raises(DataError, match="counts"):
        count_agreement(mask, mask, mask, counts=~mask)
