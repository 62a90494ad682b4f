"""Every comparison of arms that a study makes: one family for each metric, over all students, corrected together."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from segdistill.evaluation import Comparison, compare, holm
from segdistill.evaluation.metrics import find_metric
from segdistill.settings.objective import Weights
from segdistill.study.account import MAIN, STUDENT, ArmAccount

WORDS = {
    "pretrained": "the pre-training, beside the same labels",
    "rival": "the other channels without a teacher, beside the same labels",
    "student": "the teacher's targets, beside the same labels",
    "control": "targets of a teacher that knows no more than the student's channels",
    "all-labels student": "the teacher's targets, beside all labels",
}
"""What an arm less its baseline speaks of, by the arm's role."""

BESIDE = {
    "control": "what the teacher sees and the student does not",
    "rival": "the teacher, against another way to learn from the other channels",
}
"""What a student less an arm of this role, with as many labels, speaks of."""

TERMS = (
    ("boundary", "none", "the boundary term, all else equal"),
    ("weighting", "fixed", "weights that are learnt, against fixed ones"),
)
"""A term of the objective, what it is without, and what the difference speaks of."""


@dataclass(frozen=True)
class Pair:
    """Two arms that are compared, and what their difference speaks of."""

    first: str
    """An arm's name."""

    second: str
    """An arm's name; the difference is first minus second."""

    words: str
    """What the difference speaks of."""

    asked: bool = False
    """Whether this is the question of the study, fixed before it was run; it is not one pick of many."""


@dataclass(frozen=True)
class PValues:
    """p values of one student's comparisons by one metric."""

    question: tuple[float, ...]
    """Of the question about this student; empty where there is none, or with one field."""

    others: tuple[float, ...]
    """Of everything else."""


Beside = Mapping[str, Sequence[PValues]]
"""Metric to the tests of the study's other students, which are read beside a student's own."""

ALONE: Beside = MappingProxyType({})
"""There is no other student."""


@dataclass(frozen=True)
class Compared:
    """A pair, what came out, and how it stands among its family."""

    pair: Pair
    comparison: Comparison

    holm: float | None
    """p value corrected for every test of this study and metric, those of all students; None with one field."""

    tests: int
    """How many these are; 0 with one field."""

    judged: float | None
    """p value that a claim rests on; None with one field.

    Of the question it is its own, corrected only for the questions about the study's other students; else ``holm``."""

    questions: int
    """Students about whom the study asks this question, itself among them."""

    @property
    def claimed(self) -> bool:
        """Whether a difference is claimed."""
        return self.comparison.is_claimed(self.judged)


def comparisons_of(
    account: Mapping[str, ArmAccount], *, metric: str = MAIN, student: str = STUDENT, beside: Beside = ALONE
) -> tuple[Compared, ...]:
    """Return every comparison that the arms of a study allow.

    Args:
        account: By arm.
        metric: Which score; arms without it are left out. Where less is better, less is a gain.
        student: The arm about which the study asks.
        beside: Tests of the study's other students, from ``p_values_of``: they belong to the same families.

    Raises:
        UnknownName: There is no such score.
        DataError: Two arms have other fields or seeds than each other.
    """
    found = _compare_all(account, metric, student)
    own, others = _tests(found), beside.get(metric, ())
    rest = [p for each in others for p in (*each.question, *each.others)]
    questions = [p for each in others for p in each.question]
    corrected = holm([*own.question, *own.others, *rest])
    of_questions = holm([*own.question, *questions])
    # All arms have the same fields: either every pair is tested or none is. The question, if any, is the first.
    return tuple(
        Compared(
            pair,
            comparison,
            holm=corrected[place] if corrected else None,
            tests=len(corrected),
            judged=None if not corrected else of_questions[0] if pair.asked else corrected[place],
            questions=1 + len(questions),
        )
        for place, (pair, comparison) in enumerate(found)
    )


def p_values_of(account: Mapping[str, ArmAccount], *, student: str, metrics: Iterable[str]) -> dict[str, PValues]:
    """Return by metric the p values of every comparison, for the families of a study with several students.

    Args:
        account: By arm, of one student.
        student: The arm about which the study asks.
        metrics: Which scores.
    """
    return {metric: _tests(_compare_all(account, metric, student)) for metric in metrics}


