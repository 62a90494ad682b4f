import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdistill.report.axis import Axis, axis_over, scores_axis

fractions = st.floats(0, 1)


def test_place_by_hand():
    # 0.7 lies (0.7 - 0.6) / (1.0 - 0.6) = one quarter of the way.
    assert Axis(0.6, 1.0).place(0.7) == pytest.approx(25)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0.0, 1.0, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)), (0.0, 600.0, (0, 100, 200, 300, 400, 500, 600)), (-3.0, 0.0, None)],
)
def test_ticks_by_hand(low, high, ticks):
    # -3..0 in at most 6 steps: steps of 0.5.
    assert Axis(low, high).ticks() == (ticks or (-3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0))


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8))
def test_an_axis_holds_its_values_and_has_ticks_inside(values):
    axis = axis_over(values, narrowest=0.04)
    places = [axis.place(value) for value in values]
    assert all(0 <= place <= 100 for place in places)
    assert 1 <= len(axis.ticks()) <= 8
    assert all(-1e-6 <= axis.place(tick) <= 100 + 1e-6 for tick in axis.ticks())


@given(values=st.lists(fractions, max_size=8))
def test_scores_stay_between_zero_and_one_and_small_differences_stay_small(values):
    axis = scores_axis(values)
    assert axis.low >= 0
    assert axis.high <= 1
    assert axis.high - axis.low >= 0.02  # four points, cut in half where they end at 0 or 1


def test_what_is_not_finite_does_not_stretch_the_axis():
    assert axis_over([0.5, math.nan, math.inf, 0.7], narrowest=0.01, room=0.0) == Axis(0.5, 0.7)


def test_scores_beyond_one_are_still_inside():
    # Someone hands in percentages: wrong, but the page must not turn its scale around.
    assert scores_axis([78.0, 83.0]).high >= 83.0
    assert scores_axis([78.0, 83.0]).low < scores_axis([78.0, 83.0]).high
