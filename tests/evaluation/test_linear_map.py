"""The best linear map: exact where there is one, cautious where there is none, in parts as in one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdistill.errors import DataError
from segdistill.evaluation.linear_map import fit_linear_map


def test_a_line_by_hand():
    # y = 2 x + 1 at three places, without noise: the penalty vanishes.
    given_, wanted = np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [3.0], [5.0]])
    found = fit_linear_map([(given_, wanted)])
    assert found(np.array([[10.0]]))[0, 0] == pytest.approx(21, rel=1e-4)
    assert (found.given[0], found.wanted[0]) == (1, 3)


@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(1, 39))
def test_parts_give_the_map_of_the_whole(seed, cut):
    draw = np.random.default_rng(seed)
    one, other = draw.normal(size=(40, 3)) + 100, draw.normal(size=(40, 2)) - 7
    whole = fit_linear_map([(one.reshape(5, 8, 3), other.reshape(5, 8, 2))])
    parts = fit_linear_map([(one[:cut], other[:cut]), (one[cut:], other[cut:])])
    np.testing.assert_allclose(parts(one), whole(one), rtol=1e-6, atol=1e-6)


def test_of_many_features_and_few_tokens_noise_is_not_believed():
    # Sixty random features of fifty tokens fit any noise exactly; what is said of new ones must stay near the mean.
    draw = np.random.default_rng(0)
    found = fit_linear_map([(draw.normal(size=(50, 60)), draw.normal(size=(50, 1)))])
    new = draw.normal(size=(200, 60))
    assert np.square(found(new) - found.wanted).mean() < 0.5  # without a penalty: above 1
    signal = draw.normal(size=(500, 60))
    kept = fit_linear_map([(signal, signal[:, :1] * 3)])
    np.testing.assert_allclose(kept(new)[:, 0], 3 * new[:, 0], atol=0.05)


def test_features_that_do_not_vary_do_no_harm():
    draw = np.random.default_rng(1)
    one = np.concatenate([draw.normal(size=(30, 1)), np.full((30, 2), 4.0)], axis=1)
    found = fit_linear_map([(one, 2 * one[:, :1])])
    assert found(np.array([[1.0, 4.0, 4.0]]))[0, 0] == pytest.approx(2, abs=1e-2)
    still = fit_linear_map([(np.zeros((4, 2)), np.full((4, 1), 5.0))])
    assert still(np.ones((1, 2))).tolist() == [[5.0]]


@pytest.mark.parametrize("pairs", [[], [(np.zeros((1, 2)), np.zeros((1, 2)))]])
def test_one_token_is_not_enough(pairs):
    with pytest.raises(DataError, match="two tokens or more"):
        fit_linear_map(pairs)
