"""What the report of a study is handed: numbers, words and pictures from the account."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from segdistill.engine import read_log
from segdistill.evaluation import CONVENTIONS, Interval, Ratio, ScoreTable, summarise
from segdistill.evaluation.metrics import USUAL
from segdistill.networks.describe import StudentFacts
from segdistill.report import (
    AgreementRow,
    ArmRow,
    ChannelRow,
    ComparisonRow,
    Convention,
    CostPoint,
    DataCheck,
    Dropped,
    Facts,
    GainPoint,
    GalleryCase,
    GroupScores,
    Headline,
    Ladder,
    LearningRun,
    Licence,
    MetricRow,
    ParametersRow,
    ReferenceRow,
    ReliabilityCurve,
    ReportContent,
    Rung,
    ShiftRow,
    SizeRow,
    Spread,
    StructureRow,
)
from segdistill.report.wording import as_count, as_points
from segdistill.study.account import MAIN, STUDENT, TEACHER, ArmAccount
from segdistill.study.arms import ArmRun, counted_parameters
from segdistill.study.claims import claim_rows
from segdistill.study.comparisons import ALONE, Beside, Compared, comparisons_of, of_role
from segdistill.study.energy import energy_of
from segdistill.study.findings import Beyond
from segdistill.study.saved import saved_words
from segdistill.study.verdict import Verdict, on_few_seeds

ROLES = {"all-labels student": "student", "targets alone": "student", "pretrained": "student", "rival": "control"}
"""Roles of arms that the report draws as another."""

DESCRIPTIONS = {
    "baseline": "the student's own network, taught by the labels alone",
    "pretrained": "the same network, its encoder pre-trained, taught by the labels alone",
    "rival": "no teacher: learns from the other channels themselves",
    "student": "the same network, taught by labels and teacher",
    "control": "the same, its teacher sees only the student's channels",
    "all-labels": "no teacher, every label there is",
    "all-labels student": "teacher and every label there is",
    "targets alone": "the teacher alone, not one label",
    "teacher": "the network that sees every channel",
    "oracle": "was given the labels: no fair competitor",
}
"""Arms in plain words, by role."""


NOT_ASKED: Mapping[str, str] = MappingProxyType({})

COMPARED = {MAIN: "Dice", "ap50": "AP@0.5"}
"""Metrics in which arms are compared, and how they are called. Each is a family of tests by itself."""


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
    references: tuple[ReferenceRow, ...] = ()
    """Numbers of others."""

    asked: Mapping[str, str] = field(default_factory=dict)
    """How each teacher was asked, in words, by the name of its row; without those that have no prompting."""


@dataclass(frozen=True, eq=False)
class Looked:
    """What was seen on the test fields themselves."""

    gallery: Sequence[GalleryCase]
    """Best, median and worst fields."""

    sizes: tuple[SizeRow, ...] = ()
    """Which sizes of objects were found."""

    structures: tuple[StructureRow, ...] = ()
    """Scores of each structure; empty: there is one."""

    metrics: tuple[MetricRow, ...] = ()
    """Every score that was taken."""

    checked: DataCheck | None = None
    """The data, as a survey found it; None: nobody looked."""

    beyond: Beyond = field(default_factory=Beyond)
    """What speaks to the papers' claims beside the account."""

    groups: GroupScores | None = None
    """Scores by a column of the manifest; None: none was named."""

    gains: tuple[GainPoint, ...] = ()
    """What distillation bought each student of a study."""

    parameters: tuple[ParametersRow, ...] = ()
    """Of each arm in training and in use."""

    costs: tuple[CostPoint, ...] = ()
    """Score against time."""

    machine: str = ""
    """On what it was timed."""

    reliability: tuple[ReliabilityCurve, ...] = ()
    """Whether probabilities mean what they say."""

    agreement: tuple[AgreementRow, ...] = ()
    """Where networks and their teacher differ."""

    channels: tuple[ChannelRow, ...] = ()
    """What each channel is worth."""

    shift: tuple[ShiftRow, ...] = ()
    """Students on other data sets."""


