"""A score against the number of labels: one line for each arm."""

from collections.abc import Sequence

from markupsafe import Markup

from segdistill.report.axis import Axis, scores_axis
from segdistill.report.scatter import across
from segdistill.report.study_content import BudgetLine, BudgetPoint
from segdistill.report.svg import drawing, element, key, percent
from segdistill.report.wording import as_between, as_percent

_ASIDE = 1.2
"""How far arms of one budget are drawn apart, percent of the width, so that their intervals can be told apart."""


def budget_plot(lines: Sequence[BudgetLine]) -> Markup:
    """Return scores with their intervals against label budgets, each budget as far from the next.

    Args:
        lines: One for each arm; at least one.
    """
    budgets = budgets_of(lines)
    axis = scores_axis(value for line in lines for point in line.points for value in (point.mean, *(point.ends or ())))
    dashes = dashes_of(lines)
    drawn = [_polyline(line, dashes[line.arm], budgets, axis, place) for place, line in _placed(lines)]
    # As in the learning curves, lines live in a box that is stretched and words do not.
    box = element("svg", *drawn, viewBox="0 0 1000 1000", preserveAspectRatio="none", width="100%", height="100%")
    marks = [_mark(line, point, budgets, axis, place) for place, line in _placed(lines) for point in line.points]
    words = "; ".join(
        f"{line.arm}: " + ", ".join(f"{as_percent(point.mean)} with {point.labels}" for point in line.points)
        for line in lines
    )
    label = f"Dice, percent, against labelled training images. {words}."
    return drawing(*across(axis), *_below(budgets), box, *marks, label=label, class_="plot budgets")


def budget_legend(lines: Sequence[BudgetLine]) -> tuple[tuple[Markup, Markup, str], ...]:
    """Return for each arm a sample of its line, its mark and its name."""
    dashes = dashes_of(lines)
    return tuple((_sample(line.role, dashes[line.arm]), key(line.role), line.arm) for line in lines)


def budgets_of(lines: Sequence[BudgetLine]) -> list[str]:
    """Return every budget that a line has, from few labels to many; "all" is the last.

    >>> point = lambda labels: BudgetPoint(labels=labels, mean=0.5, ends=None)
    >>> budgets_of([BudgetLine(arm="a", role="student", points=(point("all"), point("10"), point("2")))])
    ['2', '10', 'all']
    """
    found = {point.labels for line in lines for point in line.points}
    return sorted(found, key=lambda labels: (labels == "all", int(labels) if labels != "all" else 0))


def dashes_of(lines: Sequence[BudgetLine]) -> dict[str, int]:
    """Return for each arm how many arms of its role came before it, 3 at most."""
    roles = [line.role for line in lines]
    return {line.arm: min(3, roles[:place].count(line.role)) for place, line in enumerate(lines)}


def _placed(lines: Sequence[BudgetLine]) -> list[tuple[float, BudgetLine]]:
    """Return each line with how far it is moved aside, percent of the width."""
    middle = (len(lines) - 1) / 2
    step = min(_ASIDE, 8 / max(1, len(lines)))
    return [(step * (place - middle), line) for place, line in enumerate(lines)]


def _place(labels: str, budgets: Sequence[str]) -> float:
    """Return where a budget lies, percent of the width."""
    return 100 * (budgets.index(labels) + 0.5) / len(budgets)


def _polyline(line: BudgetLine, dash: int, budgets: Sequence[str], axis: Axis, aside: float) -> Markup:
    ordered = sorted(line.points, key=lambda point: budgets.index(point.labels))
    places = " ".join(
        f"{10 * (_place(point.labels, budgets) + aside):.1f},{1000 - 10 * axis.place(point.mean):.1f}"
        for point in ordered
    )
    return element("polyline", points=places, class_=f"line {line.role} dash-{dash}")


def _mark(line: BudgetLine, point: BudgetPoint, budgets: Sequence[str], axis: Axis, aside: float) -> Markup:
    x, y = percent(_place(point.labels, budgets) + aside), percent(100 - axis.place(point.mean))
    interval = "" if point.ends is None else f" ({as_between(*point.ends)})"
    tip = element("title", f"{line.arm}, {point.labels} labels: {as_percent(point.mean)} %{interval}")
    parts = []
    if point.ends is not None:
        low, high = (percent(100 - axis.place(end)) for end in point.ends)
        parts.append(element("line", x1=x, x2=x, y1=low, y2=high, class_=f"whisker {line.role}"))
    return Markup("").join([*parts, element("circle", tip, cx=x, cy=y, r="4.5", class_=f"bubble {line.role}")])


def _below(budgets: Sequence[str]) -> list[Markup]:
    return [
        element("text", labels, x=percent(_place(labels, budgets)), y="100%", dy="18", class_="tick")
        for labels in budgets
    ]


def _sample(role: str, dash: int) -> Markup:
    line = element("line", x1="0", x2="100%", y1="50%", y2="50%", class_=f"line {role} dash-{dash}")
    return element("svg", line, class_="sample", aria_hidden="true")
