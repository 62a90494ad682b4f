"""The Fréchet distance: by hand, and its laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdistill.errors import DataError
from segdistill.evaluation.frechet import frechet_distance, leading_axes


def test_by_hand():
    # One feature: means 1 and 4, deviations 1 and 2 (of two rows: ±1/√2 · √2). (4 − 1)² + (2 − 1)² = 10.
    one = np.array([[1 - np.sqrt(0.5)], [1 + np.sqrt(0.5)]])
    other = np.array([[4 - np.sqrt(2)], [4 + np.sqrt(2)]])
    assert frechet_distance(one, other) == pytest.approx(10)


def test_correlated_features_by_hand():
    # Covariances 4/3·I and diag(16/3, 4/3), no shift: (√(16/3) − √(4/3))² + 0 = 4/3.
    corners = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert frechet_distance(corners, corners * [2, 1]) == pytest.approx(4 / 3)


@given(st.integers(0, 1000), st.integers(2, 9), st.integers(2, 9), st.integers(1, 12))
def test_laws(seed, n, m, d):
    draw = np.random.default_rng(seed)
    first, second = draw.normal(size=(n, d)), draw.normal(size=(m, d))
    distance = frechet_distance(first, second)
    assert distance >= 0
    assert frechet_distance(second, first) == pytest.approx(distance)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9)
    turn = np.linalg.qr(draw.normal(size=(d, d)))[0]
    assert frechet_distance(first @ turn + 5, second @ turn + 5) == pytest.approx(distance)
    assert frechet_distance(3 * first, 3 * second) == pytest.approx(9 * distance)


def test_leading_axes_keep_the_most():
    draw = np.random.default_rng(0)
    features = draw.normal(size=(30, 5)) * [0.1, 3, 0.1, 1, 0.1]
    axes = leading_axes(features, 2)
    assert axes.shape == (5, 2)
    assert np.abs(axes[[1, 3], [0, 1]]).min() > 0.9
    assert leading_axes(features[:3], 16).shape == (5, 3)


def test_what_has_no_distance_is_refused():
    two = np.zeros((2, 3))
    with pytest.raises(DataError, match=r"shapes \(2, 3\) and \(1, 3\)"):
        frechet_distance(two, two[:1])
    with pytest.raises(DataError, match=r"shapes \(2, 3\) and \(2, 2\)"):
        frechet_distance(two, two[:, :2])
    with pytest.raises(DataError, match="not finite"):
        frechet_distance(two, two + np.nan)
