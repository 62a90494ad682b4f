"""Scores of one set of predictions over fields: the table that is printed, and the file of every score."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segdistill.errors import ConfigError
from segdistill.evaluation.folders import FolderScores
from segdistill.evaluation.metrics import SHARE, find_metric
from segdistill.evaluation.statistics import Interval, bootstrap_interval
from segdistill.evaluation.summary import Record, score_tables
from segdistill.files import neutral_cell, whole_file

COLUMNS = ("field", "group", "structure", "metric", "value", "unit", "better", "empty", "reason")
"""Of the file of scores. ``empty`` and ``reason`` say what was not there or could not be used."""

MACRO = "macro mean"
"""Stands for a structure: the mean over structures, each with one vote."""


@dataclass(frozen=True)
class Spread:
    """One score over fields."""

    structure: str
    """Name of the structure, or ``MACRO``."""

    metric: str
    """Name of the score."""

    unit: str
    """Of the numbers below."""

    fields: int
    """How many there are."""

    mean: float
    """Over fields."""

    sd: float | None
    """Standard deviation over fields (n − 1); None for one field."""

    interval: Interval | None
    """95 % interval of the mean by bootstrap over fields; None for one field."""

    worst: tuple[str, float]
    """The worst field and its score: the lowest where higher is better, else the highest."""

    empties: Mapping[str, int]
    """How many fields had something empty, by what; see ``conventions``."""


def spreads(rows: Iterable[Record]) -> tuple[Spread, ...]:
    """Return every score over fields.

    Args:
        rows: Of one arm and seed.

    Raises:
        DataError: A score is not finite, or the units of one score differ.
        UnknownName: There is no such score.

    >>> row = {"structure": "cell", "metric": "dice", "empty": "", "arm": "a", "seed": 0}
    >>> spreads([{**row, "field": "A01", "value": 0.5}, {**row, "field": "A02", "value": 0.75}])[0].worst
    ('A01', 0.5)
    """
    found = []
    for (_, structure, metric), table in score_tables(rows).items():
        values = table.values[0]
        worst = int(values.argmin() if find_metric(metric).higher_is_better else values.argmax())
        found.append(
            Spread(
                structure,
                metric,
                table.unit,
                len(values),
                float(values.mean()),
                float(values.std(ddof=1)) if len(values) > 1 else None,
                bootstrap_interval(table.values),
                (table.fields[worst], float(values[worst])),
                table.empties,
            )
        )
    return tuple(found)


def macro_rows(rows: Sequence[Record]) -> tuple[Record, ...]:
    """Return the mean over structures of every score of every field.

    A field counts the structures that are labelled in it. Scores that only one structure has are left
    out: there is nothing to take a mean of.

    Args:
        rows: Of one arm and seed.

    Raises:
        ConfigError: A structure is called as the mean is.

    >>> row = {"metric": "dice", "empty": "", "arm": "a", "seed": 0, "field": "A01"}
    >>> rows = [{**row, "structure": name, "value": value} for name, value in (("cell", 0.5), ("organ", 1.0))]
    >>> [(row["structure"], row["value"]) for row in macro_rows(rows)]
    [('macro mean', 0.75)]
    """
    having: defaultdict[str, set[str]] = defaultdict(set)
    of_field: defaultdict[tuple[str, str], list[Record]] = defaultdict(list)
    for row in rows:
        if row["structure"] == MACRO:
            raise ConfigError(f"A structure is called {MACRO!r}, as the mean over structures is. Rename it.")
        having[row["metric"]].add(row["structure"])
        of_field[row["field"], row["metric"]].append(row)
    return tuple(
        Record(
            **{**group[0], "structure": MACRO, "value": float(np.mean([row["value"] for row in group])), "empty": ""}
        )
        for (_, metric), group in of_field.items()
        if len(having[metric]) > 1
    )


def write_scores(path: Path, scores: Iterable[FolderScores]) -> None:
    """Write one row per field, structure and metric, whole or not at all; fields without scores have a row too.

    Raises:
        EnvironmentFault: The file cannot be written.
    """
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(COLUMNS)
        for each in scores:
            for row in each.rows:
                metric = find_metric(row["metric"])
                reasons = each.without_map if metric.needs_probability else each.failed
                better = "higher" if metric.higher_is_better else "lower"
                told = {"unit": SHARE, "better": better, "reason": reasons.get(row["field"], "")}
                writer.writerow(_cells({**told, **row}))
            for name, reason in each.unscored.items():
                writer.writerow(_cells({"field": name, "reason": reason}))


def _cells(row: Mapping[str, object]) -> list[object]:
    cells = (row.get(column, "") for column in COLUMNS)
    return [neutral_cell(cell) if isinstance(cell, str) else cell for cell in cells]
