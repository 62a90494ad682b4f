"""Scores of one set of predictions over fields: the table that is printed, and the file of every score."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from segdistill.evaluation.folders import FolderScores
from segdistill.evaluation.statistics import Interval, bootstrap_interval
from segdistill.evaluation.summary import Record, score_tables
from segdistill.files import neutral_cell, whole_file

COLUMNS = ("field", "structure", "metric", "value", "empty", "reason")
"""Of the file of scores. ``empty`` and ``reason`` say what was not there or could not be used."""


@dataclass(frozen=True)
class Spread:
    """One score over fields."""

    structure: str
    """Name of the structure."""

    metric: str
    """Name of the score."""

    fields: int
    """How many there are."""

    mean: float
    """Over fields, 0 to 1."""

    sd: float | None
    """Standard deviation over fields (n − 1); None for one field."""

    interval: Interval | None
    """95 % interval of the mean by bootstrap over fields; None for one field."""

    lowest: tuple[str, float]
    """The worst field and its score."""

    empties: Mapping[str, int]
    """How many fields had something empty, by what; see ``conventions``."""


def spreads(rows: Iterable[Record]) -> tuple[Spread, ...]:
    """Return every score over fields.

    Args:
        rows: Of one arm and seed.

    >>> row = {"structure": "cell", "metric": "dice", "empty": "", "arm": "a", "seed": 0}
    >>> spreads([{**row, "field": "A01", "value": 0.5}, {**row, "field": "A02", "value": 0.75}])[0].lowest
    ('A01', 0.5)
    """
    found = []
    for (_, structure, metric), table in score_tables(rows).items():
        values = table.values[0]
        worst = int(values.argmin())
        found.append(
            Spread(
                structure,
                metric,
                len(values),
                float(values.mean()),
                float(values.std(ddof=1)) if len(values) > 1 else None,
                bootstrap_interval(table.values),
                (table.fields[worst], float(values[worst])),
                table.empties,
            )
        )
    return tuple(found)


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
                writer.writerow(_cells({**row, "reason": each.failed.get(row["field"], "")}))
            for name, reason in each.unscored.items():
                writer.writerow(_cells({"field": name, "reason": reason}))


def _cells(row: Mapping[str, object]) -> list[object]:
    cells = (row.get(column, "") for column in COLUMNS)
    return [neutral_cell(cell) if isinstance(cell, str) else cell for cell in cells]
