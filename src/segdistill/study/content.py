"""What the report of a study is handed: numbers, words and pictures from the account."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segdistill.engine import read_log
from segdistill.evaluation import CONVENTIONS, Interval, ScoreTable, summarise
from segdistill.networks.describe import StudentFacts
from segdistill.report import (
    ArmRow,
    Convention,
    Dropped,
    Facts,
    GalleryCase,
    Headline,
    Ladder,
    LearningRun,
    Licence,
    ReportContent,
    Rung,
    Spread,
)
from segdistill.study.account import MAIN, TEACHER, ArmAccount
from segdistill.study.arms import ArmRun
from segdistill.study.verdict import Verdict, signed

ROLES = {"all-labels student": "student", "targets alone": "student"}
"""Roles of arms that the report draws as another."""

DESCRIPTIONS = {
    "baseline": "the student's own network, taught by the labels alone",
    "student": "the same network, taught by labels and teacher",
    "control": "the same, its teacher sees only the student's channels",
    "all-labels": "no teacher, every label there is",
    "all-labels student": "teacher and every label there is",
    "targets alone": "the teacher alone, not one label",
    "teacher": "the network that sees every channel",
    "oracle": "was given the labels: no fair competitor",
}
"""Arms in plain words, by role."""


@dataclass(frozen=True, eq=False)
class Told:
    """Everything about a run that is not a score."""

    title: str
    run_id: str
    made: str
    command: str
    regime: str
    notes: tuple[str, ...]
    provenance: tuple[Facts, ...]
    licences: tuple[Licence, ...]
    dropped: tuple[Dropped, ...]
    size: StudentFacts


def make_content(
    account: Mapping[str, ArmAccount],
    verdict: Verdict,
    runs: Sequence[ArmRun],
    gallery: Sequence[GalleryCase],
    told: Told,
) -> ReportContent:
    """Return what the report shows, from top to bottom.

    Args:
        account: By arm.
        verdict: The answer in words.
        runs: Every arm and seed.
        gallery: Best, median and worst fields.
        told: Everything else.
    """
    return ReportContent(
        title=told.title,
        run_id=told.run_id,
        made=told.made,
        answer=verdict.answer,
        verdict=verdict.sentences,
        headlines=headlines(account),
        ladders=ladders(account, told.regime),
        notes=told.notes,
        arms=tuple(arm_row(arm, runs, told.size) for arm in account.values()),
        gallery=tuple(gallery),
        runs=tuple(learning_run(run) for run in runs),
        command=told.command,
        provenance=told.provenance,
        licences=told.licences,
        dropped=told.dropped,
        conventions=tuple(Convention(case=c.situation, rule=c.rule) for c in CONVENTIONS),
    )


def headlines(account: Mapping[str, ArmAccount]) -> tuple[Headline, ...]:
    """Return the numbers of the first screen."""
    student = account["student"]
    found = [Headline(value=percent(mean_of(student)), label="student's Dice", detail=between(student.tables[MAIN]))]
    if student.gain is not None:
        found.append(
            Headline(
                value=f"{signed(student.gain.mean)} points",
                label="gain over the baseline",
                detail=_interval(student.gain.interval),
            )
        )
    for ratio, label in ((student.gap, "of the gap to the teacher closed"), (student.recovery, "recovery")):
        if ratio is not None and ratio.value is not None:
            found.append(Headline(value=f"{100 * ratio.value:.0f} %", label=label, detail=_interval(ratio.interval)))
    total = student.labels.total
    found.append(
        Headline(
            value="unknown" if total is None else str(total),
            label="labelled images used",
            detail=f"{student.labels.training} to train, {student.labels.validation} to choose,"
            f" {'an unknown number' if student.labels.teacher is None else student.labels.teacher} by the teacher",
        )
    )
    return tuple(found)


def ladders(account: Mapping[str, ArmAccount], regime: str) -> tuple[Ladder, ...]:
    """Return the ladder of the regime that was asked for and, where it was run, that with all labels."""
    few = [arm for arm in account.values() if arm.role in {"baseline", "control", "student", "targets alone"}]
    every = [arm for arm in account.values() if arm.role in {"all-labels", "all-labels student"}]
    teacher = [account[TEACHER]] if TEACHER in account else []
    made = [_ladder([*few, *teacher], regime, "baseline", "student")]
    if every:
        made.append(_ladder([*every, *teacher], "all labels", "all-labels", "all-labels-student"))
    return tuple(made)


def _ladder(arms: Sequence[ArmAccount], title: str, baseline: str, student: str) -> Ladder:
    names = [arm.name for arm in arms]
    taught = next((arm for arm in arms if arm.name == student), None)
    gap = None if taught is None else taught.gap
    return Ladder(
        title=title,
        rungs=tuple(_rung(arm) for arm in arms),
        baseline=baseline if baseline in names else None,
        student=student if student in names else None,
        teacher=TEACHER if TEACHER in names else None,
        recovery=None if taught is None or taught.recovery is None else taught.recovery.value,
        gap_closed=None if gap is None else gap.value,
        note="" if gap is None or not gap.reason else f"The gap closed is not stated: {gap.reason}.",
    )


def _rung(arm: ArmAccount) -> Rung:
    table = arm.tables[MAIN]
    summary = summarise(table)
    return Rung(
        name=arm.name,
        role=role_of(arm),
        description=DESCRIPTIONS["oracle" if arm.labels.oracle and arm.role == "teacher" else arm.role],
        score=Spread(mean=summary.mean, sd=summary.sd),
        per_seed={}
        if arm.role == "teacher"
        else dict(zip(table.seeds, table.values.mean(axis=1).tolist(), strict=True)),
        per_field={each.field: Spread(mean=each.mean, sd=each.sd) for each in summary.fields},
        labels_used=arm.labels.total,
    )


def arm_row(arm: ArmAccount, runs: Sequence[ArmRun], size: StudentFacts) -> ArmRow:
    """Return an arm's row of the table; the teacher's has no size, which is not the student's."""
    own = [run for run in runs if run.arm.name == arm.name]
    summaries = {metric: summarise(table) for metric, table in arm.tables.items()}
    is_student = arm.role != "teacher"
    return ArmRow(
        name=arm.name,
        role=role_of(arm),
        setting=f"{arm.labels.training} labels",
        scores={metric: Spread(mean=summary.mean, sd=summary.sd) for metric, summary in summaries.items()},
        recovery=None if arm.recovery is None else arm.recovery.value,
        gap_closed=None if arm.gap is None else arm.gap.value,
        labels_used=arm.labels.total,
        parameters=size["parameters"] if is_student else None,
        encoder_parameters=size["encoder_parameters"] if is_student else None,
        gigamacs_per_megapixel=size["gigamacs_per_megapixel"] if is_student else None,
        train_minutes=float(np.mean([run.facts["seconds"] for run in own])) / 60 if own else None,
    )


