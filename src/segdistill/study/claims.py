"""What the three papers claim, and what the runs at hand say to it: on these images, with these networks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from segdistill.evaluation import Comparison, compare, holm
from segdistill.networks.encoder_folder import EncoderCard
from segdistill.report import ClaimRow, ShiftRow
from segdistill.report.wording import as_points, as_share
from segdistill.study.account import MAIN, ArmAccount
from segdistill.study.comparisons import ALONE, Beside, Compared, Pair, comparisons_of
from segdistill.study.verdict import on_few_seeds

P1, P2, P3 = "arXiv:2606.00928", "arXiv:2504.02351", "arXiv:2503.06976"
"""Cross-modal distillation; agglomeration of several encoders; task-specific distillation with few labels."""

REVIEWS = ", as reviews tell"
"""Behind a source whose claim is not in its abstract or captions."""

State = Literal["reproduced", "refuted", "not told apart", "untested here"]


@dataclass(frozen=True)
class Beyond:
    """What speaks to claims beside the account of one student."""

    teachers: Mapping[str, str] = field(default_factory=dict)
    """Teacher by its name in the study to its own, such as "sam-vit-b"."""

    encoders: Mapping[str, EncoderCard | None] = field(default_factory=dict)
    """Arm to the card of the encoder that its students began with, None for weights without one; without arms whose
    students began with random weights."""

    sizes: Mapping[str, Comparison] = field(default_factory=dict)
    """Student network to what its teacher brought it, of every network of a study."""

    shift: tuple[ShiftRow, ...] = ()
    """Students on other data sets."""


@dataclass(frozen=True)
class Evidence:
    """Everything that a claim may be looked up in."""

    account: Mapping[str, ArmAccount]
    student: str
    """Name of the arm that the verdict is on."""

    compared: Sequence[Compared]
    """Every comparison that the study makes."""

    beyond: Beyond


@dataclass(frozen=True)
class Finding:
    """Something that speaks to a claim."""

    words: str
    """The numbers that say so."""

    sign: int
    """1: for it; -1: against it; 0: the difference could be chance."""


Find = Callable[[Evidence], Sequence[Finding]]
"""From everything at hand to what speaks to a claim; nothing where it was not run."""


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


def _student_over_baseline(evidence: Evidence) -> list[Finding]:
    return _listed(evidence, evidence.student, evidence.account[evidence.student].baseline)


def _student_over_control(evidence: Evidence) -> list[Finding]:
    own = evidence.account[evidence.student].budget
    controls = [arm.name for arm in evidence.account.values() if arm.role == "control" and arm.budget == own]
    return _listed(evidence, evidence.student, next(iter(controls), None))


def _by_term(term: str) -> Find:
    """Return what finds the comparisons of arms that differ in one term of the objective alone."""

    def find(evidence: Evidence) -> list[Finding]:
        arms = {name: arm.arm for name, arm in evidence.account.items() if arm.arm is not None}
        return [
            _of_compared(each)
            for each in evidence.compared
            if (first := arms.get(each.pair.first)) and (second := arms.get(each.pair.second))
            and first.model_copy(update={"name": "", term: None}) == second.model_copy(update={"name": "", term: None})
            and getattr(first, term) != getattr(second, term)
        ]  # fmt: skip

    return find


def _sizes(evidence: Evidence) -> list[Finding]:
    found = evidence.beyond.sizes
    if len(found) < 2:
        return []
    return _corrected({Pair(network, "its baseline", ""): comparison for network, comparison in found.items()})


def _gap(evidence: Evidence) -> list[Finding]:
    gap = evidence.account[evidence.student].gap
    if gap is None or gap.value is None or gap.interval is None:
        return []
    low, high = gap.interval.low, gap.interval.high
    units = len(evidence.account[evidence.student].tables[MAIN].fields)
    sign = 0 if units < FEWEST else 1 if low > HALF else -1 if high < HALF else 0
    return [Finding(f"{as_share(gap.value)} (95 % interval {as_share(low)} to {as_share(high)})", sign)]


SCRATCH = "random weights"

FEWEST = 6
"""Fields below which an interval alone claims nothing, as the paired test of fewer cannot either."""

HALF = 0.5
"""Of the gap between baseline and teacher; P1's printed scores come to a little more."""


