"""The page of a whole study: every student's answer, arms by students, label budgets, size and cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from segdistill.files import whole_file
from segdistill.report.budget_plot import budget_legend, budget_plot
from segdistill.report.content import ArmRow
from segdistill.report.frame import framed
from segdistill.report.gain_plot import gain_plot, gains_csv
from segdistill.report.study_content import StudentPart, StudyArmRow, StudyContent
from segdistill.report.svg import key
from segdistill.report.tables import Cell, Download, csv_download

MAIN = "dice"
"""The score that the page is about."""

FULL = 0.1
"""Difference of Dice, fraction, at which a cell of the matrix is coloured fully."""


@dataclass(frozen=True, kw_only=True)
class BudgetView:
    """Label budgets of one student, ready for the page."""

    student: str
    plot: Markup
    legend: tuple[tuple[Markup, Markup, str], ...]
    csv: Download


def write_study(path: Path, content: StudyContent) -> None:
    """Write the page, whole or not at all.

    Args:
        path: The file's name; an older file of that name is replaced.
        content: What to show. All of its text is escaped.

    Raises:
        EnvironmentFault: The page cannot be written.
    """
    page = framed(
        "study.html",
        styles=("report.css", "study.css"),
        names={"key": key, "heat": heat, "MAIN": MAIN},
        content=content,
        arms=arms_of(content.students),
        cells={(part.name, each.row.name): each for part in content.students for each in part.arms},
        bound=[licence for licence in content.licences if "research use only" in licence.note.lower()],
        budgets=[_budgets(part) for part in content.students if part.budgets],
        gains=gain_plot(content.gains) if content.gains else None,
        gains_csv=gains_csv(content.gains),
        matrix_csv=_matrix_csv(content.students),
        any_energy=any(each.row.watt_hours for part in content.students for each in part.arms),
        elsewhere={(cell.data, cell.student, cell.arm): cell.score for cell in content.elsewhere},
        elsewhere_data=list(dict.fromkeys(cell.data for cell in content.elsewhere)),
        elsewhere_arms=list(dict.fromkeys(cell.arm for cell in content.elsewhere)),
        elsewhere_csv=_elsewhere_csv(content),
    )
    with whole_file(path) as partial:
        partial.write_bytes(page)


def arms_of(students: Sequence[StudentPart]) -> list[ArmRow]:
    """Return the first row of each arm that any student has, in order: the rows of the matrix."""
    found: dict[str, ArmRow] = {}
    for part in students:
        for each in part.arms:
            found.setdefault(each.row.name, each.row)
    return list(found.values())


def heat(row: StudyArmRow) -> float:
    """Return how strongly a cell is coloured, -1 (worse by ``FULL`` or more) to 1; 0 where nothing is claimed.

    >>> from segdistill.report.content import Spread
    >>> from segdistill.report.study_content import Against
    >>> against = lambda claim: Against(baseline="b", difference=-0.05, ends=None, claim=claim)
    >>> row = ArmRow(name="a", role="student", scores={"dice": Spread(mean=0.5)})
    >>> [heat(StudyArmRow(row=row, against=against(claim))) for claim in ("worse", "none")]
    [-0.5, 0.0]
    """
    if row.against is None or row.against.claim == "none":
        return 0.0
    return max(-1.0, min(1.0, row.against.difference / FULL))


def _budgets(part: StudentPart) -> BudgetView:
    rows: list[list[Cell]] = [
        [line.arm, line.role, point.labels, point.mean, *(point.ends or (None, None))]
        for line in part.budgets
        for point in line.points
    ]
    return BudgetView(
        student=part.name,
        plot=budget_plot(part.budgets),
        legend=budget_legend(part.budgets),
        csv=csv_download(f"budgets_{part.name}", ["arm", "role", "labels", "Dice", "low", "high"], rows),
    )


def _matrix_csv(students: Sequence[StudentPart]) -> Download:
    header = ["student", "arm", "role", "Dice", "sd over seeds", "difference", "low", "high", "claim"]
    header += ["Dice on training images", "labels used", "parameters", "train minutes"]
    rows: list[list[Cell]] = []
    for part in students:
        for each in part.arms:
            score, against = each.row.scores.get(MAIN), each.against
            told = [None, None, None, None]
            if against is not None:
                told = [against.difference, *(against.ends or (None, None)), against.claim]
            mean, sd = (None, None) if score is None else (score.mean, score.sd)
            row = each.row
            rest = [row.training, row.labels_used, row.parameters, row.train_minutes]
            rows.append([part.name, row.name, row.role, mean, sd, *told, *rest])
    return csv_download("arms_by_students", header, rows)


def _elsewhere_csv(content: StudyContent) -> Download:
    rows: list[list[Cell]] = [
        [cell.data, cell.student, cell.arm, cell.score.mean, cell.score.sd] for cell in content.elsewhere
    ]
    return csv_download("other_data", ["data", "student", "arm", "Dice", "sd over seeds"], rows)
