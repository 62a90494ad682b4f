"""Numbers as a reader wants them: few digits, a unit, and a word where there is no number."""

import math

from segdistill.report.content import Spread

_BYTES = {"TB": 10**12, "GB": 10**9, "MB": 10**6, "kB": 10**3}

NONE = "–"
"""What stands where there is no number."""


def as_percent(value: float | None, *, digits: int = 1) -> str:
    """Return a fraction as a percentage without its sign.

    Args:
        value: Fraction; None: there is no number.
        digits: Digits after the point.

    >>> as_percent(0.8536), as_percent(None), as_percent(float("nan"))
    ('85.4', '–', 'not finite')
    """
    if value is None:
        return NONE
    if not math.isfinite(value):
        return "not finite"
    return f"{100 * value:.{digits}f}".replace("-", "−")


def as_share(value: float | None) -> str:
    """Return a fraction as whole percents with the sign.

    >>> as_share(0.456), as_share(-0.02), as_share(None)
    ('46 %', '−2 %', '–')
    """
    text = as_percent(value, digits=0)
    return f"{text} %" if value is not None and math.isfinite(value) else text


def as_points(difference: float | None) -> str:
    """Return a difference of fractions in points of a percentage, with its sign.

    >>> as_points(-0.004), as_points(0.0123), as_points(1e-9), as_points(None)
    ('−0.4', '+1.2', '0.0', '–')
    """
    points = as_percent(None if difference is None else abs(difference))
    if difference is None or not math.isfinite(difference) or points == "0.0":
        return points
    return f"{'+' if difference > 0 else '−'}{points}"


def as_between_points(low: float, high: float) -> str:
    """Return the ends of an interval of differences of fractions, in points.

    >>> as_between_points(-0.004, 0.0123)
    '−0.4 to +1.2'
    """
    return f"{as_points(low)} to {as_points(high)}"


def as_p(value: float | None) -> str:
    """Return a p value with three digits, or that it is smaller.

    >>> as_p(0.03125), as_p(0.00002), as_p(1.0), as_p(None)
    ('0.031', '< 0.001', '1.000', '–')
    """
    if value is None:
        return NONE
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def as_effect(value: float | None) -> str:
    """Return a number without a unit with two digits after the point, fewer where it is large.

    >>> as_effect(-0.5), as_effect(1.137), as_effect(120.4), as_effect(None)
    ('−0.50', '1.14', '120', '–')
    """
    if value is None or not math.isfinite(value) or abs(value) >= 10:
        return as_number(value).replace("-", "−")
    return f"{value:.2f}".replace("-", "−")


def as_between(low: float | None, high: float | None, *, digits: int = 0) -> str:
    """Return the ends of an interval of fractions, in percent; empty where there is none.

    >>> as_between(0.81, 0.853), as_between(-0.1, 0.2), as_between(None, None)
    ('81 to 85', '−10 to 20', '')
    """
    if low is None or high is None:
        return ""
    return f"{as_percent(low, digits=digits)} to {as_percent(high, digits=digits)}"


def as_spread(score: Spread | None) -> str:
    """Return a score in percent, with ± its standard deviation where there is one.

    >>> as_spread(Spread(mean=0.8536, sd=0.004)), as_spread(Spread(mean=0.8536)), as_spread(None)
    ('85.4 ± 0.4', '85.4', '–')
    """
    if score is None or score.mean is None:
        return NONE
    mean = as_percent(score.mean)
    return mean if score.sd is None or not math.isfinite(score.mean) else f"{mean} ± {as_percent(score.sd)}"


def as_score(score: Spread | None, unit: str) -> str:
    """Return a score in its unit, with ± its standard deviation where there is one.

    >>> as_score(Spread(mean=0.5, sd=0.01), "%"), as_score(Spread(mean=3.21, sd=0.5), "px")
    ('50.0 ± 1.0', '3.21 ± 0.5')
    """
    if unit == "%" or score is None or score.mean is None:
        return as_spread(score)
    mean = as_number(score.mean)
    return mean if score.sd is None or not math.isfinite(score.mean) else f"{mean} ± {as_number(score.sd)}"


def as_size(value: int | float | None) -> str:
    """Return a large number with three digits and a unit letter.

    >>> as_size(11_176_512), as_size(641_090_608), as_size(950), as_size(None)
    ('11.2 M', '641 M', '950', '–')
    """
    if value is None:
        return NONE
    if not math.isfinite(value):
        return "not finite"
    for limit, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= 0.9995 * limit:
            return f"{_three_digits(value / limit)}{letter}"
    return _three_digits(value)


def as_number(value: float | None) -> str:
    """Return a number with three digits, or a dash.

    >>> as_number(3.14159), as_number(120.4), as_number(None)
    ('3.14', '120', '–')
    """
    if value is None:
        return NONE
    return _three_digits(value) if math.isfinite(value) else "not finite"


def as_number_range(ends: tuple[float, float] | None) -> str:
    """Return two numbers of three digits each, or one where they are equal.

    >>> as_number_range((1.25, 6.25)), as_number_range((0.5, 0.5)), as_number_range(None)
    ('1.25 to 6.25', '0.5', '–')
    """
    if ends is None or ends[0] == ends[1]:
        return as_number(None if ends is None else ends[0])
    return f"{as_number(ends[0])} to {as_number(ends[1])}"


def as_bytes(number: int) -> str:
    """Return a number of bytes with a unit.

    >>> as_bytes(19_876_543), as_bytes(512)
    ('19.9 MB', '512 bytes')
    """
    return next(
        (f"{number / factor:.1f} {unit}" for unit, factor in _BYTES.items() if number >= factor), f"{number} bytes"
    )


def as_duration(seconds: float) -> str:
    """Return a duration in the two units that tell it best.

    >>> as_duration(4.25), as_duration(252.0), as_duration(3_780.0), as_duration(90_000.0)
    ('4.2 s', '4 min 12 s', '1 h 3 min', '25 h 0 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def as_count(number: int, thing: str) -> str:
    """Return a number of things, with the plural where it is due.

    >>> as_count(1, "seed"), as_count(3, "field")
    ('1 seed', '3 fields')
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _three_digits(value: int | float) -> str:
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
