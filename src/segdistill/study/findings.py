"""What runs say to a claim: the comparisons that speak to it, each with its numbers and what it comes to."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from segdistill.evaluation import Comparison, ScoreTable, compare, holm, non_inferiority
from segdistill.networks.encoder_folder import EncoderCard
from segdistill.report import ShiftRow
from segdistill.report.wording import as_points, as_share
from segdistill.study.account import MAIN, ArmAccount
from segdistill.study.comparisons import Compared, Pair
from segdistill.study.verdict import on_few_seeds


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

    training: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    """Arm to the mean Dice by seed of its students on the images whose labels they learnt from; without arms that had
    no label, or were not looked at."""


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


def student_over_baseline(evidence: Evidence) -> list[Finding]:
    """Return what a teacher brought the student."""
    return _listed(evidence, evidence.student, evidence.account[evidence.student].baseline)


def student_over_control(evidence: Evidence) -> list[Finding]:
    """Return what the teacher brought the student more than one that saw the student's channels alone."""
    own = evidence.account[evidence.student].budget
    controls = [arm.name for arm in evidence.account.values() if arm.role == "control" and arm.budget == own]
    return _listed(evidence, evidence.student, next(iter(controls), None))


def by_term(term: str) -> Find:
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


def gain_of_every_size(evidence: Evidence) -> list[Finding]:
    """Return what a teacher brought each of several networks."""
    found = evidence.beyond.sizes
    if len(found) < 2:
        return []
    return _corrected({Pair(network, "its baseline", ""): comparison for network, comparison in found.items()})


def more_than_half_of_the_gap(evidence: Evidence) -> list[Finding]:
    """Return which share of the gap between baseline and teacher the student closes."""
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


def gain_elsewhere(evidence: Evidence) -> list[Finding]:
    """Return the student's gain over its baseline on other data sets."""
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


def sam_over_cellsam(evidence: Evidence) -> list[Finding]:
    """Return how arms that a SAM taught do against arms alike that CellSAM taught."""

    def teacher(arm: ArmAccount) -> str:
        name = evidence.beyond.teachers.get((arm.arm and arm.arm.teacher) or "", "")
        return "cellsam" if name.startswith("cellsam") else "sam" if name.startswith(("sam", "medsam")) else ""

    return _between(evidence, teacher, "sam", {"cellsam"}, apart=("teacher",))


def by_encoder(look: Callable[[EncoderCard | None], str], first: str, others: set[str]) -> Find:
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


def how_pretrained(card: EncoderCard | None) -> str:
    """Return in which way of `segdistill pretrain` an encoder was made; empty: in none."""
    return "" if card is None else str(card.provenance.get("settings", {}).get("how", ""))


def how_many_taught(card: EncoderCard | None) -> str:
    """Return whether an encoder was agglomerated of several teachers, or of one."""
    if card is None or "balancing" not in card.provenance:
        return ""
    return "several" if len(card.teachers) > 1 else "one"


def how_balanced(card: EncoderCard | None) -> str:
    """Return how several teachers of an encoder were balanced; empty: there were not several."""
    return "" if card is None or how_many_taught(card) != "several" else str(card.provenance["balancing"])


def from_outside(card: EncoderCard | None) -> str:
    """Return whether an encoder came from elsewhere, which weights without a card did."""
    return "outside" if card is None else how_pretrained(card)


def little_from(teacher: str) -> Find:
    """Return what finds encoders that were agglomerated alike but for one teacher, whose share is then a margin's."""

    def find(evidence: Evidence) -> list[Finding]:
        made = {name: card for name, card in evidence.beyond.encoders.items() if card and how_many_taught(card)}
        pairs = [
            Pair(fuller, poorer, "")
            for fuller in made
            for poorer in made
            if teacher in _taught(made[fuller]) - _taught(made[poorer])
            and _taught(made[fuller]) - {teacher} == _taught(made[poorer])
            and made[fuller].provenance["balancing"] == made[poorer].provenance["balancing"]
        ]
        return [_of_margin(evidence, pair) for pair in pairs if _alike(evidence.account, pair, ("encoder_weights",))]

    return find


def _taught(card: EncoderCard) -> set[str]:
    """Return who taught an encoder: own names as they are, of a folder's its last part."""
    return {Path(each.name.rpartition(":")[2]).name.lower() for each in card.teachers}


def _of_margin(evidence: Evidence, pair: Pair) -> Finding:
    with_it, without = (evidence.account[name].tables[MAIN] for name in (pair.first, pair.second))
    found = non_inferiority(without, with_it)
    words = f"{_difference(pair, compare(with_it, without))}; called little below {100 * found.margin:g} points"
    return Finding(words, {"shown": 1, "unclear": 0, "worse": -1}[found.answer])


def closer_to_training(evidence: Evidence) -> list[Finding]:
    """Return by how much closer to their scores in training come arms that were taught by task, of arms alike."""
    encoders, kept = evidence.beyond.encoders, evidence.beyond.training
    ways = {name: how_pretrained(encoders[name]) if name in encoders else SCRATCH for name in kept}
    pairs = [
        Pair(one, other, "")
        for one in kept
        for other in kept
        if ways[one] == "task" and ways[other] in {"features", "masked", "contrast", SCRATCH}
    ]
    alike = [pair for pair in pairs if _alike(evidence.account, pair, ("encoder_weights", "role"))]
    gaps = {name: _behind(evidence.account[name].tables[MAIN], kept[name]) for name in kept}
    found = {pair: compare(gaps[pair.first], gaps[pair.second]) for pair in alike}
    return [replace(each, words=f"scores in use less those in training, {each.words}") for each in _corrected(found)]


def _behind(table: ScoreTable, training: Mapping[int, float]) -> ScoreTable:
    """Return how far an arm's scores lie above those in training, mostly below zero."""
    seen = np.array([[training[seed]] for seed in table.seeds])
    return replace(table, values=table.values - seen)


def larger_sets(evidence: Evidence) -> list[Finding]:
    """Return the comparisons of arms whose encoders were pre-trained in one way on more and on fewer images."""
    cards = {name: card for name, card in evidence.beyond.encoders.items() if how_pretrained(card)}
    pairs = [
        Pair(more, fewer, "")
        for more in cards
        for fewer in cards
        if how_pretrained(cards[more]) == how_pretrained(cards[fewer]) and _images(cards[more]) > _images(cards[fewer])
    ]
    return _found(evidence, pairs, apart=("encoder_weights",))


def _images(card: EncoderCard | None) -> int:
    return 0 if card is None else len(card.images)


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
    few = on_few_seeds(found.comparison) if found.claimed else ""
    words = ", ".join(filter(None, [_difference(found.pair, found.comparison), few]))
    return Finding(words, 0 if not found.claimed else 1 if found.comparison.gain.mean > 0 else -1)


def _difference(pair: Pair, comparison: Comparison) -> str:
    gain = comparison.gain
    interval = gain.interval
    ends = "" if interval is None else f" (95 % interval {as_points(interval.low)} to {as_points(interval.high)})"
    return f"{pair.first} − {pair.second}: {as_points(gain.mean)} points of Dice{ends}"
