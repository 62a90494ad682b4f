"""The paired permutation test: by hand, against scipy, and that it is as eager as it says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from segdistill.errors import ConfigError, DataError
from segdistill.evaluation import sign_flip_test
from segdistill.evaluation.sign_flips import MOST_EXACT

by_unit = arrays(np.float64, st.integers(2, 9), elements=st.floats(-1, 1).map(lambda value: round(value, 3)))


def test_by_hand():
    # The sums are 3+1+1 = 5, 3+1−1 = 3 (what was observed), 3−1+1 = 3, 3−1−1 = 1, and their negatives. As far
    # from zero as 3 are six of eight.
    found = sign_flip_test(np.array([3.0, 1.0, -1.0]))
    assert (found.p, found.smallest, found.units, found.exact) == (0.75, 0.25, 3, True)


@pytest.mark.parametrize(("units", "smallest"), [(2, 0.5), (5, 0.0625), (6, 0.03125)])
def test_with_fewer_than_six_fields_nothing_reaches_five_percent(units, smallest):
    found = sign_flip_test(np.arange(1, units + 1) / 10)
    assert found.p == found.smallest == smallest


def test_one_unit_is_not_tested():
    assert sign_flip_test(np.array([0.3])) is None


def test_units_without_a_difference_have_no_say():
    # Four units of which one differs: its sign alone can flip, so every pattern is as far.
    found = sign_flip_test(np.array([0.0, 0.0, 0.5, 0.0]))
    assert (found.p, found.smallest, found.units) == (1.0, 1.0, 4)
    assert sign_flip_test(np.zeros(5)).p == 1.0


def test_rounding_does_not_decide_a_tie():
    # 0.1 + 0.2 − 0.3 is not 0 in floating point, but it is a tie with −0.1 − 0.2 + 0.3 and is below no other.
    assert sign_flip_test(np.array([0.1, 0.2, -0.3])).p == 1.0


@given(by_unit)
def test_it_agrees_with_scipy(by_unit):
    found = sign_flip_test(by_unit)
    theirs = stats.permutation_test(
        (by_unit,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=True, axis=-1
    )
    assert found.p == pytest.approx(theirs.pvalue)


@given(by_unit)
def test_swapped_arms_and_another_unit_of_measure_change_nothing(by_unit):
    p = sign_flip_test(by_unit).p
    assert sign_flip_test(-by_unit).p == p
    assert sign_flip_test(by_unit[::-1] * 128.0).p == p


def test_drawn_patterns_come_near_the_counted_ones(monkeypatch):
    by_unit = np.random.default_rng(0).normal(0.5, 1, 12)
    exact = sign_flip_test(by_unit)
    monkeypatch.setattr("segdistill.evaluation.sign_flips.MOST_EXACT", 3)
    monkeypatch.setattr("segdistill.evaluation.sign_flips._AT_ONCE", 10_000)  # in several parts
    drawn = sign_flip_test(by_unit)
    assert (exact.exact, drawn.exact) == (True, False)
    # The standard error of a share of 99,999 is sqrt(p (1 − p) / 99,999) < 0.0016.
    assert drawn.p == pytest.approx(exact.p, abs=0.006)
    assert sign_flip_test(by_unit) == drawn
    assert sign_flip_test(by_unit, seed=1) != drawn


def test_a_drawn_p_is_never_zero():
    found = sign_flip_test(np.full(MOST_EXACT + 10, 0.1), draws=999)
    assert (found.p, found.smallest, found.exact) == (1 / 1000, 1 / 1000, False)


def test_without_a_difference_one_study_in_twenty_reaches_five_percent():
    # Of eight fields p can be 12/256 = 0.047, so 4.7 % of 2,000 studies, ± 4 · 0.5 %. Skewed one way by turns.
    draw = np.random.default_rng(0)
    p_values = [sign_flip_test(draw.choice([-1.0, 1.0], 8) * draw.exponential(size=8)).p for _ in range(2000)]
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.047, abs=0.02)


def test_refusals():
    with pytest.raises(DataError, match="not finite"):
        sign_flip_test(np.array([0.1, np.nan]))
    with pytest.raises(DataError, match="none"):
        sign_flip_test(np.array([]))
    with pytest.raises(ConfigError, match="at least one"):
        sign_flip_test(np.array([0.1, 0.2]), draws=0)