def role_of(arm: ArmAccount) -> Any:
    """Return how the report draws an arm."""
    return "oracle" if arm.role == "teacher" and arm.labels.oracle else ROLES.get(arm.role, arm.role)


def learning_run(run: ArmRun) -> LearningRun:
    """Return the log of one arm and seed."""
    return LearningRun(
        arm=run.arm.name,
        role=ROLES.get(run.arm.role, run.arm.role),  # pyright: ignore[reportArgumentType]  (the report refuses unknown ones)
        seed=run.seed,
        records=tuple(read_log(run.folder)),
    )


def mean_of(arm: ArmAccount) -> float:
    """Return an arm's mean over seeds and units."""
    return float(arm.tables[MAIN].values.mean())


def percent(value: float) -> str:
    """Return a fraction as it is read.

    >>> percent(0.7836)
    '78.4 %'
    """
    return f"{100 * value:.1f} %"


def between(table: ScoreTable) -> str:
    """Return how a mean is spread, in words."""
    summary = summarise(table)
    spread = "one seed" if summary.sd is None else f"± {100 * summary.sd:.1f} over {len(table.seeds)} seeds"
    return f"{spread}, {len(table.fields)} field{'s' if len(table.fields) != 1 else ''}"


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return "one field: no interval"
    return f"95 % interval {100 * interval.low:.1f} to {100 * interval.high:.1f}".replace("-", "−")
