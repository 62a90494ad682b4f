"""Training logs as series of points, one per quantity."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

Point = tuple[float, float]
"""Step and value."""

KINDS = ("Validation", "Whole loss", "Loss term", "Weight", "Learning rate")
"""Kinds of quantities, in the order in which they are shown."""

_SINGLE = {"loss": "Whole loss", "learning_rate": "Learning rate"}
_NAMED = {"validation": "Validation", "terms": "Loss term", "weights": "Weight"}


def read_series(records: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], list[Point]]:
    """Return every quantity in a log.

    Args:
        records: Lines of log.jsonl. A line without a step says nothing about learning and is passed over.

    Returns:
        Kind and name (empty for the whole loss and the learning rate) to its points in the log's order. A
        value that is no number, as JSON writes what is not finite, is a NaN.

    >>> read_series([{"step": 5, "loss": 0.5, "terms": {"kd": None}}])
    {('Whole loss', ''): [(5.0, 0.5)], ('Loss term', 'kd'): [(5.0, nan)]}
    """
    found: dict[tuple[str, str], list[Point]] = {}
    for record in records:
        step = _number(record.get("step"))
        if math.isfinite(step):
            for quantity, value in _values(record):
                found.setdefault(quantity, []).append((step, _number(value)))
    return found


def _values(record: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Any]]:
    for field, kind in _SINGLE.items():
        if field in record:
            yield (kind, ""), record[field]
    for field, kind in _NAMED.items():
        for name, value in (record.get(field) or {}).items():
            yield (kind, name), value


def _number(value: Any) -> float:
    return float(value) if isinstance(value, Real) else math.nan


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """Return at most so many points that keep every peak: the least and greatest of each stretch.

    Args:
        points: Finite, by step.
        most: At least 2.

    >>> thinned([(0.0, 1.0), (1.0, 9.0), (2.0, 1.0), (3.0, 0.0)], 2)
    [(1.0, 9.0), (3.0, 0.0)]
    """
    if len(points) <= most:
        return list(points)
    stretches = most // 2
    kept = []
    for place in range(stretches):
        part = points[place * len(points) // stretches : (place + 1) * len(points) // stretches]
        ends = {min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])}
        kept += sorted(ends)
    return kept
