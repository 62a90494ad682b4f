"""Scores of each structure by itself, the student's worst first."""

from collections.abc import Sequence

from segdistill.evaluation import mean_sd
from segdistill.evaluation.metrics import SHARE
from segdistill.evaluation.summary import Record, score_tables
from segdistill.report import Spread, StructureRow

SHOWN = {"dice": "Dice", "hd95": "HD95", "ap50": "AP@0.5"}
"""Metric to how it is called."""


def structure_rows(records: Sequence[Record], *, student: str) -> tuple[StructureRow, ...]:
    """Return every structure's scores by arm; nothing where there is one structure.

    Args:
        records: Every score of every arm and seed, the teacher's too.
        student: The arm by whose Dice structures are put in order.
    """
    tables = score_tables(records)
    names = list(dict.fromkeys(structure for _, structure, _ in tables))
    arms = list(dict.fromkeys(arm for arm, _, _ in tables))
    if len(names) < 2:
        return ()
    units = {row["metric"]: row.get("unit", SHARE) for row in records}
    found = []
    for name in names:
        for metric, words in SHOWN.items():
            own = {arm: tables[arm, name, metric] for arm in arms if (arm, name, metric) in tables}
            if own:
                scores = dict(zip(own, (_spread(*mean_sd(table.values)) for table in own.values()), strict=True))
                unit = "%" if units[metric] == SHARE else units[metric]
                fields = max(len(table.fields) for table in own.values())
                found.append(StructureRow(structure=name, metric=words, unit=unit, fields=fields, scores=scores))
    dice = {row.structure: _of(row, student) for row in found if row.metric == SHOWN["dice"]}
    return tuple(sorted(found, key=lambda row: dice[row.structure]))


def _spread(mean: float, sd: float | None) -> Spread:
    return Spread(mean=mean, sd=sd)


def _of(row: StructureRow, arm: str) -> float:
    """Return an arm's score; the best there is where it has none, so that others come first."""
    spread = row.scores.get(arm)
    return 1.0 if spread is None or spread.mean is None else spread.mean
