"""The ladder: one row per arm, its seeds, its mean ± sd, and how far the student came."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from segdistill.report.axis import Axis, scores_axis
from segdistill.report.bands import banded_drawing, deviation, extent_of, level, place_of, upright
from segdistill.report.content import Ladder, Role, Rung
from segdistill.report.svg import element, glyph, mark, percent
from segdistill.report.tables import Cell, Download, csv_download
from segdistill.report.wording import as_count, as_percent, as_share, as_spread


@dataclass(frozen=True, kw_only=True)
class LadderRow:
    """The words beside one band of the drawing."""

    name: str
    description: str
    value: str
    detail: str
    role: Role | None
    """None: the row shows gap closed or recovery, not an arm."""


@dataclass(frozen=True, kw_only=True)
class LadderView:
    """A ladder, ready for the page."""

    title: str
    metric: str
    note: str
    rows: tuple[LadderRow, ...]
    plot: Markup
    csv: Download


def view_ladder(ladder: Ladder, axis: Axis, *, name: str) -> LadderView:
    """Return the words and the drawing of a ladder.

    Args:
        ladder: What to draw.
        axis: Scale, shared by the ladders of a page.
        name: File name of the CSV.
    """
    measures = _measures(ladder, axis)
    bands = [_rung(rung, axis) for rung in ladder.rungs] + [drawn for _, drawn in measures]
    return LadderView(
        title=ladder.title,
        metric=ladder.metric,
        note=ladder.note,
        rows=(*map(_words, ladder.rungs), *(row for row, _ in measures)),
        plot=banded_drawing(bands, axis, *_references(ladder, axis), label=_summary(ladder)),
        csv=_csv(ladder, name),
    )


def shared_axis(ladders: Iterable[Ladder]) -> Axis:
    """Return the scale that holds every mean, deviation and seed of these ladders."""
    rungs = [rung for ladder in ladders for rung in ladder.rungs]
    return scores_axis(value for rung in rungs for value in (*rung.per_seed.values(), *extent_of(rung.score)))


def _words(rung: Rung) -> LadderRow:
    labels = [] if rung.labels_used is None else [as_count(rung.labels_used, "label")]
    seeds = [as_count(len(rung.per_seed), "seed")] if rung.per_seed else []
    fields = [as_count(len(rung.per_field), "field")] if rung.per_field else []
    return LadderRow(
        name=rung.name,
        description=rung.description,
        value=as_spread(rung.score),
        detail=" · ".join([*labels, *seeds, *fields]),
        role=rung.role,
    )


def _rung(rung: Rung, axis: Axis) -> Markup:
    place = place_of(rung.score, axis)
    seeds = [_seed(rung, seed, axis.place(value)) for seed, value in rung.per_seed.items() if math.isfinite(value)]
    mean = [] if place is None else [mark(rung.role, place, tip=f"{rung.name}: {as_spread(rung.score)}")]
    return Markup("").join([*seeds, deviation(rung.score, rung.role, axis), *mean])


def _seed(rung: Rung, seed: int, place: float) -> Markup:
    tip = element("title", f"{rung.name}, seed {seed}: {as_percent(rung.per_seed[seed])}")
    return element("circle", tip, cx=percent(place), cy="50%", r="3", class_=f"seed {rung.role}")


def _references(ladder: Ladder, axis: Axis) -> list[Markup]:
    """Return the lines of baseline and teacher, and the gap between them as a tinted field."""
    rungs = [rung for rung in (ladder.rung(ladder.baseline), ladder.rung(ladder.teacher)) if rung is not None]
    ends = [(rung.role, place) for rung in rungs if (place := place_of(rung.score, axis)) is not None]
    lines = [upright(place, f"reference {role}") for role, place in ends]
    if len(ends) < 2:
        return lines
    left, right = sorted(place for _, place in ends)
    return [element("rect", x=percent(left), y="0", width=percent(right - left), height="100%", class_="gap"), *lines]


def _measures(ladder: Ladder, axis: Axis) -> list[tuple[LadderRow, Markup]]:
    """Return the rows that measure the student: gap closed, then recovery."""
    student, teacher, baseline = (ladder.rung(name) for name in (ladder.student, ladder.teacher, ladder.baseline))
    reached, whole = (place_of(rung.score if rung else None, axis) for rung in (student, teacher))
    if student is None or teacher is None or reached is None or whole is None:
        return []
    rows = []
    start = place_of(baseline.score if baseline else None, axis)
    if ladder.gap_closed is not None and start is not None:
        words = f"of the way, {ladder.baseline} → {teacher.name}"
        rows.append((_measure("Gap closed", words, ladder.gap_closed), _bar(start, reached, whole)))
    if ladder.recovery is not None:
        words = f"of {teacher.name}'s score, from zero"
        rows.append((_measure("Recovery", words, ladder.recovery), _bar(axis.place(0.0), reached, whole)))
    return rows


def _measure(name: str, description: str, value: float) -> LadderRow:
    return LadderRow(name=name, description=description, value=as_share(value), detail="", role=None)


def _bar(start: float, reached: float, whole: float) -> Markup:
    """Return a bar from ``start`` to ``whole``, percent of the width, filled up to ``reached``.

    A start beyond the left edge is drawn at the edge, with the sign of a broken scale.
    """
    edge = max(0.0, start)
    worse = (reached - start) * (whole - start) < 0
    return Markup("").join(
        [
            level(edge, whole, "bar whole"),
            level(edge, reached, "bar worse" if worse else "bar reached"),
            *([glyph("M6 7L10-7M11 7L15-7", edge, "break")] if start < 0 else [glyph("M0-6V6", edge, "end")]),
            glyph("M0-6V6", whole, "end"),
        ]
    )


def _summary(ladder: Ladder) -> str:
    rungs = "; ".join(f"{rung.name} ({rung.role}) {as_spread(rung.score)}" for rung in ladder.rungs)
    measures = f" Gap closed {as_share(ladder.gap_closed)}, recovery {as_share(ladder.recovery)}."
    return f"{ladder.title}. {ladder.metric}, percent: {rungs or 'no arms'}.{measures if ladder.student else ''}"


def _csv(ladder: Ladder, name: str) -> Download:
    rows: list[list[Cell]] = []
    for rung in ladder.rungs:
        head: list[Cell] = [ladder.title, ladder.metric, rung.name, rung.role, rung.labels_used]
        rows.append([*head, "mean", "", rung.score.mean, rung.score.sd])
        rows += [[*head, "seed", str(seed), value, None] for seed, value in rung.per_seed.items()]
        rows += [[*head, "field", key, score.mean, score.sd] for key, score in rung.per_field.items()]
    header = ["ladder", "metric", "arm", "role", "labels_used", "what", "which", "value", "sd"]
    return csv_download(name, header, rows)
