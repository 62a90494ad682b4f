"""What could have been seen: by hand, as laws, and by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segdistill.errors import ConfigError
from segdistill.evaluation import ScoreTable, compare, detectable_difference

differences = arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(2, 8)), elements=st.floats(-1, 1))


def test_by_hand():
    # Fields' means 0.05, 0.15, 0.25: sd 0.1, 0.1 / √3 · (4.3027 + 1.0607) = 0.3097. Seeds' means 0.1, 0.2:
    # sd 0.0707, 0.0707 / √2 · (1.9600 + 0.8416) = 0.1401. Together √(0.3097² + 0.1401²) = 0.3399.
    values = np.array([[0.0, 0.1, 0.2], [0.1, 0.2, 0.3]])
    assert detectable_difference(values) == pytest.approx(0.3399, abs=1e-4)


def test_of_many_fields_it_is_the_textbooks_two_point_eight():
    # Bloom 1995: 2.80 standard errors; sd 1 and 10,000 fields make 0.028.
    values = np.random.default_rng(0).normal(size=(1, 10_000))
    assert detectable_difference(values) == pytest.approx(0.0280, rel=0.02)


@settings(max_examples=40)
@given(differences, st.integers(2, 4))
def test_more_fields_and_more_seeds_of_the_same_spread_show_smaller_differences(differences, times):
    found = detectable_difference(differences)
    assert detectable_difference(np.tile(differences, (1, times))) <= found + 1e-12
    if len(differences) > 1:
        assert detectable_difference(np.tile(differences, (times, 1))) <= found + 1e-12


@settings(max_examples=40)
@given(differences, st.floats(-1, 1))
def test_it_does_not_depend_on_the_difference_itself(differences, shift):
    assert detectable_difference(differences + shift) == pytest.approx(detectable_difference(differences), abs=1e-9)
    assert detectable_difference(-differences) == pytest.approx(detectable_difference(differences), abs=1e-9)


def test_seeds_count_even_where_fields_are_many():
    draw = np.random.default_rng(0)
    alike = 0.01 * draw.normal(size=(1, 200)) + np.zeros((3, 1))
    moved = alike + np.array([[-0.02], [0.0], [0.02]])
    # Seeds' means −0.02, 0, 0.02: sd 0.02, 0.02 / √3 · (1.9600 + 0.8416) = 0.0324, whatever the fields.
    assert detectable_difference(moved) == pytest.approx(0.0324, rel=0.01)
    assert detectable_difference(moved) > 5 * detectable_difference(alike)


def test_one_field_cannot_say():
    assert detectable_difference(np.zeros((5, 1))) is None


def test_such_a_difference_is_mostly_found_and_half_of_it_mostly_is_not():
    # Fields 0.02, seeds 0.005, single pairs 0.01; 5 seeds, 12 fields.
    draw = np.random.default_rng(0)

    def study(truth):
        values = 0.02 * draw.normal(size=12) + 0.005 * draw.normal(size=(5, 1)) + 0.01 * draw.normal(size=(5, 12))
        fields = tuple(f"{field:02d}" for field in range(12))
        return compare(*(ScoreTable((0, 1, 2, 3, 4), fields, each) for each in (truth + values, 0 * values)))

    truth = float(np.median([study(0.0).detectable for _ in range(60)]))
    assert 0.64 <= np.mean([study(truth).is_claimed() for _ in range(60)]) <= 0.95  # 80 %, ± 3 · 5.2 %
    assert np.mean([study(truth / 2).is_claimed() for _ in range(60)]) <= 0.5


@pytest.mark.parametrize("wrong", [{"power": 0.5}, {"power": 1.0}, {"level": 1.0}])
def test_refusals(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        detectable_difference(np.zeros((1, 3)), **wrong)
