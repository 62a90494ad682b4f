"""What the three papers claim, and what the runs at hand say to it: on these images, with these networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from segdistill.report import ClaimRow
from segdistill.study.account import ArmAccount
from segdistill.study.comparisons import ALONE, Beside, comparisons_of
from segdistill.study.findings import (
    SCRATCH,
    Beyond,
    Evidence,
    Find,
    Finding,
    by_encoder,
    by_term,
    closer_to_training,
    from_outside,
    gain_elsewhere,
    gain_of_every_size,
    how_balanced,
    how_many_taught,
    how_pretrained,
    larger_sets,
    little_from,
    more_than_half_of_the_gap,
    sam_over_cellsam,
    student_over_baseline,
    student_over_control,
)

P1, P2, P3 = "arXiv:2606.00928", "arXiv:2504.02351", "arXiv:2503.06976"
"""Cross-modal distillation; agglomeration of several encoders; task-specific distillation with few labels."""

REVIEWS = ", as reviews tell"
"""Behind a source whose claim is not in its abstract or captions."""

State = Literal["reproduced", "refuted", "not told apart", "untested here"]


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


CLAIMS = (
    Claim(
        P1,
        "A teacher that sees every channel lifts a student that sees fewer, all else equal.",
        student_over_baseline,
        "a baseline beside the student",
    ),
    Claim(
        P1,
        "What it passes on is knowledge of the channels that the student lacks (implied there, not tested).",
        student_over_control,
        "a control: a teacher that sees the student's channels alone",
    ),
    Claim(
        P1,
        "The student closes more than half of the gap to its teacher.",
        more_than_half_of_the_gap,
        "a baseline, and a teacher's maps",
    ),
    Claim(P1, "Students of every size gain.", gain_of_every_size, "a study of several students"),
    Claim(
        P1, "SAM is the better teacher than CellSAM.", sam_over_cellsam, "a study with both teachers, all else equal"
    ),
    Claim(
        P1,
        "The gain carries over to another data set, the teacher as it is.",
        gain_elsewhere,
        "another data set under shift, and a baseline",
    ),
    Claim(
        P1,
        "Supervision of the boundary belongs to what helps (its objective; not told by itself).",
        by_term("boundary"),
        "a study of arms with the boundary term and without",
    ),
    Claim(
        P1,
        "Weights learnt by uncertainty belong to what helps (its objective; not told by itself).",
        by_term("weighting"),
        "a study of arms with fixed weights and with learnt ones",
    ),
    Claim(
        P2,
        "Several teachers give a better encoder than one.",
        by_encoder(how_many_taught, "several", {"one"}),
        "a study of encoders that `segdistill agglomerate` made of one teacher and of several",
    ),
    Claim(
        P2 + REVIEWS,
        "Balancing by attention works best.",
        by_encoder(how_balanced, "attention", {"uniform", "fixed", "dropping", "mlp"}),
        "a study of encoders that were agglomerated with each balancing",
    ),
    Claim(P2, "One light encoder serves many segmentation tasks.", None,
          "the twelve structures of its private videos, each by a student of its own and all by one"),
    Claim(
        P2 + REVIEWS,
        "MedCLIP adds little beside the others.",
        little_from("medclip"),
        "a study of encoders that were agglomerated with the teacher medclip and without",
    ),
    Claim(P2 + REVIEWS, "It carries over to other tasks and other scanners.", None,
          "structures left out of agglomeration, and a scanner under shift, against each teacher's own encoder"),
    Claim(P2 + REVIEWS, "It is cheaper than tuning a teacher.", None,
          "the energy of `segdistill agglomerate` beside that of `segdistill adapt`, to the same score"),
    Claim(
        P3,
        "Task-specific distillation beats task-agnostic distillation.",
        by_encoder(how_pretrained, "task", {"features"}),
        "a study of encoders that `segdistill pretrain` made by task and by features",
    ),
    Claim(
        P3,
        "Task-specific distillation beats masked autoencoding on the same images.",
        by_encoder(how_pretrained, "task", {"masked"}),
        "a study of encoders that `segdistill pretrain` made by task and by masked",
    ),
    Claim(
        P3,
        "Task-specific distillation beats contrast (MoCo v3) on the same images.",
        by_encoder(how_pretrained, "task", {"contrast"}),
        "a study of encoders that `segdistill pretrain` made by task and by contrast",
    ),
    Claim(
        P3,
        "Task-specific distillation beats training from scratch.",
        by_encoder(how_pretrained, "task", {SCRATCH}),
        "a study of an encoder that `segdistill pretrain` made by task, and of none",
    ),
    Claim(
        P3,
        "It beats masked autoencoding on ImageNet, whose weights come from outside.",
        by_encoder(from_outside, "task", {"outside"}),
        "a study of an encoder that `segdistill pretrain` made by task, and of published weights, which are taken for"
        " those of a masked autoencoder, for they do not say what made them",
    ),
    Claim(
        P3,
        "Larger transfer sets help more.",
        larger_sets,
        "a study of encoders pre-trained in one way on sets that `segdistill synthesize` enlarged",
    ),
    Claim(
        P3,
        "What it teaches generalises better: train and test lie closer together.",
        closer_to_training,
        "a study of encoders that `segdistill pretrain` made by task and otherwise, or of none",
    ),
)  # fmt: skip
"""All of P1, then P2, then P3: those of abstracts and captions, and those that reviews tell of."""


def claim_rows(
    account: Mapping[str, ArmAccount], student: str, beyond: Beyond | None = None, *, beside: Beside = ALONE
) -> tuple[ClaimRow, ...]:
    """Return every claim and what the runs say to it; a claim that nothing speaks to is untested here.

    A claim of several comparisons is reproduced where each bears it out, and refuted where one speaks against it.

    Args:
        account: By arm.
        student: Name of the arm that the verdict is on.
        beyond: What speaks to claims beside it. None: nothing.
        beside: Tests of the study's other students.
    """
    compared = comparisons_of(account, student=student, beside=beside)
    evidence = Evidence(account, student, compared, beyond or Beyond())
    return tuple(_row(claim, evidence) for claim in CLAIMS)


def _row(claim: Claim, evidence: Evidence) -> ClaimRow:
    found = () if claim.find is None else claim.find(evidence)
    here = "; ".join(each.words for each in found) or f"would need {claim.needs}".replace("`", "")
    return ClaimRow(claim=claim.words, source=claim.source, state=_state(found), here=here)


def _state(found: Sequence[Finding]) -> State:
    if not found:
        return "untested here"
    signs = [each.sign for each in found]
    return "refuted" if min(signs) < 0 else "reproduced" if min(signs) > 0 else "not told apart"


def claims_table() -> str:
    """Return every claim as a line of a Markdown table: whose it is, and what speaks to it.

    >>> print(claims_table().splitlines()[0])
    | claim | source | what speaks to it |
    """
    lines = ["| claim | source | what speaks to it |", "|---|---|---|"]
    for claim in CLAIMS:
        need = claim.needs if claim.find is not None else f"nothing that is run today; it would need {claim.needs}"
        lines.append(f"| {claim.words} | {claim.source} | {need} |")
    return "\n".join(lines) + "\n"
