"""What distillation bought: one number per arm, what it rests on, and how sure it is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from segdistill.errors import DataError
from segdistill.evaluation import Interval, Ratio, ScoreTable, bootstrap_interval, gap_closed, recovery, score_tables
from segdistill.evaluation.summary import Record
from segdistill.settings import Arm

MAIN = "dice"
"""The metric of the ladder."""

TEACHER = "teacher"
"""Name of the teacher's own row in every table."""


@dataclass(frozen=True, eq=False)
class ArmAccount:
    """One arm's share of the account."""

    name: str
    role: str
    tables: Mapping[str, ScoreTable]
    """Metric to scores by seed and unit, the mean over structures."""

    labels: "Labels"
    recovery: Ratio | None
    """Against the teacher; None for the teacher itself or where there is none."""

    gap: Ratio | None
    """Share of the gap closed between baseline and teacher; None for those two."""

    gain: "Gain | None"
    """Against the baseline of the same labels; None for the baseline and the teacher."""


@dataclass(frozen=True)
class Labels:
    """Labelled images that an arm used, wherever it used them."""

    training: int
    """To train the student."""

    validation: int
    """To choose weights and thresholds."""

    teacher: int | None
    """To fit the teacher; 0 where the arm has none, None where nobody stated it."""

    shared: int = 0
    """How many of the teacher's are among the student's own: each image is counted once."""

    oracle: bool = False
    """Whether the teacher was given the labels of the very images it taught on."""

    @property
    def total(self) -> int | None:
        """All of them, each once; None where the teacher's are not known."""
        return None if self.teacher is None else self.training + self.validation + self.teacher - self.shared


@dataclass(frozen=True)
class Gain:
    """A difference of two arms on the same units and seeds."""

    mean: float
    """First minus second."""

    interval: Interval | None
    """95 % by bootstrap over seeds and units; None with one unit."""

    better: int
    """Units on which the first is better, averaged over seeds."""

    units: int
    """All units."""

    @property
    def clear(self) -> bool:
        """Whether the interval excludes zero."""
        return self.interval is not None and (self.interval.low > 0 or self.interval.high < 0)


def arm_tables(records: Iterable[Record]) -> dict[str, dict[str, ScoreTable]]:
    """Return each arm's scores by metric, the mean over structures.

    Args:
        records: Rows of scores, ``field`` being the unit: images of one group share it.
    """
    by_arm: dict[str, dict[str, list[ScoreTable]]] = {}
    for (arm, _, metric), table in score_tables(records).items():
        by_arm.setdefault(arm, {}).setdefault(metric, []).append(table)
    return {
        arm: {metric: _mean_over_structures(tables) for metric, tables in metrics.items()}
        for arm, metrics in by_arm.items()
    }


def _mean_over_structures(tables: Sequence[ScoreTable]) -> ScoreTable:
    """Return the mean over structures of what each unit has; a unit that lacks a structure has the others' mean."""
    if len(tables) == 1:
        return tables[0]
    units = tuple(sorted({unit for table in tables for unit in table.fields}))
    stacked = np.full((len(tables), len(tables[0].seeds), len(units)), np.nan)
    for place, table in enumerate(tables):
        stacked[place][:, [units.index(unit) for unit in table.fields]] = table.values
    return replace(tables[0], fields=units, values=np.nanmean(stacked, axis=0))


def gain_of(first: ScoreTable, second: ScoreTable) -> Gain:
    """Return how much better the first arm is than the second.

    Raises:
        DataError: The arms have other units or seeds.

    >>> table = lambda *scores: ScoreTable((0,), ("a", "b"), np.array([scores]))
    >>> gain_of(table(0.75, 0.8), table(0.5, 0.8)).mean
    0.125
    """
    if first.fields != second.fields or (first.seeds != second.seeds and len(second.seeds) > 1):
        raise DataError(
            f"Two arms cannot be compared: one has units {first.fields} and seeds {first.seeds}, the other"
            f" {second.fields} and {second.seeds}. Run both on the same."
        )
    difference = first.values - second.values
    by_unit = difference.mean(axis=0)
    return Gain(float(by_unit.mean()), bootstrap_interval(difference), int((by_unit > 0).sum()), len(by_unit))


def make_account(records: Sequence[Record], arms: Sequence[Arm], labels: Mapping[str, Labels]) -> dict[str, ArmAccount]:
    """Return the account of a study, by arm, the teacher among them where it was scored.

    Args:
        records: Every score of every arm and seed, and the teacher's own under ``TEACHER``.
        arms: What was run.
        labels: What each of them, and the teacher, used.
    """
    tables = arm_tables(records)
    teacher = tables.get(TEACHER)
    account = {}
    for arm in arms:
        own = tables[arm.name]
        other = _baseline_of(arm, arms)
        baseline = None if other is None else tables[other.name][MAIN]
        account[arm.name] = ArmAccount(
            arm.name,
            arm.role,
            own,
            labels[arm.name],
            None if teacher is None else recovery(own[MAIN], teacher[MAIN]),
            None if teacher is None or baseline is None else gap_closed(own[MAIN], baseline, teacher[MAIN]),
            None if baseline is None else gain_of(own[MAIN], baseline),
        )
    if teacher is not None:
        account[TEACHER] = ArmAccount(TEACHER, "teacher", teacher, labels[TEACHER], None, None, None)
    return account


def _baseline_of(arm: Arm, arms: Sequence[Arm]) -> Arm | None:
    """Return the arm without a teacher that has the same labels; None for such an arm itself."""
    if arm.teacher is None:
        return None
    return next((other for other in arms if other.teacher is None and other.labels == arm.labels), None)
