"""A ladder as a picture that stands alone: one row per arm, a dot per seed, mean ± sd."""

from markupsafe import Markup

from results_page.stored import Study
from results_page.words import percent_spread
from segdistill.evaluation import ScoreTable, mean_sd
from segdistill.report.axis import Axis, scores_axis
from segdistill.report.svg import element
from segdistill.study.account import MAIN

WIDTH, ROW, LEFT, RIGHT, TOP, BOTTOM = 720.0, 26.0, 160.0, 110.0, 10.0, 30.0
"""Pixels: whole width, height of a row, and the margins that hold names, numbers and the scale."""

COLOURS = {
    "baseline": "#999999",
    "student": "#0072b2",
    "control": "#d55e00",
    "all-labels": "#595959",
    "all-labels student": "#56b4e9",
    "targets alone": "#009e73",
    "teacher": "#000000",
}
"""By role; the palette of Okabe and Ito, which colour-blind readers can tell apart."""


def ladder_picture(study: Study) -> str:
    """Return the ladder of a study's Dice as SVG."""
    tables = [arm.tables[MAIN] for arm in study.account.values()]
    axis = scores_axis(value for scores in tables for value in _extent(scores))
    height = TOP + ROW * len(tables) + BOTTOM
    rows = [_row(place, arm.name, arm.role, arm.tables[MAIN], axis) for place, arm in enumerate(study.account.values())]
    whole = element(
        "svg",
        element("rect", width=WIDTH, height=height, fill="#ffffff"),
        *_scale(axis, height),
        *rows,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        width=WIDTH,
        height=height,
        font_family="sans-serif",
        font_size=13.0,
        role="img",
        aria_label="Dice by arm, percent; one dot per seed, bars are mean ± standard deviation over seeds",
    )
    return f"{whole}\n"


def _row(place: int, name: str, role: str, scores: ScoreTable, axis: Axis) -> Markup:
    middle = TOP + ROW * (place + 0.5)
    colour = COLOURS.get(role, "#000000")
    mean, sd = mean_sd(scores.values)
    at = _x(axis, mean)
    seeds = scores.values.mean(axis=1)
    dots = [element("circle", cx=_x(axis, float(value)), cy=middle, r=3.0, fill=colour, opacity=0.5) for value in seeds]
    bar = [] if sd is None else [_line(_x(axis, mean - sd), middle, _x(axis, mean + sd), middle, colour, 3)]
    return element(
        "g",
        element("text", name, x=LEFT - 12, y=middle + 4, text_anchor="end"),
        *dots,
        *bar,
        _line(at, middle - 8, at, middle + 8, colour, 3),
        element("text", percent_spread(scores), x=WIDTH - RIGHT + 12, y=middle + 4),
    )


def _scale(axis: Axis, height: float) -> list[Markup]:
    ticks = []
    for value in axis.ticks():
        at = _x(axis, value)
        ticks.append(_line(at, TOP, at, height - BOTTOM, "#dddddd", 1))
        ticks.append(element("text", f"{100 * value:g}", x=at, y=height - BOTTOM + 16, text_anchor="middle"))
    return ticks


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: int) -> Markup:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=colour, stroke_width=float(width))


def _x(axis: Axis, value: float) -> float:
    return LEFT + axis.place(value) / 100 * (WIDTH - LEFT - RIGHT)


def _extent(scores: ScoreTable) -> tuple[float, ...]:
    mean, sd = mean_sd(scores.values)
    return (mean - (sd or 0.0), mean + (sd or 0.0), *map(float, scores.values.mean(axis=1)))