def _compare_all(account: Mapping[str, ArmAccount], metric: str, student: str) -> list[tuple[Pair, Comparison]]:
    more = find_metric(metric).higher_is_better
    return [
        (pair, compare(account[pair.first].tables[metric], account[pair.second].tables[metric], higher_is_better=more))
        for pair in pairs_of(account, student)
        if _has(account, pair, metric)
    ]


def _tests(found: Sequence[tuple[Pair, Comparison]]) -> PValues:
    tested = [(pair.asked, each.test.p) for pair, each in found if each.test is not None]
    return PValues(tuple(p for asked, p in tested if asked), tuple(p for asked, p in tested if not asked))


def pairs_of(account: Mapping[str, ArmAccount], student: str = STUDENT) -> tuple[Pair, ...]:
    """Return which arms are compared, the question of the study first.

    Every arm with a teacher stands against the same without one; every student against the controls and rivals of
    its budget and against all labels without a teacher; targets alone against the fewest labels; and arms that differ
    in the boundary term or in the weighting alone against each other.
    """
    pairs: dict[tuple[str, str], Pair] = {}
    for pair in sorted(_pairs(account, student), key=lambda pair: not pair.asked):
        pairs.setdefault((pair.first, pair.second), pair)
    return tuple(pairs.values())


def _pairs(account: Mapping[str, ArmAccount], student: str) -> Iterator[Pair]:
    baselines, references = of_role(account, "baseline"), of_role(account, "all-labels")
    for arm in account.values():
        if arm.baseline is not None:
            yield Pair(arm.name, arm.baseline, WORDS.get(arm.role, arm.role), asked=arm.name == student)
    for arm in (*of_role(account, "student"), *of_role(account, "all-labels student")):
        for role, words in BESIDE.items():
            yield from (Pair(arm.name, each.name, words) for each in _beside(arm, of_role(account, role)))
    for arm in of_role(account, "student"):
        yield from (
            Pair(arm.name, each.name, "the student, against all labels without a teacher")
            for each in _same_terms(arm, references)
        )
    if baselines:
        fewest = min(baselines, key=lambda each: each.labels.training)
        for arm in of_role(account, "targets alone"):
            yield Pair(arm.name, fewest.name, "targets without one label, against labels without targets")
    for reference in references:
        yield from (
            Pair(reference.name, each.name, "all labels, against fewer; no teacher")
            for each in _same_terms(reference, baselines)
        )
    yield from _terms(account)


def _beside(arm: ArmAccount, others: Sequence[ArmAccount]) -> list[ArmAccount]:
    return _same_terms(arm, [other for other in others if other.budget == arm.budget])


def _same_terms(arm: ArmAccount, others: Sequence[ArmAccount]) -> list[ArmAccount]:
    """Return those that have the same boundary term, weighting and weights; all, where none has."""
    same = [other for other in others if _terms_of(other) == _terms_of(arm)]
    return same or list(others)


def _terms_of(arm: ArmAccount) -> tuple[str, str, Weights] | None:
    if arm.arm is None:
        return None
    own = arm.arm.untaught()  # what only a teacher has is no difference
    return own.boundary, own.weighting, own.weights


def _terms(account: Mapping[str, ArmAccount]) -> Iterator[Pair]:
    """Yield the arms that differ in one term of the objective alone: what that term earns."""
    arms = [arm.arm for arm in account.values() if arm.arm is not None]
    for term, plain, words in TERMS:
        without = [arm for arm in arms if getattr(arm, term) == plain]
        for arm in arms:
            alike = arm.model_copy(update={term: plain})
            yield from (
                Pair(arm.name, other.name, words)
                for other in without
                if getattr(arm, term) != plain and other == alike.model_copy(update={"name": other.name})
            )


def of_role(account: Mapping[str, ArmAccount], role: str) -> list[ArmAccount]:
    """Return the arms that stand for something."""
    return [arm for arm in account.values() if arm.role == role]


def _has(account: Mapping[str, ArmAccount], pair: Pair, metric: str) -> bool:
    return metric in account[pair.first].tables and metric in account[pair.second].tables
