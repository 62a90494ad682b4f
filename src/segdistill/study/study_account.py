"""The account of a study whose runs are done: one per student, and a table of all."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from segdistill.data.labels import output_names
from segdistill.evaluation import Comparison, compare, mean_sd
from segdistill.evaluation.document import write_conventions
from segdistill.files import neutral_cell, whole_file
from segdistill.networks.describe import describe_student
from segdistill.report import CostPoint, GainPoint, ReferenceRow, ShiftRow
from segdistill.report.study_page import write_study
from segdistill.settings import Study, StudyArm
from segdistill.settings.teacher import called
from segdistill.study.account import MAIN, ArmAccount
from segdistill.study.arms import ArmRun, Bench, counted_parameters, ruler_of
from segdistill.study.channel_use import student_use
from segdistill.study.comparisons import Beside, Compared, comparisons_of, p_values_of
from segdistill.study.conclusion import Finished, Question, account_for, conclude
from segdistill.study.content import COMPARED
from segdistill.study.data_check import data_check_in
from segdistill.study.overview import overview
from segdistill.study.same_data import field_hashes
from segdistill.study.shown import cost_point
from segdistill.study.study_job import StudyState

COLUMNS = (
    *("student", "parameters", "arm", "role", "label budget", "labels used", "seeds", "fields"),
    *("dice", "sd over seeds", "gain", "gain from", "gain to", "prompting"),
    *("p of the gain", "p after Holm", "tests in the family", "run", "folder"),
)
"""Of summary.csv; behind them "dice on NAME" for each other data set. The gain is over the baseline of the same budget,
with its 95 % interval; prompting is that of the arm's teacher, empty where it has none. The family is every comparison
by Dice that the reports of all students show. The run is the identity that the student's report and run.json carry; the
folder, beside this file, holds the runs of the arm by seed, and is empty of a teacher."""


@dataclass(frozen=True, eq=False)
class StudyAccount:
    """What a study left."""

    summary: Path
    """A CSV file: one row per student and arm."""

    page: Path
    """One HTML file: every student's answer, arms by students, label budgets, size and cost."""

    students: Mapping[str, Finished]
    """Each student's account, model and report."""


def conclude_study(settings: Study, state: StudyState) -> StudyAccount:
    """Write every student's account and report, and the table of all.

    Args:
        settings: Of the study.
        state: With nothing missing.
    """
    runs = {student: [run for cell, run in state.runs.items() if cell.student == student] for student in state.benches}
    questions = {student: question_of(settings, student, runs[student]) for student in state.benches}
    found = {student: account_for(bench, runs[student], questions[student]) for student, bench in state.benches.items()}
    accounts = {student: (each.account, questions[student].student) for student, each in found.items()}
    several = len(settings.students) > 1  # a single one is shown its own cost alone
    costs = {
        student: _cost(bench, runs[student], *accounts[student]) for student, bench in state.benches.items() if several
    }
    sizes = {student: parameters_of(bench, student) for student, bench in state.benches.items()}
    gains = gains_by_size({name: each.account for name, each in found.items()}, questions, runs, sizes)
    beside = tests_beside({name: each.account for name, each in found.items()}, questions)
    brought = _gains(accounts)
    prepared = next(iter(state.benches.values())).prepared  # one data set, whatever the student
    checked = data_check_in(settings.out, prepared, field_hashes(prepared), private=settings.private)
    finished = {}
    for student, bench in state.benches.items():
        others = tuple(point for name, points in costs.items() if name != student for point in points)
        question = replace(questions[student], beside=others, tests=beside[student], elsewhere=state.elsewhere)
        question = replace(question, gains=gains, checked=checked, sizes=brought)
        finished[student] = conclude(bench, runs[student], question, found[student])
    path = settings.out / "summary.csv"
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow([*COLUMNS, *(f"dice on {each.name}" for each in state.elsewhere)])
        for student, done in finished.items():
            asked = questions[student].student
            compared = comparisons_of(done.account, student=asked, beside=beside[student])
            tested = {(each.pair.first, each.pair.second): each for each in compared}
            writer.writerows(
                [
                    *_row(student, _kept(runs[student], arm.name, sizes[student]), arm),
                    done.prompting.get(arm.name, ""),
                    *_tested(tested.get((arm.name, arm.baseline or ""))),
                    done.run_id,
                    "" if arm.role == "teacher" else f"{student}/arms/{arm.name}",
                    *(_dice_on(each.name, arm.name, done.shift) for each in state.elsewhere),
                ]
                for arm in done.account.values()
            )
    ruler = ruler_of(prepared, prepared.labelled("test")[0])
    write_conventions(path, unit=ruler.unit, tolerance=ruler.tolerance)
    page = settings.out / "report.html"
    asked = {student: question.student for student, question in questions.items()}
    notes = declared(settings)
    write_study(
        page,
        overview(settings, state.benches, runs, finished, asked=asked, beside=beside, gains=gains, notes=notes),
    )
    return StudyAccount(path, page, finished)


def tests_beside(
    accounts: Mapping[str, Mapping[str, ArmAccount]], questions: Mapping[str, Question]
) -> dict[str, Beside]:
    """Return for each student the tests of the others: all reports of a study are one family by each metric.

    Args:
        accounts: Student to its account.
        questions: Student to what is asked of it.
    """
    tests = {
        student: p_values_of(account, student=questions[student].student, metrics=COMPARED)
        for student, account in accounts.items()
    }
    return {
        student: {metric: [each[metric] for name, each in tests.items() if name != student] for metric in COMPARED}
        for student in accounts
    }


def parameters_of(bench: Bench, student: str) -> int:
    """Return the parameters of a student as it is built for a study's channels and structures."""
    outputs = len(output_names(bench.structures))
    return describe_student(student, channels=len(bench.channels), outputs=outputs)["parameters"]


