"""Two arms compared: signs, claims, margins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segdistill.errors import ConfigError, DataError
from segdistill.evaluation import ScoreTable, compare, gain_of, non_inferiority

scores = arrays(np.float64, st.tuples(st.just(2), st.integers(1, 3), st.integers(1, 7)), elements=st.floats(0, 1))


def table(values) -> ScoreTable:
    values = np.array(values, dtype=np.float64, ndmin=2)
    return ScoreTable(tuple(range(len(values))), tuple(f"field{n}" for n in range(values.shape[1])), values)


def test_by_hand():
    # Differences by field, means over two seeds: 0.1, 0.2, 0.3, −0.1, so 0.125 and 3 of 4 better. |Sums| of
    # ±1 ±2 ±3 ±1 that reach 5: 7, 5, 5 and their negatives: 6 of 16.
    found = compare(table([[0.6, 0.6, 0.6, 0.4], [0.6, 0.8, 1.0, 0.4]]), table(np.full((2, 4), 0.5)))
    assert found.gain.mean == pytest.approx(0.125)
    assert (found.gain.better, found.gain.units, found.seeds) == (3, 4, 2)
    assert found.test.p == 6 / 16
    assert found.effect.value == pytest.approx(0.125 / np.std([0.1, 0.2, 0.3, -0.1], ddof=1))
    assert found.detectable is None  # of four fields no difference can be claimed
    assert not found.is_claimed()


@settings(max_examples=40)
@given(scores)
def test_swapped_arms_change_the_sign_and_nothing_else(scores):
    one, other = compare(table(scores[0]), table(scores[1])), compare(table(scores[1]), table(scores[0]))
    assert one.gain.mean == pytest.approx(-other.gain.mean)
    assert one.test == other.test
    assert one.is_claimed() == other.is_claimed()
    if one.gain.interval is not None:
        assert one.gain.interval.low == pytest.approx(-other.gain.interval.high, abs=1e-12)


@settings(max_examples=40)
@given(scores, st.floats(-1, 1).map(lambda value: round(value, 2)))
def test_what_both_arms_share_does_not_matter(scores, shift):
    one, moved = (compare(table(scores[0] + by), table(scores[1] + by)) for by in (0.0, shift))
    assert one.gain.mean == pytest.approx(moved.gain.mean, abs=1e-12)


def test_where_less_is_better_less_is_a_gain():
    near, far = table([[3.0, 4.0, 5.0]]), table([[6.0, 6.0, 4.0]])  # distances
    found = gain_of(near, far, higher_is_better=False)
    assert (found.mean, found.better) == (pytest.approx(4 / 3), 2)
    assert gain_of(near, far).mean == pytest.approx(-4 / 3)


def test_a_claim_needs_the_interval_and_the_test():
    five, six = (compare(table(np.full(n, 0.7)), table(np.linspace(0.5, 0.6, n))) for n in (5, 6))
    assert five.gain.clear
    assert not five.is_claimed()  # p cannot be below 0.0625
    assert six.is_claimed()  # p = 0.03125
    assert five.detectable is None
    assert six.detectable > 0
    assert not six.is_claimed(0.0625)  # two such tests, corrected
    # Seeds that disagree: all fields better in the mean, but other seeds might say otherwise.
    wild = np.array([[0.3], [-0.2], [0.05]]) + np.linspace(0, 0.01, 8)
    found = compare(table(wild), table(np.zeros((3, 8))))
    assert found.test.p == 2 / 256
    assert not found.gain.clear
    assert not found.is_claimed()


def test_one_field_is_no_test():
    found = compare(table([[0.9], [0.8]]), table([[0.5], [0.5]]))
    assert (found.test, found.effect, found.detectable, found.gain.interval) == (None, None, None, None)
    assert not found.is_claimed()


def test_a_frozen_arm_stands_against_every_seed():
    student, teacher = table(np.full((3, 6), 0.7)), table(np.full((1, 6), 0.9))
    assert compare(student, teacher).seeds == compare(teacher, student).seeds == 3
    assert compare(teacher, student).gain.mean == pytest.approx(0.2)


def test_a_loss_within_the_margin_is_shown_only_where_the_data_can():
    reference = table(np.linspace(0.6, 0.9, 8))
    little, much = (table(reference.values - loss + 0.002 * np.cos(np.arange(8))) for loss in (0.01, 0.05))
    assert non_inferiority(little, reference).answer == "shown"
    assert non_inferiority(little, reference, margin=0.01).answer == "unclear"
    assert non_inferiority(much, reference).answer == "worse"
    assert non_inferiority(much, reference, margin=0.06).answer == "shown"
    found = non_inferiority(little, reference)
    assert found.gain == gain_of(little, reference)
    few = [ScoreTable((0,), each.fields[:5], each.values[:, :5]) for each in (little, reference)]
    assert non_inferiority(*few).answer == "unclear"  # five fields show nothing


@settings(max_examples=40)
@given(scores, st.floats(0.01, 0.2))
def test_a_wider_margin_never_makes_an_arm_worse(scores, margin):
    first, second = table(scores[0]), table(scores[1])
    narrow, wide = (non_inferiority(first, second, margin=each).answer for each in (margin, 2 * margin))
    rank = {"worse": 0, "unclear": 1, "shown": 2}
    assert rank[narrow] <= rank[wide]


def test_arms_in_different_units_are_not_compared():
    pixels, micrometres = (ScoreTable((0,), ("a", "b"), np.array([[3.0, 4.0]]), unit=unit) for unit in ("px", "µm"))
    for question in (gain_of, compare, non_inferiority):
        with pytest.raises(DataError, match="px and in µm"):
            question(pixels, micrometres, higher_is_better=False)


def test_refusals():
    one = table([[0.5, 0.6]])
    with pytest.raises(DataError, match=r"not scored on the same fields.*c"):
        compare(one, ScoreTable((0,), ("field0", "c"), np.array([[0.5, 0.6]])))
    with pytest.raises(DataError, match="different seeds"):
        gain_of(table([[0.5], [0.5]]), ScoreTable((0, 2), ("field0",), np.array([[0.5], [0.5]])))
    with pytest.raises(ConfigError, match="margin"):
        non_inferiority(one, one, margin=0.0)
