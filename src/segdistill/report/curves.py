"""Learning curves: every score, loss term and weight that the logs hold, one small drawing each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from segdistill.report.axis import Axis, axis_over
from segdistill.report.content import LearningRun, Role
from segdistill.report.series import KINDS, Point, read_series, thinned
from segdistill.report.svg import drawing, element, percent
from segdistill.report.tables import Download, csv_download

MOST_POINTS = 400
"""Points of one line that are drawn and listed; log.jsonl holds all of them."""


@dataclass(frozen=True)
class Line:
    """One run's values of one quantity."""

    run: LearningRun
    dash: int
    """Which dashes tell the arm from others of its role, 0 to 3."""
    points: tuple[Point, ...]
    """Finite, by step."""


@dataclass(frozen=True, kw_only=True)
class CurveView:
    """One small drawing, ready for the page."""

    kind: str
    name: str
    plot: Markup
    csv: Download
    not_finite: int
    """Values that could not be drawn."""


def view_curves(runs: Sequence[LearningRun]) -> tuple[CurveView, ...]:
    """Return one drawing per quantity: validation scores first, then losses, weights and learning rate.

    Every drawing has the same scale of steps. Seeds of one arm share its colour and dashes.
    """
    found: dict[tuple[str, str], list[tuple[LearningRun, list[Point]]]] = {}
    for run in runs:
        for quantity, points in read_series(run.records).items():
            found.setdefault(quantity, []).append((run, points))
    dashes = _dashes(runs)
    last = max((point[0] for series in found.values() for _, points in series for point in points), default=1.0)
    views = []
    for kind, name in sorted(found, key=lambda quantity: (KINDS.index(quantity[0]), quantity[1] != "score")):
        lines = [Line(run, dashes[run.arm], _drawable(points)) for run, points in found[kind, name]]
        lost = sum(not math.isfinite(value) for _, points in found[kind, name] for _, value in points)
        views.append(_view(kind, name, lines, Axis(0.0, max(1.0, last)), lost))
    return tuple(views)


def view_legend(runs: Sequence[LearningRun]) -> tuple[tuple[Markup, str], ...]:
    """Return for each arm a sample of its line, and its name."""
    roles: dict[str, Role] = {run.arm: run.role for run in runs}
    return tuple((_sample(roles[arm], dash), arm) for arm, dash in _dashes(runs).items())


def _sample(role: Role, dash: int) -> Markup:
    line = element("line", x1="0", x2="100%", y1="50%", y2="50%", class_=f"line {role} dash-{dash}")
    return element("svg", line, class_="sample", aria_hidden="true")


def _dashes(runs: Sequence[LearningRun]) -> dict[str, int]:
    """Return for each arm how many arms of its role came before it, 3 at most."""
    roles: dict[str, Role] = {run.arm: run.role for run in runs}
    before = [sum(roles[earlier] == roles[arm] for earlier in list(roles)[:place]) for place, arm in enumerate(roles)]
    return {arm: min(3, number) for arm, number in zip(roles, before, strict=True)}


def _drawable(points: Sequence[Point]) -> tuple[Point, ...]:
    return tuple(thinned(sorted(point for point in points if math.isfinite(point[1])), MOST_POINTS))


def _view(kind: str, name: str, lines: Sequence[Line], steps: Axis, not_finite: int) -> CurveView:
    title = f"{kind} {name}".strip()
    rows = [[line.run.arm, line.run.seed, step, value] for line in lines for step, value in line.points]
    return CurveView(
        kind=kind,
        name=name,
        plot=_plot(title, lines, steps),
        csv=csv_download(f"curve {title}".replace(" ", "_"), ["arm", "seed", "step", title], rows),
        not_finite=not_finite,
    )


def _plot(title: str, lines: Sequence[Line], steps: Axis) -> Markup:
    values = [value for line in lines for _, value in line.points]
    axis = axis_over(values, narrowest=max(1e-9, 1e-3 * max(map(abs, values), default=1.0)))
    drawn = [_polyline(line, steps, axis) for line in lines if line.points]
    # Note [Stretched lines]: the lines live in a box of 1000 × 1000 that is stretched to the drawing, and
    # `vector-effect` keeps their thickness; the words stay outside, where nothing is stretched.
    box = element("svg", *drawn, viewBox="0 0 1000 1000", preserveAspectRatio="none", width="100%", height="100%")
    arms = ", ".join(dict.fromkeys(line.run.arm for line in lines))
    return drawing(*_grid(steps, axis), box, label=f"{title} against optimiser steps: {arms}.", class_="plot curve")


def _polyline(line: Line, steps: Axis, axis: Axis) -> Markup:
    places = [f"{10 * steps.place(x):.1f},{1000 - 10 * axis.place(y):.1f}" for x, y in line.points]
    places += places if len(places) == 1 else []  # a line of one point, said twice, is drawn as a dot
    tip = element("title", f"{line.run.arm}, seed {line.run.seed}")
    return element("polyline", tip, points=" ".join(places), class_=f"line {line.run.role} dash-{line.dash}")


def _grid(steps: Axis, axis: Axis) -> list[Markup]:
    parts = []
    for tick in axis.ticks(4):
        y = percent(100 - axis.place(tick))
        parts.append(element("line", x1="0", x2="100%", y1=y, y2=y, class_="grid"))
        parts.append(element("text", f"{tick:.4g}".replace("-", "−"), x="-6", y=y, dy="4", class_="tick left"))
    for tick in steps.ticks(4):
        place = steps.place(tick)
        end = " last" if place > 95 else " first" if place < 5 else ""
        parts.append(element("text", f"{tick:,.6g}", x=percent(place), y="100%", dy="18", class_=f"tick{end}"))
    return parts