def gains_by_size(
    accounts: Mapping[str, Mapping[str, ArmAccount]],
    questions: Mapping[str, Question],
    runs: Mapping[str, Sequence[ArmRun]],
    sizes: Mapping[str, int],
) -> tuple[GainPoint, ...]:
    """Return the gain of each student over its baseline, beside its parameters, from small to large.

    Args:
        accounts: Student to its account.
        questions: Student to what is asked of it.
        runs: Student to every arm and seed.
        sizes: Student to its parameters, where a run did not count them.

    Returns:
        Empty for fewer than two students that have a baseline: one point shows nothing of size.
    """
    points = []
    for student, account in accounts.items():
        arm = account[questions[student].student]
        if arm.gain is None or arm.baseline is None:
            continue
        interval = arm.gain.interval
        points.append(
            GainPoint(
                student=student,
                arm=arm.name,
                baseline=arm.baseline,
                parameters=_kept(runs[student], arm.name, sizes[student]),
                gain=arm.gain.mean,
                ends=None if interval is None else (interval.low, interval.high),
            )
        )
    return tuple(sorted(points, key=lambda point: point.parameters)) if len(points) > 1 else ()


def _kept(runs: Sequence[ArmRun], arm: str, size: int) -> int:
    """Return the parameters of an arm in use; those of the student as it is built, where nobody counted them."""
    counted = counted_parameters(runs, arm)
    return size if counted is None else counted["kept"]


def question_of(settings: Study, student: str, runs: Sequence[ArmRun]) -> Question:
    """Return what is asked of the runs of one student.

    The verdict is on the first arm whose teacher sees more than the student, at its smallest budget
    of labels; where there is none, on the first arm that has a teacher, that was pre-trained, or on the first of all.
    """
    arms = list(dict.fromkeys(run.arm for run in runs))
    students = sorted((arm for arm in arms if arm.role == "student"), key=lambda arm: arm.labels or float("inf"))
    others = [arm for arm in arms if arm.role == "all-labels student"]
    taught = [arm for arm in arms if arm.teacher is not None]
    begun = [arm for arm in arms if arm.encoder_weights is not None]
    asked = next(iter([*students, *others, *taught, *begun, *arms]))
    teacher = asked.teacher
    by = "" if teacher is None else f", taught by {called(settings.teachers[teacher].teacher)}"
    return Question(
        settings,
        title=f"{student} on {', '.join(settings.student_channels)}{by}",
        student=asked.name,
        teacher=teacher,
        margin=settings.margin,
        notes=declared(settings),
        references=tuple(ReferenceRow(**each.resolved()) for each in settings.references),
    )


def declared(settings: Study) -> tuple[str, ...]:
    """Return in what arms of a plan differ from the protocol of the others, and why; empty: in nothing."""
    return tuple(
        f"Arm {arm.name} differs from the others in {_shown(arm)}. {arm.why}" for arm in settings.arms if arm.protocol
    )


def _gains(accounts: Mapping[str, tuple[Mapping[str, ArmAccount], str]]) -> dict[str, Comparison]:
    """Return what its teacher brought each student network, where it has a baseline."""
    found = {}
    for student, (account, asked) in accounts.items():
        baseline = account[asked].baseline
        if baseline is not None:
            found[student] = compare(account[asked].tables[MAIN], account[baseline].tables[MAIN])
    return found


def _cost(bench: Bench, runs: Sequence[ArmRun], account: Mapping[str, ArmAccount], asked: str) -> tuple[CostPoint, ...]:
    """Return how good a student is and how long it takes, for the reports of the others."""
    first = next(run for run in runs if run.arm.name == asked)
    use = student_use(bench, first, parameters=parameters_of(bench, bench.student))
    return cost_point(bench.student, "student", float(account[asked].tables[MAIN].values.mean()), use)


def _shown(arm: StudyArm) -> str:
    return ", ".join(f"{name} ({value})" for name, value in arm.protocol.items())


def _dice_on(data: str, arm: str, rows: Sequence[ShiftRow]) -> float | str:
    """Return an arm's Dice on another data set, the mean over structures; empty where it was not scored there."""
    found = [row.there for row in rows if (row.data, row.arm, row.metric) == (data, arm, COMPARED[MAIN])]
    return fmean(found) if found else ""


def _row(student: str, parameters: int, arm: ArmAccount) -> list[object]:
    table = arm.tables[MAIN]
    mean, sd = mean_sd(table.values)
    gain = arm.gain
    interval = None if gain is None else gain.interval
    budget = "" if arm.role == "teacher" else "all" if arm.budget is None else arm.budget
    return [
        neutral_cell(student),
        parameters if arm.role != "teacher" else "",
        neutral_cell(arm.name),
        arm.role,
        budget,
        "unknown" if arm.labels.total is None else arm.labels.total,
        len(table.seeds),
        len(table.fields),
        mean,
        "" if sd is None else sd,
        "" if gain is None else gain.mean,
        "" if interval is None else interval.low,
        "" if interval is None else interval.high,
    ]


def _tested(compared: Compared | None) -> tuple[object, ...]:
    """Return p value, corrected p value and size of the family of an arm's gain; empty where there was no test."""
    if compared is None or compared.comparison.test is None:
        return "", "", ""
    return compared.comparison.test.p, compared.holm, compared.tests


def study_headline(account: StudyAccount) -> str:
    """Return the answers as they are printed at the end."""
    lines: list[str] = []
    for student, finished in account.students.items():
        lines += [f"{student}: {' '.join(finished.verdict.sentences)}", f"  {finished.report}"]
    return "\n".join([*lines, f"All arms: {account.summary}", f"The whole study: {account.page}"])
