"""What distillation bought: one number per arm, what it rests on, and how sure it is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from segdistill.evaluation import Gain, Ratio, ScoreTable, equal_labels, gain_of, gap_closed, recovery, score_tables
from segdistill.evaluation.summary import Record
from segdistill.settings import Arm
from segdistill.study.saved import Saved

MAIN = "dice"
"""The metric of the ladder."""

TEACHER = "teacher"
"""Name of the teacher's own row in every table: of the one about which the study asks."""

STUDENT = "student"
"""Name of the arm that the main job is about."""


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

    gain: Gain | None
    """Against the baseline of the same labels; None for the baseline and the teacher."""

    baseline: str | None
    """Name of that baseline; None where there is none."""

    budget: int | None
    """Labelled training images that it was allowed; None: all, or the teacher, which is allowed none here."""

    arm: Arm | None
    """What was run; None for a teacher."""

    saved: Saved | None
    """Labels saved; None without a teacher, or where baselines of fewer than two label budgets were run."""


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

    before: int | None = 0
    """By the model that training begins with; whether images are among the others is not known, so each counts. None:
    nobody stated it."""

    @property
    def total(self) -> int | None:
        """All of them, each once; None where the teacher's, or those of what training begins with, are not known."""
        if self.teacher is None or self.before is None:
            return None
        return self.training + self.validation + self.before + self.teacher - self.shared


def most_labels(used: Iterable[Labels]) -> Labels:
    """Return the largest of what the seeds of an arm used: each seed may share other images with its teacher.

    Args:
        used: At least one. One whose total is not known is the largest.

    >>> most_labels([Labels(4, 2, 10, shared=4), Labels(4, 2, 10, shared=3)]).total
    13
    """
    return max(used, key=lambda labels: inf if labels.total is None else labels.total)


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


def row_of(teacher: str, asked: str | None) -> str:
    """Return the name of a teacher's own row in every table.

    Args:
        teacher: By its name in the study.
        asked: The teacher about which the study asks; None: there is none.
    """
    return TEACHER if teacher == asked else f"{TEACHER} {teacher}"


def ruling_teacher(arm: Arm, asked: str | None) -> str | None:
    """Return the teacher that an arm is measured by: its own, but of a control the one about which the study asks."""
    return asked if arm.teacher is None or arm.role == "control" else arm.teacher


def teacher_rows(arms: Sequence[Arm], asked: str | None) -> dict[str, str]:
    """Return the teachers by which arms are measured, by their rows' names; first the one that the study asks about."""
    names = dict.fromkeys([asked, *(ruling_teacher(arm, asked) for arm in arms)])
    return {row_of(name, asked): name for name in names if name is not None}


def make_account(
    records: Sequence[Record], arms: Sequence[Arm], labels: Mapping[str, Labels], *, asked: str | None = TEACHER
) -> dict[str, ArmAccount]:
    """Return the account of a study, by arm, the teachers among them where they were scored.

    Args:
        records: Every score of every arm and seed, and the teachers' own under ``row_of``.
        arms: What was run.
        labels: What each of them, and the teachers, used, by the names of their rows.
        asked: The teacher about which the study asks, by its name in the study; None: there is none.
    """
    tables = arm_tables(records)
    account = {}
    for arm in arms:
        own, ruling = tables[arm.name], ruling_teacher(arm, asked)
        teacher = None if ruling is None else tables.get(row_of(ruling, asked))
        other = baseline_of(arm, arms)
        baseline = None if other is None else tables[other.name][MAIN]
        account[arm.name] = ArmAccount(
            name=arm.name,
            role=arm.role,
            tables=own,
            labels=labels[arm.name],
            recovery=None if teacher is None else recovery(own[MAIN], teacher[MAIN]),
            gap=None if teacher is None or baseline is None else gap_closed(own[MAIN], baseline, teacher[MAIN]),
            gain=None if baseline is None else gain_of(own[MAIN], baseline),
            baseline=None if other is None else other.name,
            budget=arm.labels,
            arm=arm,
            saved=_saved(arm, arms, tables, labels),
        )
    for row in teacher_rows(arms, asked):
        if row in tables:
            account[row] = _teacher(row, tables[row], labels[row])
    return account


def _teacher(name: str, tables: Mapping[str, ScoreTable], labels: Labels) -> ArmAccount:
    return ArmAccount(
        name=name,
        role="teacher",
        tables=tables,
        labels=labels,
        recovery=None,
        gap=None,
        gain=None,
        baseline=None,
        budget=None,
        arm=None,
        saved=None,
    )


def baseline_of(arm: Arm, arms: Sequence[Arm]) -> Arm | None:
    """Return the arm without a teacher that has the same labels; None for such an arm itself.

    Of several, the one with the same other terms: nothing but the teacher should differ. Of an arm without a
    teacher that was pre-trained, it is one that was not; of a rival, one that learns from no other channel.
    """
    same = [other for other in arms if other.labels == arm.labels]
    if arm.teacher is None and arm.encoder_weights is None and not arm.helped:
        return None
    return _closest(arm, same)


def _closest(arm: Arm, others: Sequence[Arm]) -> Arm | None:
    begun = {None} if arm.teacher is None else {None, arm.encoder_weights}
    untaught = [
        other for other in others if other.teacher is None and not other.helped and other.encoder_weights in begun
    ]
    return min(untaught, key=lambda other: _unlike(arm, other)) if untaught else None


def _unlike(arm: Arm, other: Arm) -> int:
    first, second = arm.untaught(), other.untaught()
    terms = sum(getattr(first, each) != getattr(second, each) for each in ("boundary", "weighting", "weights"))
    return terms + 4 * (arm.teacher is not None and arm.encoder_weights != other.encoder_weights)


def _saved(
    arm: Arm, arms: Sequence[Arm], tables: Mapping[str, Mapping[str, ScoreTable]], labels: Mapping[str, Labels]
) -> Saved | None:
    """Return the labels that an arm saved, where baselines of two budgets or more are there to say so."""
    if arm.teacher is None:
        return None
    budgets = dict.fromkeys(other.labels for other in arms)
    same = (_closest(arm, [other for other in arms if other.labels == budget]) for budget in budgets)
    baselines = {labels[other.name].training: other.name for other in same if other is not None}
    if len(baselines) < 2:
        return None
    curve = {training: tables[name][MAIN] for training, name in baselines.items()}
    baseline = labels[next(iter(baselines.values()))]
    beside = baseline.validation + (baseline.before or 0)  # where it is not known, nothing is said of labels saved
    return Saved(equal_labels(tables[arm.name][MAIN], curve), beside, labels[arm.name].total)