def _elsewhere(evidence: Evidence) -> list[Finding]:
    rows = [row for row in evidence.beyond.shift if row.arm == evidence.student and row.metric == "Dice"]
    return [
        Finding(
            f"{row.arm} − its baseline on {row.data}, {row.structure}: {as_points(row.gain)} points of Dice"
            f" (95 % interval {as_points(row.gain_ends[0])} to {as_points(row.gain_ends[1])})",
            0 if row.fields < FEWEST else 1 if row.gain_ends[0] > 0 else -1 if row.gain_ends[1] < 0 else 0,
        )
        for row in rows
        if row.gain is not None and row.gain_ends is not None
    ]


def _sam_over_cellsam(evidence: Evidence) -> list[Finding]:
    def teacher(arm: ArmAccount) -> str:
        name = evidence.beyond.teachers.get((arm.arm and arm.arm.teacher) or "", "")
        return "cellsam" if name.startswith("cellsam") else "sam" if name.startswith(("sam", "medsam")) else ""

    return _between(evidence, teacher, "sam", {"cellsam"}, apart=("teacher",))


def _by_encoder(look: Callable[[EncoderCard | None], str], first: str, others: set[str]) -> Find:
    """Return what finds arms that differ in the encoder alone that they began with.

    Args:
        look: From the card of an encoder, None where it has none, to which of several ways made it; empty: another.
        first: The way that the claim calls better.
        others: Than which.
    """

    def find(evidence: Evidence) -> list[Finding]:
        encoders = evidence.beyond.encoders
        return _between(
            evidence,
            lambda arm: look(encoders[arm.name]) if arm.name in encoders else SCRATCH,
            first,
            others,
            apart=("encoder_weights", "role"),
        )

    return find


def _how(card: EncoderCard | None) -> str:
    """Return in which way of `segdistill pretrain` an encoder was made; empty: in none."""
    return "" if card is None else str(card.provenance.get("settings", {}).get("how", ""))


def _count(card: EncoderCard | None) -> str:
    """Return whether an encoder was agglomerated of several teachers, or of one."""
    if card is None or "balancing" not in card.provenance:
        return ""
    return "several" if len(card.teachers) > 1 else "one"


def _balancing(card: EncoderCard | None) -> str:
    return "" if card is None or _count(card) != "several" else str(card.provenance["balancing"])


def _larger_sets(evidence: Evidence) -> list[Finding]:
    """Return the comparisons of arms whose encoders were pre-trained in one way on more and on fewer images."""
    cards = {name: card for name, card in evidence.beyond.encoders.items() if _how(card)}
    pairs = [
        Pair(more, fewer, "")
        for more in cards
        for fewer in cards
        if _how(cards[more]) == _how(cards[fewer]) and _images(cards[more]) > _images(cards[fewer])
    ]
    return _found(evidence, pairs, apart=("encoder_weights",))


def _images(card: EncoderCard | None) -> int:
    return 0 if card is None else len(card.images)


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
    Claim(P1, "The student closes more than half of the gap to its teacher.", _gap, "a baseline, and a teacher's maps"),
    Claim(P1, "Students of every size gain.", _sizes, "a study of several students"),
    Claim(
        P1, "SAM is the better teacher than CellSAM.", _sam_over_cellsam, "a study with both teachers, all else equal"
    ),
    Claim(
        P1,
        "The gain carries over to another data set, the teacher as it is.",
        _elsewhere,
        "another data set under shift, and a baseline",
    ),
    Claim(
        P1,
        "Supervision of the boundary belongs to what helps (its objective; not told by itself).",
        _by_term("boundary"),
        "a study of arms with the boundary term and without",
    ),
    Claim(
        P1,
        "Weights learnt by uncertainty belong to what helps (its objective; not told by itself).",
        _by_term("weighting"),
        "a study of arms with fixed weights and with learnt ones",
    ),
    Claim(
        P2,
        "Several teachers give a better encoder than one.",
        _by_encoder(_count, "several", {"one"}),
        "a study of encoders that `segdistill agglomerate` made of one teacher and of several",
    ),
    Claim(
        P2 + REVIEWS,
        "Balancing by attention works best.",
        _by_encoder(_balancing, "attention", {"uniform", "fixed", "dropping", "mlp"}),
        "a study of encoders that were agglomerated with each balancing",
    ),
    Claim(P2, "One light encoder serves many segmentation tasks.", None,
          "the twelve structures of its private videos, each by a student of its own and all by one"),
    Claim(P2 + REVIEWS, "MedCLIP adds little beside the others.", None,
          "a study of encoders that were agglomerated with it and without, its weights at hand"),
    Claim(P2 + REVIEWS, "It carries over to other tasks and other scanners.", None,
          "structures left out of agglomeration, and a scanner under shift, against each teacher's own encoder"),
    Claim(P2 + REVIEWS, "It is cheaper than tuning a teacher.", None,
          "the energy of `segdistill agglomerate` beside that of `segdistill adapt`, to the same score"),
    Claim(
        P3,
        "Task-specific distillation beats task-agnostic distillation.",
        _by_encoder(_how, "task", {"features"}),
        "a study of encoders that `segdistill pretrain` made by task and by features",
    ),
    Claim(
        P3,
        "Task-specific distillation beats masked autoencoding on the same images.",
        _by_encoder(_how, "task", {"masked"}),
        "a study of encoders that `segdistill pretrain` made by task and by masked",
    ),
    Claim(
        P3,
        "Task-specific distillation beats contrast (MoCo v3) on the same images.",
        _by_encoder(_how, "task", {"contrast"}),
        "a study of encoders that `segdistill pretrain` made by task and by contrast",
    ),
    Claim(
        P3,
        "Task-specific distillation beats training from scratch.",
        _by_encoder(_how, "task", {SCRATCH}),
        "a study of an encoder that `segdistill pretrain` made by task, and of none",
    ),
    Claim(P3, "It beats masked autoencoding on ImageNet, whose weights come from outside.", None,
          "a study of an encoder made by task and of published weights, which do not say what made them"),
    Claim(
        P3,
        "Larger transfer sets help more.",
        _larger_sets,
        "a study of encoders pre-trained in one way on sets that `segdistill synthesize` enlarged",
    ),
    Claim(P3, "What it teaches generalises better: train and test lie closer together.", None,
          "scores on the training images beside those on the test images"),
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


