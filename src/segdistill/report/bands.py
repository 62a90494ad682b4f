"""Drawings of equal horizontal bands, one beside each row of words, over a common percentage scale."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from segdistill.report.axis import Axis
from segdistill.report.content import Role, Spread
from segdistill.report.svg import drawing, element, percent


def banded_drawing(bands: Sequence[Markup], axis: Axis, *behind: Markup, label: str) -> Markup:
    """Return the drawing; the page decides how tall a band is.

    Args:
        bands: What each row holds, its middle at a height of 50 %.
        axis: Scale, in fractions; its ticks are written below as percentages.
        behind: Drawn over the grid and below the bands, over the whole height.
        label: Words that stand for the drawing.
    """
    height = 100 / max(1, len(bands))
    rows = [
        element(
            "svg",
            element("g", band, class_="marks"),
            x="0",
            y=percent(place * height),
            width="100%",
            height=percent(height),
            overflow="visible",
        )
        for place, band in enumerate(bands)
    ]
    return drawing(*_grid(axis), *behind, *rows, label=label)


def upright(place: float, class_: str) -> Markup:
    """Return a line over the whole height at a place, percent of the width."""
    return element("line", x1=percent(place), x2=percent(place), y1="0", y2="100%", class_=class_)


def level(start: float, end: float, class_: str) -> Markup:
    """Return a line along the middle of a band between two places, percent of the width."""
    return element("line", x1=percent(start), x2=percent(end), y1="50%", y2="50%", class_=class_)


def deviation(score: Spread, role: Role, axis: Axis) -> Markup:
    """Return the line from mean − sd to mean + sd, or nothing where there is no deviation."""
    place, sd = place_of(score, axis), score.sd
    if place is None or score.mean is None or sd is None or not math.isfinite(sd):
        return Markup("")
    return level(axis.place(score.mean - sd), axis.place(score.mean + sd), f"deviation {role}")


def extent_of(score: Spread) -> tuple[float, ...]:
    """Return the values between which a score is drawn; empty where there is no mean."""
    if score.mean is None:
        return ()
    sd = score.sd or 0.0
    return (score.mean - sd, score.mean, score.mean + sd)


def place_of(score: Spread | None, axis: Axis) -> float | None:
    """Return where a mean lies, percent of the width; None where there is no finite mean."""
    if score is None or score.mean is None or not math.isfinite(score.mean):
        return None
    return axis.place(score.mean)


def _grid(axis: Axis) -> list[Markup]:
    parts = []
    for tick in axis.ticks():
        place = axis.place(tick)
        parts.append(upright(place, "grid"))
        parts.append(element("text", f"{100 * tick:.4g}", x=percent(place), y="100%", dy="18", class_="tick"))
    return parts
