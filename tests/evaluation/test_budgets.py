"""Reading labels off the curve of budgets, and never beyond it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdistill.errors import ConfigError, DataError
from segdistill.evaluation import ScoreTable, equal_labels
from segdistill.evaluation.budgets import crossing

BUDGETS = np.array([2.0, 8.0, 32.0])
curves = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(np.array)


def table(values) -> ScoreTable:
    values = np.array(values, dtype=np.float64, ndmin=2)
    return ScoreTable(tuple(range(len(values))), tuple(f"field{n}" for n in range(values.shape[1])), values)


def noisy(score, *, seed, seeds=4, fields=10, spread=0.01) -> ScoreTable:
    return table(score + spread * np.random.default_rng(seed).normal(size=(seeds, fields)))


@pytest.mark.parametrize(
    ("scores", "score", "labels"),
    [
        ([0.5, 0.6, 0.7], 0.5, 2.0),  # at the points, the points
        ([0.5, 0.6, 0.7], 0.6, 8.0),
        ([0.5, 0.6, 0.7], 0.7, 32.0),
        ([0.5, 0.6, 0.7], 0.65, 16.0),  # half way from 8 to 32 over the logarithm: √(8 · 32)
        ([0.5, 0.75, 0.625], 0.6875, 8.0),  # the dip is levelled: 0.5, 0.6875, 0.6875, and the first to reach it counts
        ([0.5, 0.7, 0.7], 0.7, 8.0),  # a plateau: the fewest labels that do
        ([0.5, 0.6, 0.7], 0.49, 0.0),
        ([0.5, 0.6, 0.7], 0.71, math.inf),
        ([0.6, 0.6, 0.6], 0.6, 2.0),
    ],
)
def test_by_hand(scores, score, labels):
    assert crossing(BUDGETS, np.array(scores), score) == pytest.approx(labels)


@given(curves, st.floats(0, 1), st.floats(0, 1))
def test_a_better_score_takes_no_fewer_labels_and_none_lies_beyond_the_curve(curve, one, other):
    low, high = (crossing(BUDGETS, curve, score) for score in sorted((one, other)))
    assert low <= high
    assert all(labels in (0.0, math.inf) or 2 <= labels <= 32.0001 for labels in (low, high))


def test_the_interval_holds_the_number_and_is_drawn_over_seeds_and_fields_together():
    curve = {4: noisy(0.6, seed=0), 16: noisy(0.7, seed=1), 64: noisy(0.8, seed=2)}
    found = equal_labels(noisy(0.75, seed=3), curve)
    assert found.budgets == (4, 16, 64)
    assert found.labels == pytest.approx(32, rel=0.15)
    assert 16 < found.interval.low < found.labels < found.interval.high < 64
    assert equal_labels(noisy(0.75, seed=3), curve) == found
    # What all arms share, fields being easy or hard, cancels.
    shared = 0.3 * np.random.default_rng(9).normal(size=10)
    moved = {budget: table(each.values + shared) for budget, each in curve.items()}
    easy = equal_labels(table(noisy(0.75, seed=3).values + shared), moved)
    assert (easy.interval.low, easy.interval.high) == pytest.approx((found.interval.low, found.interval.high))


def test_the_interval_covers():
    # True curve 0.6, 0.7; truth √(4 · 16) = 8. Of 100 studies 95 hold it, in the long run; single pairs are noisy
    # alone, which the bootstrap counts with caution.
    held = 0
    for study in range(100):
        curve = {4: noisy(0.6, seed=3 * study, fields=6), 16: noisy(0.7, seed=3 * study + 1, fields=6)}
        found = equal_labels(noisy(0.65, seed=3 * study + 2, fields=6), curve, resamples=100)
        held += found.interval.low <= 8 <= found.interval.high
    assert held >= 90


def test_ends_beyond_the_curve_are_open_not_guessed():
    curve = {4: noisy(0.6, seed=0), 16: noisy(0.7, seed=1)}
    above, below = equal_labels(noisy(0.9, seed=2), curve), equal_labels(noisy(0.4, seed=2), curve)
    assert (above.labels, above.interval.low, above.interval.high) == (math.inf, math.inf, math.inf)
    assert (below.labels, below.interval.low, below.interval.high) == (0, 0, 0)
    near = equal_labels(noisy(0.7, seed=2, spread=0.03), curve)
    assert near.interval.high == math.inf
    assert 4 < near.interval.low <= 16


def test_where_less_is_better_the_curve_falls():
    curve = {4: table([[8.0, 9.0]]), 16: table([[6.0, 7.0]])}
    assert equal_labels(table([[7.0, 8.0]]), curve, higher_is_better=False).labels == pytest.approx(8)
    assert equal_labels(table([[9.0, 9.0]]), curve, higher_is_better=False).labels == 0


def test_one_field_has_no_interval():
    assert equal_labels(table([[0.65]]), {4: table([[0.6]]), 16: table([[0.7]])}).interval is None


def test_refusals():
    one = table([[0.5, 0.6]])
    with pytest.raises(ConfigError, match="two numbers of labels"):
        equal_labels(one, {4: one})
    with pytest.raises(ConfigError, match="1 or more"):
        equal_labels(one, {0: one, 4: one})
    with pytest.raises(DataError, match="same fields"):
        equal_labels(one, {2: one, 4: table([[0.5]])})
