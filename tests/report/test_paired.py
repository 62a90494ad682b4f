import base64
import csv
import io
import re
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from segdistill.report import GalleryCase, Ladder, Rung, Spread
from segdistill.report.gallery import pictures_of
from segdistill.report.paired import view_paired


def rung(name, role, scores):
    return Rung(
        name=name, role=role, score=Spread(mean=0.5),
        per_field={field: Spread(mean=score, sd=0.01) for field, score in scores.items()},
    )  # fmt: skip


def ladder(*rungs, student="student", baseline="baseline"):
    return Ladder(title="few", rungs=rungs, student=student, baseline=baseline)


def two(baseline, student):
    return ladder(rung("baseline", "baseline", baseline), rung("student", "student", student))


def dots(view):
    """Return each field's class and place, percent from the left and from the bottom."""
    found = re.findall(r'class="(field [^"]+)".*?aria-label="(\w+):.*?>|cx="([\d.]+)%" cy="([\d.]+)%"', str(view.plot))
    parts = [part for part in found if any(part)]
    return {
        name: (class_, float(x), 100 - float(y))
        for (class_, name, _, _), (_, _, x, y) in zip(parts[::2], parts[1::2], strict=True)
    }


def test_by_hand():
    # The scale runs from 0.4 to 0.8 with 6 % of room at both ends: 0.376 to 0.824.
    (view,) = view_paired([two({"a": 0.4, "b": 0.6, "c": 0.5}, {"a": 0.8, "b": 0.5, "c": 0.5})], {"b": "case-2"})
    found = dots(view)
    low, high = 100 * 0.024 / 0.448, 100 * 0.424 / 0.448
    assert list(found) == ["a", "c", "b"]  # from left to right
    assert found["a"] == ("field bare student", pytest.approx(low, abs=0.01), pytest.approx(high, abs=0.01))
    assert found["b"][0] == "field student worse"
    assert found["c"][0] == "field bare student"
    assert (view.fields, view.better, view.worse, view.linked) == (3, 1, 1, 1)
    assert 'href="#case-2"' in view.plot
    assert view.plot.count("<a ") == 1
    assert "b: baseline 60.0 ± 1.0, student 50.0 ± 1.0, −10.0 points: to its pictures" in view.plot
    assert "one dot for each of 3 fields; student is better on 1 of them" in view.plot
    assert view.plot.count('tabindex="0"') == 2  # a link needs none


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=9))
@example([(0.8125, 1.0)])  # whose place is a rounding error beyond the end
def test_dots_lie_above_the_diagonal_where_the_student_is_better(scores):
    fields = {f"f{number}": pair for number, pair in enumerate(scores)}
    (view,) = view_paired(
        [two({name: x for name, (x, _) in fields.items()}, {name: y for name, (_, y) in fields.items()})], {}
    )
    found, (scores_wide, places_wide) = dots(view), ruler(view)
    assert found.keys() == fields.keys()
    for name, (_, x, y) in found.items():
        assert 0 <= x <= 100
        assert 0 <= y <= 100
        # Places are written to 0.005 percent: two dots, and two ticks that the score is measured by.
        wanted = 100 * (fields[name][1] - fields[name][0]) / (scores_wide / places_wide)
        assert y - x == pytest.approx(wanted, abs=0.01 + 0.01 * abs(wanted) / places_wide + 1e-9)
    assert view.better == sum(y > x for x, y in scores)


def ruler(view):
    """Return how far two of its ticks lie apart, in the score's percent and in percent of the drawing's width."""
    ticks = re.findall(r'<text x="([\d.]+)%" y="100%" dy="18" class="tick">([\d.]+)</text>', str(view.plot))
    (x0, first), *_, (x1, last) = ticks
    return float(last) - float(first), float(x1) - float(x0)


def test_a_field_without_both_scores_is_left_out():
    baseline = {"a": 0.4, "b": None, "c": float("nan"), "d": 0.5}
    (view,) = view_paired([two(baseline, {"a": 0.5, "b": 0.5, "c": 0.5, "e": 0.5})], {})
    assert list(dots(view)) == ["a"]
    assert view_paired([two({"a": 0.4}, {"b": 0.5})], {}) == []


def test_controls_stand_beside_the_baseline_and_a_ladder_without_a_student_gives_nothing():
    scores = {"a": 0.4, "b": 0.5}
    rungs = [
        rung("baseline", "baseline", scores),
        rung("shuffled", "control", scores),
        rung("blind", "control", scores),
    ]
    whole = ladder(*rungs, rung("student", "student", scores), rung("teacher", "teacher", scores))
    views = view_paired([whole], {})
    assert [(view.up.name, view.across.name) for view in views] == [
        ("student", "baseline"), ("student", "shuffled"), ("student", "blind"),
    ]  # fmt: skip
    assert {view.title for view in views} == {""}  # one ladder needs no name
    assert len({view.csv.name for view in views}) == 3
    assert view_paired([replace(whole, student=None)], {}) == []
    alone = view_paired([replace(whole, baseline=None), replace(whole, title="all")], {})
    assert [(view.title, view.across.name) for view in alone][:3] == [
        ("few", "shuffled"), ("few", "blind"), ("all", "baseline"),
    ]  # fmt: skip


def test_every_number_can_be_taken_away():
    (view,) = view_paired([two({"=a": 0.4}, {"=a": 0.5})], {})
    text = base64.b64decode(view.csv.uri.split(",", 1)[1]).decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row == {
        "ladder": "few", "metric": "Dice", "field": "'=a", "baseline": "0.4", "baseline sd": "0.01",
        "student": "0.5", "student sd": "0.01", "difference": repr(0.5 - 0.4),
    }  # fmt: skip


def test_of_several_pictures_of_one_patient_a_dot_leads_to_the_first(case):
    def picture(name, unit):
        return replace(case(name, "best", seed=0, shape=(8, 9)), unit=unit)

    gallery: list[GalleryCase] = [picture("scan 1", "Ann"), picture("b", ""), picture("scan 2", "Ann")]
    assert pictures_of(gallery) == {"Ann": "case-1", "b": "case-2"}
