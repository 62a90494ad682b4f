import math
import re

from hypothesis import given
from hypothesis import strategies as st

from segdistill.report import LearningRun
from segdistill.report.curves import MOST_POINTS, view_curves, view_legend
from segdistill.report.series import read_series, thinned


def test_every_term_weight_and_score_has_a_drawing_in_order(run):
    views = view_curves([run("student", "student", 0, steps=50), run("baseline", "baseline", 0, steps=50)])
    assert [f"{view.kind} {view.name}".strip() for view in views] == [
        "Validation score",
        "Whole loss",
        "Loss term segmentation",
        "Loss term boundary",
        "Loss term distillation",
        "Weight s_segmentation",
        "Weight s_boundary",
        "Weight s_distillation",
        "Learning rate",
    ]
    assert [view.plot.count("<polyline") for view in views] == [2, 2, 2, 2, 1, 2, 2, 1, 2]


def test_a_line_lies_where_its_points_are():
    # Steps 0 to 10 over the width; values 1 to 3 with 6 % room at both ends: 2 lies in the middle.
    records = tuple({"step": step, "loss": loss} for step, loss in ((0, 1.0), (5, 2.0), (10, 3.0)))
    (view,) = view_curves([LearningRun(arm="a", role="student", seed=0, records=records)])
    first, middle, last = (
        tuple(map(float, point.split(","))) for point in re.findall(r'points="([^"]*)"', view.plot)[0].split()
    )
    assert middle == (500.0, 500.0)
    assert first[0] == 0
    assert last[0] == 1000
    assert math.isclose(first[1], 1000 - 1000 * 0.06 / 1.12, abs_tol=0.1)


def test_values_that_are_not_finite_are_counted_and_not_drawn():
    records = ({"step": 0, "loss": 1.0}, {"step": 1, "loss": math.nan}, {"step": 2, "loss": None}, {"note": "no step"})
    (view,) = view_curves([LearningRun(arm="a", role="student", seed=0, records=records)])
    assert view.not_finite == 2
    assert "nan" not in view.plot


def test_a_run_without_a_finite_value_still_has_its_drawing():
    (view,) = view_curves([LearningRun(arm="a", role="student", seed=0, records=({"step": 3, "loss": math.inf},))])
    assert view.not_finite == 1
    assert "<polyline" not in view.plot


def test_arms_of_one_role_differ_by_dashes_in_every_drawing(run):
    runs = [run("one", "student", 0, steps=20), run("two", "student", 0, steps=20), run("two", "student", 1, steps=20)]
    views = view_curves(runs)
    assert {tuple(re.findall(r"dash-\d", view.plot)) for view in views} == {("dash-0", "dash-1", "dash-1")}
    assert [(arm, re.findall(r"dash-\d", sample)) for sample, arm in view_legend(runs)] == [
        ("one", ["dash-0"]),
        ("two", ["dash-1"]),
    ]


def test_no_log_gives_no_drawing():
    assert view_curves([]) == ()
    assert read_series([{}, {"step": None, "loss": 1.0}]) == {}


@given(values=st.lists(st.floats(-10, 10), min_size=1, max_size=300), most=st.integers(2, 50))
def test_thinning_keeps_the_extremes_and_the_order(values, most):
    points = [(float(step), value) for step, value in enumerate(values)]
    kept = thinned(points, most)
    assert len(kept) <= max(most, 2)
    assert kept == sorted(kept)
    assert set(kept) <= set(points)
    assert {min(values), max(values)} <= {value for _, value in kept}


def test_a_long_log_stays_small(run):
    records = tuple({"step": step, "loss": math.sin(step)} for step in range(5000))
    (view,) = view_curves([LearningRun(arm="a", role="student", seed=0, records=records)])
    assert len(re.findall(r'points="([^"]*)"', view.plot)[0].split()) <= MOST_POINTS
