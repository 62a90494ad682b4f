import math
import re
from dataclasses import replace

import pytest

from segdistill.errors import UnknownName
from segdistill.report import Ladder, Rung, Spread
from segdistill.report.axis import Axis
from segdistill.report.fields import MOST, view_fields
from segdistill.report.ladder import shared_axis, view_ladder


def three_rungs(**changes):
    rungs = (
        Rung(name="none", role="baseline", score=Spread(mean=0.6, sd=0.1), per_seed={0: 0.5, 1: 0.7}, labels_used=1),
        Rung(name="small", role="student", score=Spread(mean=0.7), per_seed={0: 0.7}),
        Rung(name="big", role="teacher", score=Spread(mean=0.8)),
    )
    parts = {"title": "t", "rungs": rungs, "baseline": "none", "student": "small", "teacher": "big"}
    return Ladder(**(parts | {"recovery": 0.875, "gap_closed": 0.5} | changes))


def places(plot, class_):
    return re.findall(rf'<line [^>]*class="{class_}"[^>]*>', plot)


def test_marks_and_bars_stand_where_the_scores_are():
    # On a scale from 0.5 to 0.9: baseline 0.6 at 25 %, student 0.7 at 50 %, teacher 0.8 at 75 %.
    view = view_ladder(three_rungs(), Axis(0.5, 0.9), name="ladder")
    assert re.findall(r'<svg x="([\d.]+)%" y="50%"[^>]*><g><title>', view.plot) == ["25.00", "50.00", "75.00"]
    assert 'x1="0.00%" x2="50.00%"' in places(view.plot, "deviation baseline")[0]
    gap, recovery = places(view.plot, "bar reached")
    assert 'x1="25.00%" x2="50.00%"' in gap
    assert 'x1="0.00%" x2="50.00%"' in recovery  # from zero, which lies left of the scale
    assert [row.value for row in view.rows] == ["60.0 ± 10.0", "70.0", "80.0", "50 %", "88 %"]
    assert view.rows[0].detail == "1 label · 2 seeds"


def test_the_bar_of_recovery_is_broken_only_where_the_scale_does_not_show_zero():
    ladder = three_rungs()
    assert 'class="break"' in view_ladder(ladder, Axis(0.5, 0.9), name="a").plot
    whole = view_ladder(ladder, Axis(0.0, 1.0), name="a").plot
    assert 'class="break"' not in whole
    assert 'x1="0.00%" x2="70.00%"' in places(whole, "bar reached")[1]


def test_a_student_below_its_baseline_is_drawn_backwards_and_marked():
    worse = replace(three_rungs().rungs[1], score=Spread(mean=0.55))
    ladder = three_rungs(rungs=(three_rungs().rungs[0], worse, three_rungs().rungs[2]), gap_closed=-0.25)
    view = view_ladder(ladder, Axis(0.5, 0.9), name="ladder")
    assert 'x1="25.00%" x2="12.50%"' in places(view.plot, "bar worse")[0]
    assert view.rows[3].value == "−25 %"


@pytest.mark.parametrize(
    ("changes", "measures"),
    [
        ({}, ["Gap closed", "Recovery"]),
        ({"gap_closed": None}, ["Recovery"]),
        ({"baseline": None}, ["Recovery"]),
        ({"teacher": None}, []),
        ({"student": None}, []),
    ],
)
def test_only_what_has_a_meaning_is_measured(changes, measures):
    view = view_ladder(three_rungs(**changes), Axis(0.5, 0.9), name="ladder")
    assert [row.name for row in view.rows if row.role is None] == measures


def test_what_is_not_finite_is_said_and_not_drawn():
    rungs = (Rung(name="bad", role="student", score=Spread(mean=math.nan), per_seed={0: math.nan}),)
    ladder = Ladder(title="t", rungs=rungs, student="bad")
    view = view_ladder(ladder, shared_axis([ladder]), name="ladder")
    assert view.rows[0].value == "not finite"
    assert "<circle" not in view.plot
    assert "nan" not in view.plot.replace("bad", "")


def test_a_rung_that_is_not_there_is_named():
    with pytest.raises(UnknownName, match=r"There is no rung called 'smal'\. Did you mean 'small'"):
        three_rungs(student="smal")


def with_fields(scores):
    # Field to (baseline, student).
    rungs = [
        Rung(name=role, role=role, score=Spread(mean=0.5), per_field={k: Spread(mean=v[n]) for k, v in scores.items()})
        for n, role in enumerate(("baseline", "student"))
    ]
    return Ladder(title="t", rungs=tuple(rungs), baseline="baseline", student="student")


def test_fields_are_ordered_by_gain():
    view = view_fields(with_fields({"a": (0.5, 0.5), "b": (0.5, 0.7), "c": (0.6, 0.5)}))
    assert [row.name for row in view.rows] == ["b", "a", "c"]
    assert [row.value for row in view.rows] == ["50.0 → 70.0", "50.0 → 50.0", "60.0 → 50.0"]
    assert len(places(view.plot, "step worse")) == 1


def test_of_many_fields_the_first_and_last_are_shown_and_the_rest_is_counted():
    count = MOST + 7
    view = view_fields(with_fields({f"f{n:03d}": (0.5, 0.9 - 0.01 * n) for n in range(count)}))
    assert (len(view.rows), view.left_out) == (MOST, 7)
    assert (view.rows[0].name, view.rows[-1].name) == ("f000", f"f{count - 1:03d}")


def test_a_ladder_without_fields_has_no_view_of_them():
    assert view_fields(three_rungs()) is None
