import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdistill.errors import ConfigError
from segdistill.evaluation import holm

p_values = st.lists(st.floats(0, 1), max_size=8)


def test_by_hand():
    # Rising: 0.01 · 4 = 0.04; 0.02 · 3 = 0.06; 0.022 · 2 = 0.044, not below 0.06; 0.5 · 1 = 0.5.
    assert holm([0.5, 0.01, 0.022, 0.02]) == pytest.approx((0.5, 0.04, 0.06, 0.06))


def test_one_test_needs_no_correction_and_none_gives_none():
    assert holm([0.04]) == (0.04,)
    assert holm([]) == ()


@given(p_values)
def test_it_never_lowers_a_p_value_and_keeps_their_order(p_values):
    corrected = holm(p_values)
    assert all(p <= after <= 1 for p, after in zip(p_values, corrected, strict=True))
    in_order = [after for _, after in sorted(zip(p_values, corrected, strict=True))]
    assert in_order == sorted(in_order)


@given(p_values, st.floats(0, 1))
def test_one_more_test_never_helps_the_others(p_values, more):
    assert all(larger >= before for before, larger in zip(holm(p_values), holm([*p_values, more]), strict=False))


@given(p_values.filter(len))
def test_it_is_between_nothing_and_bonferroni(p_values):
    corrected = holm(p_values)
    assert min(corrected) == pytest.approx(min(1.0, min(p_values) * len(p_values)))
    assert all(after <= min(1.0, p * len(p_values)) + 1e-15 for p, after in zip(p_values, corrected, strict=True))


def test_what_is_no_p_value_is_refused():
    with pytest.raises(ConfigError, match=r"1\.5"):
        holm([0.5, 1.5])
