"""Markdown, and numbers as they stand in it."""

from collections.abc import Iterable, Sequence

from segdistill.evaluation import Gain, Interval, Ratio, ScoreTable, mean_sd
from segdistill.report import Spread
from segdistill.report.wording import NONE, as_percent, as_share, as_spread


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table.

    >>> print(table(["arm", "Dice"], [["student", "80.0"]]))
    | arm | Dice |
    |---|---|
    | student | 80.0 |
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("|" + "|".join("---" if cell == "---" else f" {cell} " for cell in line) + "|" for line in lines)


def folded(title: str, text: str) -> str:
    """Return text that is shown when its title is clicked."""
    return f"<details>\n<summary>{title}</summary>\n\n{text}\n\n</details>"


def percent_spread(scores: ScoreTable) -> str:
    """Return the mean over fields and seeds, ± its standard deviation over seeds, in percent."""
    mean, sd = mean_sd(scores.values)
    return as_spread(Spread(mean=mean, sd=sd))


def spread_over_fields(scores: ScoreTable) -> str:
    """Return the standard deviation (n − 1) over fields of the mean over seeds, percent; a dash for one field."""
    by_field = scores.values.mean(axis=0)
    return as_percent(float(by_field.std(ddof=1))) if len(by_field) > 1 else NONE


def points(difference: float) -> str:
    """Return a difference of scores in points, with its sign.

    >>> points(0.0123), points(-0.0123), points(-1e-9)
    ('+1.2', '−1.2', '+0.0')
    """
    return f"{100 * difference:+z.1f}".replace("-", "−")


def between(interval: Interval | None) -> str:
    """Return an interval in points.

    >>> between(Interval(-0.01, 0.02, 0.95)), between(None)
    ('−1.0 to +2.0', 'none: one field')
    """
    return "none: one field" if interval is None else f"{points(interval.low)} to {points(interval.high)}"


def gain_words(gain: Gain | None) -> str:
    """Return a gain, its interval and on how many fields it is one."""
    if gain is None:
        return NONE
    return f"{points(gain.mean)} ({between(gain.interval)}; {gain.better} of {gain.units})"


def ratio_words(ratio: Ratio | None) -> str:
    """Return a ratio in percent, with its interval; or why there is none."""
    if ratio is None:
        return NONE
    if ratio.value is None:
        return f"not stated: {ratio.reason}"
    if ratio.interval is None:
        return as_share(ratio.value)
    low, high = (as_percent(end, digits=0) for end in (ratio.interval.low, ratio.interval.high))
    return f"{as_share(ratio.value)} ({low} to {high})"


def listed(items: Iterable[object], *, most: int = 12) -> str:
    """Return items with commas, the first ones only where there are many.

    >>> listed([1, 2, 3], most=2)
    '1, 2 and 1 more'
    """
    words = [str(item) for item in items]
    shown = ", ".join(words[:most])
    return shown if len(words) <= most else f"{shown} and {len(words) - most} more"


def labels_words(totals: Sequence[int | None]) -> str:
    """Return how many labelled images were used; several numbers where results differ."""
    return " or ".join("not known" if total is None else str(total) for total in totals)
