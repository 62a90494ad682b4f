"""Every score of every arm: of each structure and, where there are several, their mean."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from segdistill.evaluation import mean_sd
from segdistill.evaluation.metrics import METRICS, SHARE
from segdistill.evaluation.summary import Record, ScoreTable, score_tables
from segdistill.report import MetricRow, Spread
from segdistill.study.account import arm_tables

TITLES: Mapping[str, str] = MappingProxyType(
    {
        "dice": "Dice",
        "iou": "IoU",
        "precision": "Precision",
        "recall": "Recall",
        "hd95": "HD95",
        "msd": "Mean surface distance",
        "nsd": "NSD",
        "boundary_dice": "Boundary Dice",
        "ap50": "AP@0.5",
        "map": "AP@0.5…0.95",
        "f1": "F1",
        "pq": "PQ",
        "aji_plus": "AJI+",
        "splits": "Splits",
        "merges": "Merges",
        "ece": "Calibration error",
    }
)
"""How every score is called, in the order in which they are shown."""

MACRO = "mean over structures"


def metric_rows(records: Sequence[Record]) -> tuple[MetricRow, ...]:
    """Return every score that was taken, by arm; of several structures their mean first, then each.

    Who does not describe every structure, as many a teacher, has no mean: it would be of something else.

    Args:
        records: Every score of every arm and seed, the teacher's too, of the run's own test fields.
    """
    tables = score_tables(records)
    arms = list(dict.fromkeys(arm for arm, _, _ in tables))
    structures = list(dict.fromkeys(structure for _, structure, _ in tables))
    means = arm_tables(records) if len(structures) > 1 else {}
    return tuple(_rows(tables, means, arms, structures))


def _rows(
    tables: Mapping[tuple[str, str, str], ScoreTable],
    means: Mapping[str, Mapping[str, ScoreTable]],
    arms: Sequence[str],
    structures: Sequence[str],
) -> Iterator[MetricRow]:
    for metric in TITLES:
        of_structures = {
            name: {arm: tables[arm, name, metric] for arm in arms if (arm, name, metric) in tables}
            for name in structures
        }
        having = {name: own for name, own in of_structures.items() if own}
        whole = [arm for arm in arms if all(arm in own for own in having.values())]
        if len(having) > 1 and whole:
            yield _row(metric, MACRO, {arm: means[arm][metric] for arm in whole})
        for name, own in having.items():
            yield _row(metric, name, own)


def _row(metric: str, structure: str, own: Mapping[str, ScoreTable]) -> MetricRow:
    about, first = METRICS[metric], next(iter(own.values()))
    return MetricRow(
        metric=TITLES[metric],
        meaning=about.meaning,
        unit=unit_words(first.unit),
        higher_is_better=about.higher_is_better,
        structure=structure,
        fields=max(len(table.fields) for table in own.values()),
        scores={arm: Spread(mean=mean, sd=sd) for arm, (mean, sd) in _means(own)},
    )


def _means(own: Mapping[str, ScoreTable]) -> Iterator[tuple[str, tuple[float, float | None]]]:
    yield from ((arm, mean_sd(table.values)) for arm, table in own.items())


def unit_words(unit: str) -> str:
    """Return a unit as it stands beside numbers: shares are percentages.

    >>> unit_words("0 to 1"), unit_words("0 to 1, 2 px"), unit_words("µm")
    ('%', '% within 2 px', 'µm')
    """
    share, _, tolerance = unit.partition(", ")
    if share != SHARE:
        return unit
    return f"% within {tolerance}" if tolerance else "%"
