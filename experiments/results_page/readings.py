"""What the tables say, by rules that were written before most of them were filled."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from results_page.stored import METRICS, Study
from results_page.words import between, listed, points
from segdistill.errors import DataError
from segdistill.evaluation import Gain, ScoreTable
from segdistill.report.wording import as_count, as_percent
from segdistill.study.account import MAIN, STUDENT, TEACHER
from segdistill.study.comparisons import ALONE, Beside, Compared, comparisons_of, p_values_of

ORDER = ("baseline", "student", TEACHER)
"""What distillation promises, from the worst to the best."""

FEW = 10
"""With fewer fields an interval by bootstrap is said to be rough."""

COMPARISONS = (
    ("student", "baseline", "the teacher's targets, beside the same labels"),
    ("control", "baseline", "the same with a teacher that sees only the student's channels"),
    ("student", "control", "the other channels: teacher against control"),
    ("targets-alone", "baseline", "targets without one label, against labels without targets"),
    ("all-labels", "baseline", "all labels, against those of the baseline"),
    ("student", "all-labels", "the student, against all labels without a teacher"),
    ("all-labels-student", "all-labels", "the teacher's targets, beside all labels"),
)
"""First arm, second arm, and what their difference speaks of."""

SAID = {
    ("student", "baseline"): "Against the baseline with the same labels the student",
    ("student", "control"): "Against the control, whose teacher sees only the student's channels, the student",
    ("targets-alone", "baseline"): "Against the baseline the student of targets alone",
    ("all-labels-student", "all-labels"): "With all labels the student, against the same without a teacher,",
    ("student", "all-labels"): "Against the same network with all labels and no teacher the student",
}
"""Differences that the reading puts in words, and how their sentences begin."""


@dataclass(frozen=True)
class Order:
    """Where baseline < student < teacher holds in Dice."""

    mean: bool
    """Over fields and seeds."""

    fields: tuple[int, int]
    """On how many, of all; the mean over seeds."""

    seeds: tuple[int, int]
    """With how many, of all; the mean over fields."""

    pairs: tuple[int, int]
    """In how many pairs of seed and field, of all."""

    failing: tuple[str, ...]
    """The pairs in which it does not hold."""


def order_of(study: Study) -> Order | None:
    """Return where the order holds; None where one of the three arms was not scored."""
    if not set(ORDER) <= set(study.account):
        return None
    tables = [study.account[arm].tables[MAIN] for arm in ORDER]
    values = np.broadcast_arrays(*(table.values for table in tables))
    holds = _rises(*values)
    by_field, by_seed = (_rises(*(value.mean(axis=axis) for value in values)) for axis in (0, 1))
    seeds, fields = tables[1].seeds, tables[1].fields
    failing = [f"{fields[field]} with seed {seeds[seed]}" for seed, field in np.argwhere(~holds)]
    return Order(
        bool(_rises(*(value.mean() for value in values))),
        (int(by_field.sum()), by_field.size),
        (int(by_seed.sum()), by_seed.size),
        (int(holds.sum()), holds.size),
        tuple(failing),
    )


def compared_of(study: Study, metric: str = MAIN, *, beside: Beside = ALONE) -> list[tuple[str, Compared]]:
    """Return every difference of two arms that the study has, and what it speaks of.

    Args:
        study: One section of the page.
        metric: Which score.
        beside: Tests of the other sections that are read beside this one.
    """
    found = {(each.pair.first, each.pair.second): each for each in _every(study, metric, beside)}
    return [(words, found[first, second]) for first, second, words in COMPARISONS if (first, second) in found]


def beside_of(studies: Mapping[str, Study]) -> dict[str, Beside]:
    """Return for each of several studies the tests of the others: what is read side by side is one family.

    Args:
        studies: Name to study, of one experiment.
    """
    tests = {
        name: p_values_of(study.account, student=STUDENT, metrics=study.metrics) for name, study in studies.items()
    }
    return {
        name: {
            metric: [own[metric] for other, own in tests.items() if other != name and metric in own]
            for metric in METRICS
        }
        for name in studies
    }


def _every(study: Study, metric: str, beside: Beside) -> tuple[Compared, ...]:
    known = {(first, second) for first, second, _ in COMPARISONS}
    found = comparisons_of(study.account, metric=metric, beside=beside)
    unknown = [
        f"{each.pair.first} − {each.pair.second}" for each in found if (each.pair.first, each.pair.second) not in known
    ]
    if unknown:
        raise DataError(f"The page has no words for {listed(unknown)}. Add them to COMPARISONS.")
    return found


def reading(study: Study) -> str:
    """Return one paragraph on a study. What speaks against distillation comes first."""
    gains = [sentence for metric in study.metrics for sentence in _on_gains(study, metric)]
    losses_first = sorted(gains, key=lambda sentence: not sentence[0])
    return " ".join([*_on_order(study), *(words for _, words in losses_first), *_on_basis(study)])


def _rises(low: np.ndarray, middle: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.asarray((low < middle) & (middle < high))


def _on_order(study: Study) -> list[str]:
    order = order_of(study)
    if order is None:
        absent = [arm for arm in ORDER if arm not in study.account]
        return [f"The order {' < '.join(ORDER)} cannot be read here: {' and '.join(absent)} was not scored."]
    means = ", ".join(f"{arm} {as_percent(_mean(study.account[arm].tables[MAIN]))}" for arm in ORDER)
    counts = (
        f"it holds on {_of(order.fields, 'field')} (mean over seeds), with {_of(order.seeds, 'seed')} (mean over"
        f" fields), in {_of(order.pairs, 'pair')} of seed and field"
    )
    fails = f" It fails on {listed(order.failing, most=6)}." if order.failing else ""
    if not order.mean:
        return [f"**The order {' < '.join(ORDER)} does not hold in the mean** ({means}): {counts}.{fails}"]
    if order.failing:
        return [
            f"**The order {' < '.join(ORDER)} does not hold everywhere.**{fails} In the mean it does ({means}):"
            f" {counts}."
        ]
    return [f"The order {' < '.join(ORDER)} holds in the mean ({means}) and everywhere: {counts}."]


def _on_gains(study: Study, metric: str) -> list[tuple[bool, str]]:
    """Return one sentence per difference that matters, and whether it is a clear loss."""
    gains = {(each.pair.first, each.pair.second): each.comparison.gain for _, each in compared_of(study, metric)}
    return [
        (_is_loss(gain), f"{words} {_on_gain(gain, METRICS[metric])}.")
        for pair, words in SAID.items()
        if (gain := gains.get(pair)) is not None
    ]


def _is_loss(gain: Gain) -> bool:
    return gain.clear and gain.mean < 0


def _on_gain(gain: Gain, metric: str) -> str:
    size = f"{points(gain.mean)} points of {metric}"
    if gain.interval is None:
        return f"comes out at {size}, of one field: no interval, no claim"
    basis = f"{size} (95 % {between(gain.interval)}; better on {gain.better} of {as_count(gain.units, 'field')})"
    if not gain.clear:
        return f"does not differ clearly: {basis}"
    return f"**loses clearly**: {basis}" if _is_loss(gain) else f"gains clearly: {basis}"


def _on_basis(study: Study) -> list[str]:
    fields, seeds = len(study.fields), len(study.seeds)
    sentences = []
    if fields == 1:
        sentences.append("All of this is one field (n = 1): a demonstration, not evidence about other fields.")
    elif fields < FEW:
        sentences.append(
            f"The intervals rest on {as_count(fields, 'field')} and {as_count(seeds, 'seed')}; of so few a bootstrap is"
            " rather too narrow."
        )
    if seeds == 1:
        sentences.append("There is one seed, so how far training alone moves these numbers is not known.")
    if len(study.results) > 1:
        sentences.append("The folds share training fields, so their scores are not independent.")
    return sentences


def _mean(table: ScoreTable) -> float:
    return float(table.values.mean())


def _of(counts: tuple[int, int], thing: str) -> str:
    return f"{counts[0]} of {as_count(counts[1], thing)}"
