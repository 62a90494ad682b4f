"""Calibration: by hand, tiles add up, what does not count, the refusals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from segdistill.errors import ConfigError, DataError, ShapeError
from segdistill.evaluation import calibration, count_reliability, expected_calibration_error, reliability_table

shapes = st.shared(st.tuples(st.integers(1, 6), st.integers(1, 9)), key="shape")
maps = arrays.arrays(np.float32, shapes, elements=st.floats(0, 1, width=32))
masks = arrays.arrays(np.bool_, shapes)


def test_by_hand():
    # Four bins. 0.1 and 0.2 in the first, none positive; 0.25 is in the second, positive; 1 in the last, positive.
    found = count_reliability(np.array([[0.1, 0.2, 0.25, 1.0]]), np.array([[False, False, True, True]]), bins=4)
    table = reliability_table(found)
    assert [(each.low, each.high, each.pixels) for each in table] == [
        (0, 0.25, 2),
        (0.25, 0.5, 1),
        (0.5, 0.75, 0),
        (0.75, 1, 1),
    ]
    assert [each.foreground for each in table] == [0, 1, None, 1]
    assert [each.probability for each in table] == [pytest.approx(0.15), 0.25, None, 1]
    # (2 * 0.15 + 1 * 0.75 + 0) / 4 pixels.
    assert expected_calibration_error(found) == pytest.approx((2 * 0.15 + 0.75) / 4)


def test_sure_and_right_is_perfect_and_sure_and_wrong_is_worst():
    label = np.array([[True, False, True]])
    assert expected_calibration_error(count_reliability(label.astype(np.float32), label)) == 0
    assert expected_calibration_error(count_reliability((~label).astype(np.float32), label)) == 1


@settings(max_examples=30, deadline=None)
@given(probability=maps, label=masks, counts=masks, row=st.integers(0, 6), block=st.integers(1, 20))
def test_tiles_add_up(probability, label, counts, row, block):
    parts = [slice(None, row), slice(row, None)]
    seen = [part for part in parts if counts[part].any()]
    if seen:
        whole = count_reliability(probability, label, counts=counts)
        found = [count_reliability(probability[part], label[part], counts=counts[part]) for part in seen]
        added = found[0] if len(found) == 1 else found[0] + found[1]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(calibration, "_BLOCK", block)
            blocks = count_reliability(probability, label, counts=counts)
        for each in (added, blocks):
            np.testing.assert_array_equal(each.pixels, whole.pixels)
            np.testing.assert_array_equal(each.positives, whole.positives)
            np.testing.assert_allclose(each.probability, whole.probability)
        assert whole.pixels.sum() == counts.sum()


@settings(max_examples=30, deadline=None)
@given(probability=maps, label=masks, counts=masks, other=maps)
def test_what_does_not_count_cannot_matter(probability, label, counts, other):
    if counts.any():
        changed = count_reliability(np.where(counts, probability, other), label ^ ~counts, counts=counts)
        same = count_reliability(probability, label, counts=counts)
        assert expected_calibration_error(changed) == expected_calibration_error(same)


@settings(max_examples=30, deadline=None)
@given(probability=maps, label=masks)
def test_the_error_is_a_share_and_one_bin_compares_means(probability, label):
    assert 0 <= expected_calibration_error(count_reliability(probability, label)) <= 1
    single = expected_calibration_error(count_reliability(probability, label, bins=1))
    assert single == pytest.approx(abs(probability.astype(np.float64).mean() - label.mean()), abs=1e-12)


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.01, 1.5])
def test_what_is_no_probability_is_refused(value):
    with pytest.raises(DataError, match="sigmoid"):
        count_reliability(np.array([[0.5, value]]), np.array([[True, False]]))


def test_refusals():
    one, half = np.ones((4, 6), bool), np.full((4, 6), 0.5)
    with pytest.raises(DataError, match="bool"):
        count_reliability(one, one)
    with pytest.raises(DataError, match="label"):
        count_reliability(half, half)
    with pytest.raises(ShapeError, match=r"\(4, 6\)"):
        count_reliability(half, one.T)
    with pytest.raises(ConfigError, match="bins is 0"):
        count_reliability(half, one, bins=0)
    with pytest.raises(ShapeError, match="3 and of 4 bins"):
        count_reliability(half, one, bins=3) + count_reliability(half, one, bins=4)
