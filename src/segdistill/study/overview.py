"""What the page of a whole study is handed: every student's answer, its arms and its label budgets."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import fmean
from typing import get_args

from segdistill import __version__
from segdistill.data.labels import output_names
from segdistill.evaluation import bootstrap_interval
from segdistill.networks.describe import describe_student
from segdistill.report import Answer, GainPoint, ShiftRow, Spread
from segdistill.report.study_content import (
    Against,
    BudgetLine,
    BudgetPoint,
    ElsewhereCell,
    StudentPart,
    StudyArmRow,
    StudyContent,
)
from segdistill.report.wording import as_count
from segdistill.settings import Study
from segdistill.study.account import MAIN, ArmAccount
from segdistill.study.arms import ArmRun, Bench
from segdistill.study.comparisons import Beside
from segdistill.study.conclusion import Finished
from segdistill.study.content import COMPARED, arm_row, comparison_rows, role_of
from segdistill.study.provenance import command_line, licences


def overview(
    settings: Study,
    benches: Mapping[str, Bench],
    runs: Mapping[str, Sequence[ArmRun]],
    finished: Mapping[str, Finished],
    *,
    asked: Mapping[str, str],
    beside: Mapping[str, Beside],
    gains: tuple[GainPoint, ...],
    notes: tuple[str, ...],
) -> StudyContent:
    """Return what the page of a study shows.

    Args:
        settings: Of the study.
        benches: Student to what its runs shared.
        runs: Student to every arm and seed.
        finished: Student to what its runs left.
        asked: Student to the arm that its verdict is on.
        beside: Student to the tests of the others.
        gains: What distillation bought each student.
        notes: What must be known to read it rightly.
    """
    first = next(iter(benches.values()))
    channels = ", ".join(settings.student_channels)
    students = tuple(
        student_part(benches[name], runs[name], done, asked=asked[name], beside=beside[name])
        for name, done in finished.items()
    )
    return StudyContent(
        title=f"{as_count(len(benches), 'student')} on {channels}, {as_count(len(settings.seeds), 'seed')}",
        made=f"Made by segdistill {__version__} on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        gist=students[0].sentence if len(students) == 1 else gist_of([part.answer for part in students]),
        students=students,
        gains=gains,
        elsewhere=tuple(cell for name, done in finished.items() for cell in elsewhere_cells(name, done.shift)),
        notes=notes,
        licences=licences(first),
        command=command_line(settings, sys.argv[1:]),
    )


def gist_of(answers: Sequence[Answer]) -> str:
    """Return the answers about several students in one sentence.

    >>> gist_of(["yes", "unclear", "yes", "no"])
    'Distillation helped 2 of 4 students and hurt 1; of 1 the data cannot tell.'
    >>> gist_of(["unclear", "unclear"])
    'The data cannot tell for any of 2 students whether distillation helped.'
    >>> gist_of(["unclear", "untested"])
    'For 1 of 2 students the data cannot tell whether distillation helped; 1 had no baseline.'
    >>> gist_of(["untested", "untested"])
    'Whether distillation helped was not tested.'
    """
    count, whole = {answer: answers.count(answer) for answer in get_args(Answer)}, len(answers)
    done = [f"{verb} {count[answer]}" for verb, answer in (("helped", "yes"), ("hurt", "no")) if count[answer]]
    if count["untested"] == whole:
        return "Whether distillation helped was not tested."
    if count["unclear"] == whole:
        return f"The data cannot tell for any of {whole} students whether distillation helped."
    bare = [f"{count['untested']} had no baseline"] if count["untested"] else []
    if not done:
        unclear = f"For {count['unclear']} of {whole} students the data cannot tell whether distillation helped"
        return f"{'; '.join([unclear, *bare])}."
    done[0] += f" of {whole} students"
    unclear = [f"of {count['unclear']} the data cannot tell"] if count["unclear"] else []
    return f"{'; '.join(['Distillation ' + ' and '.join(done), *unclear, *bare])}."


def student_part(
    bench: Bench, runs: Sequence[ArmRun], finished: Finished, *, asked: str, beside: Beside
) -> StudentPart:
    """Return what a study found of one student.

    Args:
        bench: What its runs shared.
        runs: Every arm and seed.
        finished: What they left.
        asked: Name of the arm that the verdict is on.
        beside: Tests of the study's other students.
    """
    account = finished.account
    size = describe_student(bench.student, channels=len(bench.channels), outputs=len(output_names(bench.structures)))
    compared = {
        (row.first, row.second): row
        for row in comparison_rows(account, asked, beside=beside)
        if row.metric == COMPARED[MAIN]
    }

    def against(arm: ArmAccount) -> Against | None:
        row = compared.get((arm.name, arm.baseline or ""))
        if row is None:
            return None
        return Against(baseline=row.second, difference=row.difference, ends=row.ends, claim=row.claim)

    return StudentPart(
        name=bench.student,
        report=f"{bench.student}/report.html",
        answer=finished.verdict.answer,
        reserve=finished.verdict.reserve,
        sentence=finished.verdict.sentences[0],
        asked=asked,
        arms=tuple(StudyArmRow(row=arm_row(arm, runs, size), against=against(arm)) for arm in account.values()),
        budgets=budget_lines(account),
    )


def budget_lines(account: Mapping[str, ArmAccount]) -> tuple[BudgetLine, ...]:
    """Return each arm of the plan over the label budgets that it was run with; empty where no arm has two.

    Args:
        account: By arm, each at one budget, which its name says last; teachers' rows are passed over.
    """
    families: dict[str, list[ArmAccount]] = {}
    for arm in account.values():
        if arm.arm is not None:
            families.setdefault(arm.name.rpartition("-")[0], []).append(arm)
    if all(len(family) < 2 for family in families.values()):
        return ()
    lines = []
    for name, family in families.items():
        usual = next((arm for arm in family if arm.role not in {"all-labels", "targets alone"}), family[0])
        points = tuple(map(_point, family))
        lines.append(BudgetLine(arm=name, role=role_of(usual), points=points))
    return tuple(lines)


def elsewhere_cells(student: str, rows: Sequence[ShiftRow]) -> tuple[ElsewhereCell, ...]:
    """Return a student's Dice on other data sets, the mean over structures; the deviation where there is one."""
    found: dict[tuple[str, str], list[ShiftRow]] = {}
    for row in rows:
        if row.metric == COMPARED[MAIN]:
            found.setdefault((row.data, row.arm), []).append(row)
    return tuple(
        ElsewhereCell(
            data=data,
            student=student,
            arm=arm,
            score=Spread(mean=fmean(row.there for row in own), sd=own[0].there_sd if len(own) == 1 else None),
        )
        for (data, arm), own in found.items()
    )


def _point(arm: ArmAccount) -> BudgetPoint:
    values = arm.tables[MAIN].values
    interval = bootstrap_interval(values)
    return BudgetPoint(
        labels="all" if arm.budget is None else str(arm.budget),
        mean=float(values.mean()),
        ends=None if interval is None else (interval.low, interval.high),
    )
