"""From rows of scores to a table by seed and field, and from that to a mean and its spread.

The unit is the field: rows of one field (crops, tiles, neighbouring images) are averaged first.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from types import MappingProxyType
from typing import NotRequired

import numpy as np
from jaxtyping import Float64

from segdistill.errors import DataError
from segdistill.evaluation.metrics import SHARE
from segdistill.evaluation.scores import Row
from segdistill.evaluation.statistics import Interval, bootstrap_interval, mean_sd

Key = tuple[str, str, str]
"""Arm, structure, metric."""


class Record(Row):
    """One row of a run's scores: who made the prediction, and of what."""

    arm: str
    """Name of the arm."""

    seed: int
    """Seed of the training."""

    field: str
    """The acquired image (or patient) that this is of; several rows may share it."""

    image: NotRequired[str]
    """Which of the field's images; rows of runs of earlier versions do not say."""

    group: NotRequired[str]
    """What the field belongs to (a patient, a slide), where somebody said so."""


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """One score per seed and field, of one arm, structure and metric."""

    seeds: tuple[int, ...]
    """In rising order."""

    fields: tuple[str, ...]
    """In alphabetical order."""

    values: Float64[np.ndarray, "seed field"]
    """In the unit."""

    empties: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """How many rows, over all seeds, had something empty, by what; see ``conventions``."""

    unit: str = SHARE
    """Of every value, such as "0 to 1", "px" or "µm"; a share and a length are never averaged together."""


@dataclass(frozen=True)
class FieldSummary:
    """The scores of one field over seeds."""

    field: str
    """Name of the field."""

    mean: float
    """Over seeds, in the table's unit."""

    sd: float | None
    """Standard deviation over seeds (n − 1); None for one seed."""


@dataclass(frozen=True)
class Summary:
    """What a table comes to."""

    mean: float
    """Over fields and seeds, in the table's unit."""

    sd: float | None
    """Standard deviation over seeds (n − 1) of the mean over fields; None for one seed."""

    interval: Interval | None
    """95 % interval of the mean by bootstrap over seeds and fields; None for one field."""

    fields: tuple[FieldSummary, ...]
    """Each field by itself."""

    empties: Mapping[str, int]
    """How many rows, over all seeds, had something empty, by what."""

    unit: str = SHARE
    """Of means, spread and interval."""


def score_tables(records: Iterable[Record]) -> dict[Key, ScoreTable]:
    """Return one table per arm, structure and metric.

    Args:
        records: Rows of scores. Several of one field under one seed are averaged.

    Raises:
        DataError: A score is not finite, the units of one score differ, or a seed lacks a field that
            another seed has: a missing prediction must be scored as such (``score_case(None, ...)``),
            never left out.
    """
    grouped: defaultdict[Key, list[Record]] = defaultdict(list)
    for record in records:
        if not isfinite(record["value"]):
            raise DataError(
                f"The {record['metric']} of {record['field']!r} ({record['arm']}, seed {record['seed']}) is"
                f" {record['value']}. Every score must be a finite number; see the conventions."
            )
        grouped[record["arm"], record["structure"], record["metric"]].append(record)
    return {key: _table(key, group) for key, group in grouped.items()}


def summarise(table: ScoreTable) -> Summary:
    """Return the mean of a table, its spread over seeds, its interval, and each field by itself.

    >>> table = ScoreTable((0, 1), ("a", "b"), np.array([[0.4, 0.6], [0.6, 0.8]]))
    >>> summary = summarise(table)
    >>> round(summary.mean, 3), [round(each.mean, 3) for each in summary.fields]
    (0.6, [0.5, 0.7])
    """
    mean, sd = mean_sd(table.values)
    by_field = (mean_sd(table.values[:, [index]]) for index in range(len(table.fields)))
    fields = tuple(FieldSummary(name, *each) for name, each in zip(table.fields, by_field, strict=True))
    return Summary(mean, sd, bootstrap_interval(table.values), fields, table.empties, table.unit)


def _unit(key: Key, records: list[Record]) -> str:
    units = sorted({record.get("unit", SHARE) for record in records})
    if len(units) > 1:
        raise DataError(
            f"The {key[2]} of {key[1]!r} by {key[0]!r} is given in {' and in '.join(units)}, and no mean can be taken"
            " of both. Score all fields with one unit and one tolerance."
        )
    return units[0]


def _table(key: Key, records: list[Record]) -> ScoreTable:
    cells: defaultdict[tuple[int, str], list[float]] = defaultdict(list)
    for record in records:
        cells[record["seed"], record["field"]].append(record["value"])
    seeds, fields = sorted({seed for seed, _ in cells}), sorted({name for _, name in cells})
    gaps = [f"{name!r} under seed {seed}" for seed in seeds for name in fields if (seed, name) not in cells]
    if gaps:
        raise DataError(
            f"The {key[2]} of {key[1]!r} by {key[0]!r} is missing for {len(gaps)} of {len(seeds) * len(fields)} fields"
            f" and seeds: {', '.join(gaps[:5])}{', ...' if len(gaps) > 5 else ''}."
            " Run what is missing, or score it as a missing prediction."
        )
    values = np.array([[np.mean(cells[seed, name]) for name in fields] for seed in seeds], np.float64)
    empties = Counter(record["empty"] for record in records if record["empty"])
    return ScoreTable(tuple(seeds), tuple(fields), values, MappingProxyType(dict(empties)), _unit(key, records))
