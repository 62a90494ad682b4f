"""Mean and covariance in one pass: any split gives the same, and a large mean costs nothing."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdistill.errors import DataError, ShapeError
from segdistill.objectives import gather_moments, load_moments, merge_moments, moments_of, save_moments
from segdistill.objectives.moments import no_moments

seeds = st.integers(0, 2**32 - 1)


def assert_same(one, other):
    assert one.count == other.count
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(one.scatter, other.scatter, rtol=1e-10, atol=1e-9)


def test_by_hand():
    # Means 2 and 5; deviations (-1, 3) and (1, -3): variances 1 and 9, covariance -3.
    found = moments_of(np.array([[1, 8], [3, 2]]))
    assert found.mean.tolist() == [2, 5]
    assert found.covariance.tolist() == [[1, -3], [-3, 9]]


@given(seed=seeds, cuts=st.lists(st.integers(0, 40), max_size=4), width=st.integers(1, 6))
def test_any_split_gives_the_same(seed, cuts, width):
    tokens = np.random.default_rng(seed).normal(3, 2, size=(40, width))
    parts = np.split(tokens, sorted(cuts))  # some may be empty
    assert_same(gather_moments(parts, width=width), moments_of(tokens))
    one, other = moments_of(tokens[:13]), moments_of(tokens[13:])
    assert_same(merge_moments(one, other), merge_moments(other, one))
    np.testing.assert_allclose(moments_of(tokens).covariance, np.cov(tokens.T, ddof=0).reshape(width, width))


@given(seed=seeds)
def test_the_grid_does_not_matter(seed):
    tokens = np.random.default_rng(seed).normal(size=(3, 5, 4))
    assert_same(moments_of(tokens), moments_of(tokens.reshape(15, 4)))


def test_more_tokens_than_are_widened_at_once():
    tokens = np.random.default_rng(0).normal(size=(9000, 2))
    np.testing.assert_allclose(moments_of(tokens).covariance, np.cov(tokens.T, ddof=0))


def test_a_large_mean_costs_no_digits():
    # Mean 1e6, deviation 1e-2: sums of squares would keep nothing of it, not even its sign.
    tokens = 1e6 + 1e-2 * np.random.default_rng(0).normal(size=(20, 50, 3))
    exact = np.cov(1e2 * (tokens.reshape(-1, 3) - 1e6).T, ddof=0) / 1e4
    np.testing.assert_allclose(gather_moments(tokens, width=3).covariance, exact, rtol=1e-6)
    naive = (tokens**2).mean((0, 1)) - tokens.mean((0, 1)) ** 2
    assert not np.allclose(naive, np.diag(exact), rtol=0.1)


def test_half_precision_is_summed_in_double():
    tokens = np.full((5000, 2), 1.1, np.float16)  # a sum in float16 ends at 65,504
    assert moments_of(tokens).mean == pytest.approx(float(np.float16(1.1)))


def test_memory_does_not_grow_with_the_tokens():
    def peak(grids):
        draw = np.random.default_rng(0)
        tracemalloc.start()
        gather_moments((draw.random((8, 9, 16), dtype=np.float32) for _ in range(grids)), width=16)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2)  # what is only allocated once
    assert peak(200) < 1.5 * peak(10)


def test_nothing_changes_nothing():
    found = moments_of(np.random.default_rng(0).normal(size=(7, 3)))
    assert_same(merge_moments(no_moments(3), found), found)
    assert_same(merge_moments(found, no_moments(3)), found)
    assert gather_moments([], width=3).count == 0
    assert not no_moments(3).covariance.any()


def test_widths_must_agree():
    with pytest.raises(ShapeError, match="width 3 and of width 2"):
        gather_moments([np.zeros((1, 2))], width=3)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(value):
    tokens = np.zeros((2, 3, 4))
    tokens[1, 2, 3] = value
    with pytest.raises(DataError, match=r"not finite in 1 of 4 channels, such as 3"):
        moments_of(tokens)


def test_moments_are_kept_to_the_bit(tmp_path):
    found = moments_of(np.random.default_rng(0).normal(size=(9, 3)))
    save_moments(tmp_path / "a" / "moments.safetensors", found)
    again = load_moments(tmp_path / "a" / "moments.safetensors")
    assert again.count == 9
    assert np.array_equal(again.mean, found.mean)
    assert np.array_equal(again.scatter, found.scatter)


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "moments.safetensors"
    with pytest.raises(DataError, match="holds no mean and covariance"):
        load_moments(path)
    path.write_bytes(b"12345678 not safetensors")
    with pytest.raises(DataError, match="holds no mean and covariance"):
        load_moments(path)
