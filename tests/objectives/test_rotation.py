"""Rotations to equal variances: Hadamard matrices where there are some, and one for every other width."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdistill.objectives.rotation import hadamard, levelling_rotation, schur_horn_rotation

seeds = st.integers(0, 2**32 - 1)
TEACHERS = (384, 768, 1024, 1280)


def variances(seed, width, empty=0):
    """Some large, many small, some zero: as eigenvalues of features are."""
    drawn = np.random.default_rng(seed).gamma(0.2, size=width) * 100
    drawn[:empty] = 0
    return drawn


def assert_levels(rotation, values):
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(len(values)), atol=1e-12)
    diagonal = (rotation**2) @ values
    np.testing.assert_allclose(diagonal, values.mean(), rtol=0, atol=1e-12 * max(values.sum(), 1))


@pytest.mark.parametrize("order", [1, 2, 4, 8, 12, 20, 28, 36, 44, 48, 60, 72, 192, *TEACHERS])
def test_rows_of_a_hadamard_matrix_are_orthogonal(order):
    # 36 and 72 need Paley's second construction (17), 12, 20, 28, 44, 60 his first; the others are products.
    matrix = hadamard(order)
    assert matrix is not None
    assert set(np.unique(matrix)) <= {-1, 1}
    exact = matrix.astype(np.float64)  # sums of ones: exact, and faster than integers
    assert np.array_equal(exact @ exact.T, order * np.eye(order))


@pytest.mark.parametrize("order", [3, 6, 10, 52 - 1, 92, 100 - 2, 0])
def test_where_there_is_none_it_says_so(order):
    # 92 has one, found by computer in 1962; no construction here gives it.
    assert hadamard(order) is None


@given(seed=seeds, width=st.integers(1, 64), empty=st.integers(0, 64))
def test_every_width_is_levelled(seed, width, empty):
    values = variances(seed, width, empty)
    assert_levels(levelling_rotation(values), values)
    assert_levels(schur_horn_rotation(values), values)


@pytest.mark.parametrize("width", [*TEACHERS, 769])
def test_the_widths_of_teachers_are_levelled(width):
    values = variances(width, width)
    assert_levels(levelling_rotation(values), values)
    assert_levels(schur_horn_rotation(values), values)


def test_hadamard_mixes_all_alike_and_a_plane_rotation_does_not():
    values = variances(0, 12)
    assert np.allclose(np.abs(levelling_rotation(values)), 1 / np.sqrt(12))
    assert not np.allclose(np.abs(schur_horn_rotation(values)), 1 / np.sqrt(12))


def test_schur_and_horn_by_hand():
    # 9 and 1 have the mean 5: half of each, a rotation by 45 degrees.
    rotation = schur_horn_rotation(np.array([9.0, 1.0]))
    assert np.abs(rotation) == pytest.approx(np.full((2, 2), np.sqrt(0.5)))


def test_equal_variances_stay_as_they_are():
    assert np.array_equal(schur_horn_rotation(np.full(7, 3.0)), np.eye(7))