def make_content(
    account: Mapping[str, ArmAccount],
    verdict: Verdict,
    runs: Sequence[ArmRun],
    looked: Looked,
    told: Told,
    *,
    student: str = STUDENT,
    beside: Beside = ALONE,
) -> ReportContent:
    """Return what the report shows, from top to bottom.

    Args:
        account: By arm.
        verdict: The answer in words.
        runs: Every arm and seed.
        looked: What is shown of the test fields.
        told: Everything else.
        student: Name of the arm that the verdict is on.
        beside: Tests of the study's other students.
    """
    return ReportContent(
        title=told.title,
        run_id=told.run_id,
        made=told.made,
        answer=verdict.answer,
        reserve=verdict.reserve,
        verdict=verdict.sentences,
        headlines=headlines(account[student]),
        ladders=ladders(account, told.regime, student, asked=told.asked),
        notes=told.notes,
        comparisons=comparison_rows(account, student, beside=beside),
        remarks=verdict.remarks,
        claims=claim_rows(account, student, looked.beyond, beside=beside),
        references=told.references,
        arms=tuple(arm_row(arm, runs, told.size, asked=told.asked) for arm in account.values()),
        gallery=tuple(looked.gallery),
        sizes=looked.sizes,
        structures=looked.structures,
        metrics=looked.metrics,
        checked=looked.checked,
        groups=looked.groups,
        gains=looked.gains,
        parameters=looked.parameters,
        costs=looked.costs,
        machine=looked.machine,
        reliability=looked.reliability,
        agreement=looked.agreement,
        channels=looked.channels,
        shift=looked.shift,
        runs=tuple(learning_run(run) for run in runs),
        command=told.command,
        provenance=told.provenance,
        licences=told.licences,
        dropped=told.dropped,
        conventions=tuple(Convention(case=c.situation, rule=c.rule) for c in CONVENTIONS),
    )


def headlines(student: ArmAccount) -> tuple[Headline, ...]:
    """Return the numbers of the first screen."""
    found = [Headline(value=percent(mean_of(student)), label="student's Dice", detail=between(student.tables[MAIN]))]
    if student.gain is not None:
        found.append(
            Headline(
                value=f"{as_points(student.gain.mean)} points",
                label="gain over the baseline",
                detail=_interval(student.gain.interval),
            )
        )
    gap, recovered = shares_of(student)
    for ratio, label in ((gap, "of the gap to the teacher closed"), (recovered, "recovery")):
        if ratio is not None and ratio.value is not None:
            found.append(Headline(value=f"{100 * ratio.value:.0f} %", label=label, detail=_interval(ratio.interval)))
    total = student.labels.total
    found.append(
        Headline(
            value="unknown" if total is None else str(total),
            label="labelled images used",
            detail=f"{student.labels.training} to train, {student.labels.validation} to choose,"
            f" {'an unknown number' if student.labels.teacher is None else student.labels.teacher} by the teacher"
            + _before(student.labels.before),
        )
    )
    if student.saved is not None and student.saved.interval is not None:  # a number alone would look certain
        value, _, interval = saved_words(student.saved).partition(" (")
        found.append(Headline(value=value, label="labels saved", detail=interval.removesuffix(")")))
    return tuple(found)


def _before(labels: int | None) -> str:
    """Return how many labels the weights took that training began with; nothing where they took none."""
    return "" if labels == 0 else f", {'an unknown number' if labels is None else labels} by the model it began with"


def is_above(arm: ArmAccount) -> bool:
    """Return whether an arm scores above the teacher that it is measured by."""
    return arm.recovery is not None and arm.recovery.value is not None and arm.recovery.value > 1


