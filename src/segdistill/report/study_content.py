"""What the page of a whole study is handed."""

from dataclasses import dataclass

from segdistill.report.content import Answer, ArmRow, GainPoint, Licence, Role, Spread


@dataclass(frozen=True, kw_only=True)
class BudgetPoint:
    """An arm's score at one label budget."""

    labels: str
    """The budget, such as 10 or all."""

    mean: float
    """Mean over fields and seeds, fraction."""

    ends: tuple[float, float] | None
    """Ends of its 95 % interval over fields and seeds, fractions; None: one field."""


@dataclass(frozen=True, kw_only=True)
class BudgetLine:
    """An arm over the label budgets that were run."""

    arm: str
    """Its name in the plan, without a budget."""

    role: Role
    """What it is for."""

    points: tuple[BudgetPoint, ...]
    """From few labels to many."""


@dataclass(frozen=True, kw_only=True)
class Against:
    """An arm against its baseline of the same labels."""

    baseline: str
    """That arm's name."""

    difference: float
    """In Dice, fraction; positive where the arm is better."""

    ends: tuple[float, float] | None
    """Ends of its 95 % interval over fields and seeds, fractions; None: one field."""

    claim: str
    """As the student's report claims it: beginning with better or worse, or none."""


@dataclass(frozen=True, kw_only=True)
class StudyArmRow:
    """One arm of one student."""

    row: ArmRow
    """As the student's report shows it."""

    against: Against | None
    """None: it is a baseline or a teacher, or there is no baseline."""


@dataclass(frozen=True, kw_only=True)
class StudentPart:
    """What a study found of one student."""

    name: str
    """Of the network."""

    report: str
    """Its own report, relative to the page."""

    answer: Answer
    """Whether distillation helped."""

    reserve: str
    """Stands behind a yes or a no; empty: nothing."""

    sentence: str
    """The verdict's first sentence."""

    asked: str
    """Name of the arm that the verdict is on."""

    arms: tuple[StudyArmRow, ...]
    """Every arm, the teachers' rows among them."""

    budgets: tuple[BudgetLine, ...]
    """Arms over label budgets; empty: there is one budget."""


@dataclass(frozen=True, kw_only=True)
class ElsewhereCell:
    """A student's arm on another data set, where it was never trained or tuned."""

    data: str
    """Name of the data set."""

    student: str
    arm: str
    score: Spread
    """Dice there, over seeds."""


@dataclass(frozen=True, kw_only=True)
class StudyContent:
    """Everything that the page of a study shows."""

    title: str
    """What was studied."""

    made: str
    """When, and by which version."""

    gist: str
    """The answer for all students in one sentence."""

    students: tuple[StudentPart, ...]
    """In the order of the plan."""

    gains: tuple[GainPoint, ...]
    """What distillation bought each student; empty: there is one, or no question."""

    elsewhere: tuple[ElsewhereCell, ...]
    """Arms on other data sets; empty: none was named."""

    notes: tuple[str, ...]
    """What must be known to read this rightly."""

    licences: tuple[Licence, ...]
    """Of teachers and data."""

    command: str
    """The command line that makes this again."""
