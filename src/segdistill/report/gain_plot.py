"""What distillation bought against how large the student is."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from segdistill.report.axis import Axis, axis_over
from segdistill.report.content import GainPoint
from segdistill.report.scatter import across, decades
from segdistill.report.svg import drawing, element, percent
from segdistill.report.tables import Cell, Download, csv_download
from segdistill.report.wording import as_between_points, as_points, as_size

_RADIUS = 6.0
"""Of a mark, pixels."""


def gain_plot(points: Sequence[GainPoint]) -> Markup:
    """Return gains with their intervals against parameters, on a scale of powers of ten; the dashed line is no gain.

    Args:
        points: One for each student, at least one.
    """
    sizes = axis_over((math.log10(point.parameters) for point in points), narrowest=1.0, room=0.12)
    ends = [end for point in points for end in (point.gain, *(point.ends or ()))]
    gains = axis_over([0.0, *ends], narrowest=0.02, room=0.12)
    zero = percent(100 - gains.place(0.0))
    words = "; ".join(f"{_said(point)} with {as_size(point.parameters)} parameters" for point in points)
    return drawing(
        *across(gains),
        *decades(sizes, as_size),
        element("line", x1="0", x2="100%", y1=zero, y2=zero, class_="ideal"),
        *(_point(point, sizes, gains) for point in points),
        label=f"Gain over the baseline, points of Dice, against parameters: {words}.",
        class_="plot gains",
    )


def gains_csv(points: Sequence[GainPoint]) -> Download:
    """Return the plot's numbers."""
    header = ["student", "arm", "baseline", "parameters", "gain", "low", "high"]
    rows: list[list[Cell]] = [
        [point.student, point.arm, point.baseline, point.parameters, point.gain, *(point.ends or (None, None))]
        for point in points
    ]
    return csv_download("gain_by_size", header, rows)


def _point(point: GainPoint, sizes: Axis, gains: Axis) -> Markup:
    place = sizes.place(math.log10(point.parameters))
    x, y = percent(place), percent(100 - gains.place(point.gain))
    parts = []
    if point.ends is not None:
        low, high = (percent(100 - gains.place(end)) for end in point.ends)
        parts.append(element("line", x1=x, x2=x, y1=low, y2=high, class_="whisker student"))
    tip = element("title", f"{_said(point)}, {as_size(point.parameters)} parameters")
    parts.append(element("circle", tip, cx=x, cy=y, r=_RADIUS, class_="bubble student"))
    end = " last" if place > 85 else " first" if place < 15 else ""
    aside = "-9" if end == " last" else "9"
    anchor = end or " first"  # beside the mark: above and below it runs the interval
    return Markup("").join(
        [*parts, element("text", point.student, x=x, y=y, dx=aside, dy="-7", class_=f"name{anchor}")]
    )


def _said(point: GainPoint) -> str:
    interval = "" if point.ends is None else f" ({as_between_points(*point.ends)})"
    return f"{point.student} {as_points(point.gain)} points{interval}"
