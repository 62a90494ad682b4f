"""What the three papers claim, and what the runs at hand say to it: on these images, with these networks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from segdistill.report import ClaimRow
from segdistill.report.wording import as_points
from segdistill.study.account import ArmAccount
from segdistill.study.comparisons import ALONE, Beside, Compared, comparisons_of
from segdistill.study.verdict import on_few_seeds

P1, P2, P3 = "arXiv:2606.00928", "arXiv:2504.02351", "arXiv:2503.06976"
"""Cross-modal distillation; agglomeration of several encoders; task-specific distillation with few labels."""

Find = Callable[[Sequence[Compared], Mapping[str, ArmAccount], str], Compared | None]
"""From every comparison, the account and the student's arm to the comparison that a claim is about; None: not made."""


@dataclass(frozen=True)
class Claim:
    """One claim, in our words."""

    source: str
    """Whose it is."""

    words: str
    """What is claimed."""

    find: Find | None
    """What speaks to it here; None: nothing that is run today does."""

    needs: str
    """What would have to be run."""


def _student_over_baseline(
    compared: Sequence[Compared], account: Mapping[str, ArmAccount], student: str
) -> Compared | None:
    return _between(compared, student, account[student].baseline)


def _student_over_control(
    compared: Sequence[Compared], account: Mapping[str, ArmAccount], student: str
) -> Compared | None:
    own = account[student].budget
    controls = [arm.name for arm in account.values() if arm.role == "control" and arm.budget == own]
    return _between(compared, student, next(iter(controls), None))


def _between(compared: Sequence[Compared], first: str, second: str | None) -> Compared | None:
    return next((each for each in compared if (each.pair.first, each.pair.second) == (first, second)), None)


CLAIMS = (
    Claim(
        P1,
        "A teacher that sees every channel lifts a student that sees fewer, all else equal.",
        _student_over_baseline,
        "a baseline beside the student",
    ),
    Claim(
        P1,
        "What it passes on is knowledge of the channels that the student lacks (implied there, not tested).",
        _student_over_control,
        "a control: a teacher that sees the student's channels alone",
    ),
    Claim(P1, "Students of all four sizes gain, by about as much.", None, "a study of the four students"),
    Claim(P1, "SAM is the better teacher than CellSAM.", None, "a study with both teachers"),
    Claim(P2, "Several teachers give a better encoder than one.", None,
          "a study of encoders that `segdistill agglomerate` made of one teacher and of several"),
    Claim(P2, "Balancing by attention works best.", None,
          "a study of encoders that were agglomerated with each balancing"),
    Claim(P3, "Task-specific distillation beats task-agnostic, and pre-training without a teacher.", None,
          "a study of encoders that `segdistill pretrain` made in each way"),
    Claim(P3, "Larger transfer sets help more.", None,
          "a study of encoders pre-trained on sets that `segdistill synthesize` enlarged"),
)  # fmt: skip


def claim_rows(account: Mapping[str, ArmAccount], student: str, *, beside: Beside = ALONE) -> tuple[ClaimRow, ...]:
    """Return every claim and what the runs say to it; a claim that nothing speaks to is untested.

    Args:
        account: By arm.
        student: Name of the arm that the verdict is on.
        beside: Tests of the study's other students.
    """
    compared = comparisons_of(account, student=student, beside=beside)
    return tuple(_row(claim, compared, account, student) for claim in CLAIMS)


def _row(claim: Claim, compared: Sequence[Compared], account: Mapping[str, ArmAccount], student: str) -> ClaimRow:
    found = None if claim.find is None else claim.find(compared, account, student)
    if found is None:
        return ClaimRow(claim=claim.words, source=claim.source, state="untested", here=f"would need {claim.needs}")
    gain = found.comparison.gain
    interval = gain.interval
    ends = "" if interval is None else f" (95 % interval {as_points(interval.low)} to {as_points(interval.high)})"
    state = "not decided" if not found.claimed else "borne out" if gain.mean > 0 else "contradicted"
    pair = f"{found.pair.first} − {found.pair.second}"
    few = on_few_seeds(found.comparison) if found.claimed else ""
    here = ", ".join(filter(None, [f"{pair}: {as_points(gain.mean)} points of Dice{ends}", few]))
    return ClaimRow(claim=claim.words, source=claim.source, state=state, here=here)
