import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from segdistill.errors import ConfigError
from segdistill.evaluation import effect_size

by_unit = arrays(np.float64, st.integers(3, 12), elements=st.floats(-1, 1).map(lambda value: round(value, 3)))


def test_by_hand():
    # Mean 2, deviations −1, 0, 1: sd 1.
    assert effect_size(np.array([1.0, 2.0, 3.0])).value == pytest.approx(2.0)


def test_the_ends_of_the_interval_are_where_t_would_be_in_a_tail():
    by_unit = np.random.default_rng(0).normal(0.4, 1, 9)
    found = effect_size(by_unit, level=0.9)
    t = stats.ttest_1samp(by_unit, 0).statistic
    assert found.value == pytest.approx(t / 3)
    tails = [stats.nct.cdf(t, 8, 3 * end) for end in (found.interval.low, found.interval.high)]
    assert tails == pytest.approx([0.95, 0.05], abs=1e-3)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    # d_z is 0.5; of 200 studies 95 % are 190, ± 4 · sqrt(200 · 0.95 · 0.05) = ± 12.
    draw = np.random.default_rng(0)
    intervals = [effect_size(draw.normal(0.5, 1, 7)).interval for _ in range(200)]
    assert sum(each.low <= 0.5 <= each.high for each in intervals) == pytest.approx(190, abs=12)


@settings(max_examples=40)
@given(by_unit, st.sampled_from([0.25, 8.0]))
def test_swapped_arms_flip_it_and_the_unit_of_measure_does_not_matter(by_unit, factor):
    found, swapped = effect_size(by_unit), effect_size(-factor * by_unit)
    if found is None:
        assert swapped is None
        return
    assert swapped.value == pytest.approx(-found.value)
    assert (swapped.interval.low, swapped.interval.high) == pytest.approx(
        (-found.interval.high, -found.interval.low), abs=1e-6
    )
    assert found.interval.low <= found.value <= found.interval.high


def test_a_huge_effect_still_has_an_interval():
    found = effect_size(1 + 1e-5 * np.random.default_rng(0).normal(size=8))
    assert 1e4 < found.interval.low < found.value < found.interval.high < 1e6


def test_nothing_to_measure_by():
    assert effect_size(np.array([0.3])) is None
    assert effect_size(np.full(6, 0.1) * 3) is None
    assert effect_size(np.zeros(6)) is None


def test_a_level_in_percent_is_refused():
    with pytest.raises(ConfigError, match="level"):
        effect_size(np.array([0.1, 0.2]), level=95.0)