def _listed(evidence: Evidence, first: str, second: str | None) -> list[Finding]:
    pairs = ((each, (each.pair.first, each.pair.second)) for each in evidence.compared)
    return [_of_compared(each) for each, names in pairs if names == (first, second)]


def _between(
    evidence: Evidence,
    look: Callable[[ArmAccount], str],
    first: str,
    others: set[str],
    *,
    apart: tuple[str, ...],
) -> list[Finding]:
    arms = [arm for arm in evidence.account.values() if arm.arm is not None]
    pairs = [
        Pair(one.name, other.name, "") for one in arms for other in arms if look(one) == first and look(other) in others
    ]
    return _found(evidence, pairs, apart=apart)


def _found(evidence: Evidence, pairs: Sequence[Pair], *, apart: tuple[str, ...]) -> list[Finding]:
    """Return what comes of pairs of arms that have nothing apart but this; they are corrected as one family."""
    alike = [pair for pair in pairs if _alike(evidence.account, pair, apart)]
    tables = {pair: [evidence.account[name].tables[MAIN] for name in (pair.first, pair.second)] for pair in alike}
    return _corrected({pair: compare(*both) for pair, both in tables.items()})


def _alike(account: Mapping[str, ArmAccount], pair: Pair, apart: tuple[str, ...]) -> bool:
    first, second = account[pair.first], account[pair.second]
    if first.arm is None or second.arm is None:
        return False
    same = dict.fromkeys(("name", *apart))
    fields = [(each.tables[MAIN].seeds, each.tables[MAIN].fields) for each in (first, second)]
    return first.arm.model_copy(update=same) == second.arm.model_copy(update=same) and fields[0] == fields[1]


def _corrected(found: Mapping[Pair, Comparison]) -> list[Finding]:
    tested = [each.test.p for each in found.values() if each.test is not None]
    corrected = holm(tested) if len(tested) == len(found) and tested else (None,) * len(found)
    triples: Iterator[tuple[tuple[Pair, Comparison], float | None]] = zip(found.items(), corrected, strict=True)
    return [
        _of_compared(Compared(pair, comparison, holm=p, tests=len(tested), judged=p, questions=1))
        for (pair, comparison), p in triples
    ]


def _of_compared(found: Compared) -> Finding:
    gain = found.comparison.gain
    interval = gain.interval
    ends = "" if interval is None else f" (95 % interval {as_points(interval.low)} to {as_points(interval.high)})"
    few = on_few_seeds(found.comparison) if found.claimed else ""
    words = f"{found.pair.first} − {found.pair.second}: {as_points(gain.mean)} points of Dice{ends}"
    return Finding(", ".join(filter(None, [words, few])), 0 if not found.claimed else 1 if gain.mean > 0 else -1)


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
