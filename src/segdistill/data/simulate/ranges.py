"""Settings that must lie within ranges."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from segdistill.errors import ConfigError


def check_ranges(settings: Any, ranges: Mapping[str, tuple[int | float, int | float]], *, what: str) -> None:
    """Refuse settings of which a value lies outside its range.

    Args:
        settings: Has every name of the ranges.
        ranges: Lowest and highest value of each, both allowed.
        what: Cannot be made so, for the message.

    Raises:
        ConfigError: Every such value is named at once.
    """
    problems = [
        f"{name} is {value}, but it must lie between {low:g} and {high:g}"
        for name, (low, high) in ranges.items()
        if not (low <= (value := getattr(settings, name)) <= high and isfinite(value))
    ]
    if problems:
        raise ConfigError(f"{what} cannot be made so: {'; '.join(problems)}. Change these settings.")
