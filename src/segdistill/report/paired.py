"""Fields in pairs: what one arm reaches on each field against what another does, the diagonal drawn."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from segdistill.report.axis import Axis, scores_axis
from segdistill.report.bands import upright
from segdistill.report.content import Ladder, Rung
from segdistill.report.scatter import across, along
from segdistill.report.svg import element, percent
from segdistill.report.tables import Cell, Download, csv_download
from segdistill.report.wording import as_percent, as_points, as_spread


@dataclass(frozen=True, kw_only=True)
class PairedView:
    """One arm against another, ready for the page."""

    title: str
    """Of their ladder; empty where there is one ladder alone."""

    metric: str
    across: Rung
    up: Rung
    plot: Markup
    csv: Download
    fields: int
    """How many have a finite score of both."""

    better: int
    """On how many the arm that is drawn upwards is better."""

    worse: int
    """On how many it is worse."""

    linked: int
    """How many have pictures."""


@dataclass(frozen=True)
class _Field:
    """One field: its scores, and where on the page its pictures are."""

    name: str
    across: float
    up: float
    words: str
    picture: str | None


def view_paired(ladders: Sequence[Ladder], pictures: Mapping[str, str]) -> list[PairedView]:
    """Return the student of every ladder against its baseline and against each control.

    Args:
        ladders: A ladder without a student gives nothing, nor does a pair without a field that both were scored on.
        pictures: Field to the identity of the element that shows it.
    """
    pairs = [(ladder, other, student) for ladder in ladders for other, student in _pairs(ladder)]
    many = len({ladder.title for ladder, _, _ in pairs}) > 1
    views = []
    for ladder, other, student in pairs:
        fields = _fields(other, student, pictures)
        if fields:
            number = len(views) + 1
            views.append(
                PairedView(
                    title=ladder.title if many else "",
                    metric=ladder.metric,
                    across=other,
                    up=student,
                    plot=_plot(ladder.metric, other, student, fields),
                    csv=_csv("paired" if number == 1 else f"paired_{number}", ladder, (other, student), fields),
                    fields=len(fields),
                    better=sum(field.up > field.across for field in fields),
                    worse=sum(field.up < field.across for field in fields),
                    linked=sum(field.picture is not None for field in fields),
                )
            )
    return views


def _pairs(ladder: Ladder) -> Iterator[tuple[Rung, Rung]]:
    student, baseline = ladder.rung(ladder.student), ladder.rung(ladder.baseline)
    if student is None:
        return
    if baseline is not None:
        yield baseline, student
    yield from ((rung, student) for rung in ladder.rungs if rung.role == "control" and rung is not student)


def _fields(other: Rung, student: Rung, pictures: Mapping[str, str]) -> list[_Field]:
    """Return the fields that both have a finite score of, in the order of their places from left to right."""
    found = []
    for name in student.per_field.keys() & other.per_field.keys():
        x, y = other.per_field[name].mean, student.per_field[name].mean
        if x is None or y is None or not (math.isfinite(x) and math.isfinite(y)):
            continue
        words = (
            f"{name}: {other.name} {as_spread(other.per_field[name])}, {student.name}"
            f" {as_spread(student.per_field[name])}, {as_points(y - x)} points"
        )
        found.append(_Field(name, x, y, words, pictures.get(name)))
    return sorted(found, key=lambda field: (field.across, field.up, field.name))


def _plot(metric: str, other: Rung, student: Rung, fields: Sequence[_Field]) -> Markup:
    axis = scores_axis(value for field in fields for value in (field.across, field.up))
    better = sum(field.up > field.across for field in fields)
    label = (
        f"{metric}, percent, of {student.name} (upwards) against {other.name} (to the right), one dot for each of"
        f" {len(fields)} fields; {student.name} is better on {better} of them. From"
        f" {as_percent(min(field.across for field in fields))} to {as_percent(max(field.across for field in fields))}"
        f" and from {as_percent(min(field.up for field in fields))} to {as_percent(max(field.up for field in fields))}."
    )
    ideal = element("line", x1="0", y1="100%", x2="100%", y2="0", class_="ideal")
    # The drawing is a group and not an image, whose parts a screen reader would not reach.
    return element(
        "svg",
        *across(axis),
        *(upright(axis.place(tick), "grid") for tick in axis.ticks(4)),
        *along(axis, most=4),
        ideal,
        *_sides(other.name, student.name),
        *(_dot(field, student, axis) for field in fields),
        class_="plot scatter",
        role="group",
        aria_label=label,
    )


def _sides(other: str, student: str) -> list[Markup]:
    """Return what is drawn along each side, and which half of the drawing is whose."""
    return [
        element("text", other, x="100%", y="100%", dy="36", class_="tick last side"),
        element("text", student, x="0", y="0", dx="-40", dy="-10", class_="tick first side"),
        element("text", f"{student} better", x="0", y="0", dx="8", dy="16", class_="tick first half"),
        element("text", f"{other} better", x="100%", y="100%", dx="-8", dy="-8", class_="tick last half"),
    ]


def _dot(field: _Field, student: Rung, axis: Axis) -> Markup:
    worse = " worse" if field.up < field.across else ""
    words = field.words if field.picture is None else f"{field.words}: to its pictures"
    circle = element("circle", cx=percent(axis.place(field.across)), cy=percent(100 - axis.place(field.up)), r="5")
    tip = element("title", words)
    if field.picture is None:
        class_ = f"field bare {student.role}{worse}"
        return element("g", tip, circle, class_=class_, tabindex="0", role="img", aria_label=words)
    return element("a", tip, circle, class_=f"field {student.role}{worse}", href=f"#{field.picture}", aria_label=words)


def _csv(name: str, ladder: Ladder, arms: tuple[Rung, Rung], fields: Sequence[_Field]) -> Download:
    other, student = arms
    rows: list[list[Cell]] = [
        [
            *(ladder.title, ladder.metric, field.name, field.across, other.per_field[field.name].sd),
            *(field.up, student.per_field[field.name].sd, field.up - field.across),
        ]
        for field in fields
    ]
    header = ["ladder", "metric", "field", other.name, f"{other.name} sd", student.name, f"{student.name} sd"]
    return csv_download(name, [*header, "difference"], rows)
