"""Drawings of two scales: a score against time, and probability against truth."""

import math
from collections.abc import Callable, Iterable, Sequence

from markupsafe import Markup

from segdistill.report.axis import Axis, axis_over, scores_axis
from segdistill.report.content import CostPoint, ReliabilityCurve
from segdistill.report.svg import drawing, element, percent
from segdistill.report.wording import as_number, as_percent, as_size

_SMALLEST, _LARGEST = 5.0, 22.0
"""Radius of the smallest and the largest bubble, pixels."""


def cost_plot(points: Sequence[CostPoint]) -> Markup:
    """Return the score against milliseconds per megapixel, on a scale of powers of ten.

    The area of a bubble goes with the logarithm of the number of parameters, as a teacher may have a
    hundred times those of its student; a network of unknown size has a hollow bubble.
    """
    times = axis_over((math.log10(point.milliseconds) for point in points), narrowest=1.0, room=0.12)
    scores = scores_axis(point.score for point in points)
    scores = Axis(scores.low - 0.12 * (scores.high - scores.low), scores.high + 0.25 * (scores.high - scores.low))
    sizes = [point.parameters for point in points if point.parameters]
    words = "; ".join(
        f"{point.name} {as_percent(point.score)} at {as_number(point.milliseconds)} ms" for point in points
    )
    ordered = sorted(points, key=lambda each: -(each.parameters or 0))  # small bubbles lie on large ones
    bubbles = [_bubble(point, times, scores, sizes) for point in ordered]
    grid = [*across(scores), *decades(times, _time)]
    return drawing(*grid, *bubbles, label=f"Dice, percent, against time per megapixel: {words}.", class_="plot cost")


def reliability_plot(curves: Sequence[ReliabilityCurve]) -> Markup:
    """Return the share of foreground against the probability that pixels were given; the diagonal is the aim."""
    axis = Axis(0.0, 1.0)
    ideal = element("line", x1="0", y1="100%", x2="100%", y2="0", class_="ideal")
    lines = [_line(curve) for curve in curves]
    # As in the learning curves, lines live in a box that is stretched and words do not.
    box = element("svg", *lines, viewBox="0 0 1000 1000", preserveAspectRatio="none", width="100%", height="100%")
    dots = [_dot(curve, *each) for curve in curves for each in curve.bins]
    words = "; ".join(f"{curve.who}: error {as_percent(curve.error)}" for curve in curves)
    label = f"Share of foreground against the probability given, percent. {words}."
    return drawing(*across(axis), *along(axis), ideal, box, *dots, label=label, class_="plot reliability")


def _dot(curve: ReliabilityCurve, given: float, true: float, pixels: int) -> Markup:
    words = f"{curve.who}: given {as_percent(given)} %, {as_percent(true)} % of {pixels:,} pixels are foreground"
    x, y = percent(100 * given), percent(100 - 100 * true)
    return element("circle", element("title", words), cx=x, cy=y, r="3", class_=f"dot {curve.role}")


def _bubble(point: CostPoint, times: Axis, scores: Axis, sizes: Sequence[int]) -> Markup:
    x, y = percent(times.place(math.log10(point.milliseconds))), percent(100 - scores.place(point.score))
    known = point.parameters is not None
    size = f", {as_size(point.parameters)} parameters" if known else ""
    tip = element(
        "title", f"{point.name}: {as_percent(point.score)} % at {as_number(point.milliseconds)} ms per megapixel{size}"
    )
    radius = _radius(point.parameters, sizes)
    circle = element("circle", tip, cx=x, cy=y, r=radius, class_=f"bubble {point.role}{'' if known else ' hollow'}")
    place = times.place(math.log10(point.milliseconds))
    end = " last" if place > 85 else " first" if place < 15 else ""
    return Markup("").join(
        [circle, element("text", point.name, x=x, y=y, dy=f"{-radius - 5:.0f}", class_=f"name{end}")]
    )


def _radius(parameters: int | None, sizes: Sequence[int]) -> float:
    """Return a bubble's radius: its square goes with the logarithm of the size.

    >>> _radius(100, [100, 10_000]), _radius(10_000, [100, 10_000]), _radius(None, [])
    (5.0, 22.0, 5.0)
    """
    low, high = (math.log(min(sizes)), math.log(max(sizes))) if sizes else (0.0, 0.0)
    if parameters is None or high <= low:
        return _SMALLEST
    share = (math.log(parameters) - low) / (high - low)
    return math.sqrt(_SMALLEST**2 + share * (_LARGEST**2 - _SMALLEST**2))


def _line(curve: ReliabilityCurve) -> Markup:
    places = " ".join(f"{1000 * given:.1f},{1000 - 1000 * true:.1f}" for given, true, _ in curve.bins)
    return element("polyline", points=places, class_=f"line {curve.role}")


def across(axis: Axis, *, most: int = 4) -> list[Markup]:
    """Return level lines at round scores, percent, at most so many."""
    parts = []
    for tick in axis.ticks(most):
        y = percent(100 - axis.place(tick))
        parts.append(element("line", x1="0", x2="100%", y1=y, y2=y, class_="grid"))
        parts.append(element("text", f"{100 * tick:.4g}".replace("-", "−"), x="-6", y=y, dy="4", class_="tick left"))
    return parts


def along(axis: Axis, *, most: int = 5) -> list[Markup]:
    """Return round scores below the drawing, percent, at most so many."""
    return [
        element("text", f"{100 * tick:.4g}", x=percent(axis.place(tick)), y="100%", dy="18", class_="tick")
        for tick in axis.ticks(most)
    ]


def decades(axis: Axis, say: Callable[[float], str]) -> list[Markup]:
    """Return upright lines at 1, 2 and 5 times powers of ten, those that the scale holds.

    Args:
        axis: Of logarithms to base ten.
        say: A value in words.
    """
    parts = []
    for value in _round_values(axis):
        x = percent(axis.place(math.log10(value)))
        parts.append(element("line", x1=x, x2=x, y1="0", y2="100%", class_="grid"))
        parts.append(element("text", say(value), x=x, y="100%", dy="18", class_="tick"))
    return parts


def _time(value: float) -> str:
    """Return a number of milliseconds without a power of ten.

    >>> _time(10_000.0), _time(0.5)
    ('10,000', '0.5')
    """
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _round_values(axis: Axis) -> Iterable[float]:
    powers = range(math.floor(axis.low), math.ceil(axis.high) + 1)
    factors = (1, 2, 5) if axis.high - axis.low < 2 else (1,)
    values = (factor * 10.0**power for power in powers for factor in factors)
    return [value for value in values if axis.low <= math.log10(value) <= axis.high]