def shares_of(arm: ArmAccount) -> tuple[Ratio | None, Ratio | None]:
    """Return gap closed and recovery; neither where the arm scores above the teacher, as both would say nothing."""
    return (None, None) if is_above(arm) else (arm.gap, arm.recovery)


def comparison_rows(
    account: Mapping[str, ArmAccount], student: str = STUDENT, *, beside: Beside = ALONE
) -> tuple[ComparisonRow, ...]:
    """Return every comparison, metric by metric, the question about one arm first."""
    return tuple(
        comparison_row(name, compared)
        for metric, name in COMPARED.items()
        for compared in comparisons_of(account, metric=metric, student=student, beside=beside)
    )


def comparison_row(metric: str, compared: Compared) -> ComparisonRow:
    """Return one comparison as the report shows it."""
    found, pair = compared.comparison, compared.pair
    claim = "none"
    if compared.claimed:
        claim = ", ".join(filter(None, ["better" if found.gain.mean > 0 else "worse", on_few_seeds(found)]))
    return ComparisonRow(
        metric=metric,
        first=pair.first,
        second=pair.second,
        words=pair.words,
        difference=found.gain.mean,
        ends=_ends(found.gain.interval),
        better=found.gain.better,
        fields=found.gain.units,
        seeds=found.seeds,
        p=None if found.test is None else found.test.p,
        smallest_p=None if found.test is None else found.test.smallest,
        holm=compared.holm,
        tests=compared.tests,
        judged=compared.judged,
        questions=compared.questions if pair.asked else None,
        effect=None if found.effect is None else found.effect.value,
        effect_ends=None if found.effect is None else _ends(found.effect.interval),
        detectable=found.detectable,
        claim=claim,
    )


def ladders(
    account: Mapping[str, ArmAccount], regime: str, student: str = STUDENT, *, asked: Mapping[str, str] = NOT_ASKED
) -> tuple[Ladder, ...]:
    """Return the ladder of the regime that was asked for and, where it was run, that with all labels.

    Args:
        account: By arm.
        regime: In words.
        student: Name of the arm that the verdict is on.
        asked: How each teacher was asked, in words, by the name of its row. Of others nothing is said.
    """
    own = account[student]
    roles = {"baseline", "rival", "control", "student"}
    few = [arm for arm in account.values() if arm.role in roles and arm.budget == own.budget]
    few += of_role(account, "targets alone")
    every = [arm for arm in account.values() if arm.role in {"all-labels", "all-labels student"}]
    teacher = of_role(account, "teacher")
    made = [_ladder([*few, *teacher], regime, own, asked)]
    if every:
        taught = next((arm for arm in every if arm.role == "all-labels student"), None)
        made.append(_ladder([*every, *teacher], "all labels", taught, asked))
    return tuple(made)


def _ladder(arms: Sequence[ArmAccount], title: str, taught: ArmAccount | None, asked: Mapping[str, str]) -> Ladder:
    names = [arm.name for arm in arms]
    gap, recovered = (None, None) if taught is None else shares_of(taught)
    note = "" if gap is None or not gap.reason else f"The gap closed is not stated: {gap.reason}."
    if taught is not None and is_above(taught):
        note = f"The teacher scores lower than {taught.name}: recovery and gap say nothing here."
    return Ladder(
        title=title,
        rungs=tuple(_rung(arm, asked) for arm in arms),
        baseline=taught.baseline if taught is not None and taught.baseline in names else None,
        student=taught.name if taught is not None and taught.name in names else None,
        teacher=TEACHER if TEACHER in names else None,
        recovery=None if recovered is None else recovered.value,
        gap_closed=None if gap is None else gap.value,
        note=note,
    )


def _rung(arm: ArmAccount, asked: Mapping[str, str]) -> Rung:
    table = arm.tables[MAIN]
    summary = summarise(table)
    return Rung(
        name=arm.name,
        role=role_of(arm),
        description=_with_asked(DESCRIPTIONS[_described_as(arm)], arm, asked),
        score=Spread(mean=summary.mean, sd=summary.sd),
        per_seed={}
        if arm.role == "teacher"
        else dict(zip(table.seeds, table.values.mean(axis=1).tolist(), strict=True)),
        per_field={each.field: Spread(mean=each.mean, sd=each.sd) for each in summary.fields},
        labels_used=arm.labels.total,
    )


def _described_as(arm: ArmAccount) -> str:
    """Return the key of an arm's words: its role, unless it was given the labels, or none of them."""
    if arm.role == "teacher":
        return "oracle" if arm.labels.oracle else "teacher"
    return "targets alone" if arm.role == "student" and arm.budget == 0 else arm.role


def _with_asked(words: str, arm: ArmAccount, asked: Mapping[str, str]) -> str:
    """Return words about an arm; of a teacher's with how it was asked."""
    return f"{words}, {asked[arm.name]}" if arm.name in asked else words


def arm_row(
    arm: ArmAccount, runs: Sequence[ArmRun], size: StudentFacts, *, asked: Mapping[str, str] = NOT_ASKED
) -> ArmRow:
    """Return an arm's row of the table; the teacher's has no size, which is not the student's.

    It has the usual scores; all others, lengths among them, are in scores.csv.

    Args:
        arm: The arm, or the teacher.
        runs: Every arm and seed.
        size: Of the student.
        asked: How each teacher was asked, in words, by the name of its row. Of others nothing is said.
    """
    own = [run for run in runs if run.arm.name == arm.name]
    summaries = {metric: summarise(table) for metric, table in arm.tables.items() if metric in USUAL}
    energy = energy_of(own)
    is_student = arm.role != "teacher"
    counted = counted_parameters(own, arm.name)
    gap, recovered = shares_of(arm)
    return ArmRow(
        name=arm.name,
        role=role_of(arm),
        setting=_with_asked(as_count(arm.labels.training, "label"), arm, asked),
        scores={metric: Spread(mean=summary.mean, sd=summary.sd) for metric, summary in summaries.items()},
        training=_in_training(own, arm.name),
        recovery=None if recovered is None else recovered.value,
        recovery_ends=None if recovered is None else _ends(recovered.interval),
        gap_closed=None if gap is None else gap.value,
        gap_closed_ends=None if gap is None else _ends(gap.interval),
        labels_used=arm.labels.total,
        labels_saved="" if arm.saved is None else saved_words(arm.saved),
        parameters=counted["kept"] if counted else size["parameters"] if is_student else None,
        encoder_parameters=size["encoder_parameters"] if is_student else None,
        gigamacs_per_megapixel=size["gigamacs_per_megapixel"] if is_student else None,
        watt_hours=None if energy is None else (energy.low / energy.runs, energy.high / energy.runs),
        train_minutes=float(np.mean([run.facts["seconds"] for run in own])) / 60 if own else None,
    )


def _in_training(runs: Sequence[ArmRun], arm: str) -> float | None:
    known = scores_in_training(runs).get(arm)
    return float(np.mean([*known.values()])) if known else None


def scores_in_training(runs: Sequence[ArmRun]) -> dict[str, dict[int, float]]:
    """Return the mean Dice on images that were learnt from, by arm and seed; without arms of which a seed lacks it.

    Args:
        runs: Every arm and seed. Those without labels have no such score, and older runs did not look.
    """
    found: dict[str, dict[int, float | None]] = {}
    for run in runs:
        found.setdefault(run.arm.name, {})[run.seed] = run.facts.get("training")
    return {
        arm: {seed: value for seed, value in seeds.items() if value is not None}
        for arm, seeds in found.items()
        if None not in seeds.values()
    }


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


def _ends(interval: Interval | None) -> tuple[float, float] | None:
    return None if interval is None else (interval.low, interval.high)


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return "one field: no interval"
    return f"95 % interval {100 * interval.low:.1f} to {100 * interval.high:.1f}".replace("-", "−")
