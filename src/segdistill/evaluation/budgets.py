"""How many labels a student without a teacher needs to do as well: read off the curve of label budgets."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

import numpy as np
from jaxtyping import Float, Float64
from scipy.optimize import isotonic_regression

from segdistill.errors import ConfigError
from segdistill.evaluation.crossed import check_same
from segdistill.evaluation.statistics import Interval, resampled_means
from segdistill.evaluation.summary import ScoreTable

_LEVEL = 0.95


@dataclass(frozen=True)
class EqualLabels:
    """The number of labels at which the baseline equals another arm.

    Every number here may be 0, "fewer than the smallest budget that was run", or infinite, "more than the
    largest": the curve is never continued beyond what was run.
    """

    labels: float
    """Labelled training images."""

    interval: Interval | None
    """95 % by bootstrap over seeds and fields; None with one field."""

    budgets: tuple[int, ...]
    """Labelled training images of the baselines that were run, rising."""


def equal_labels(
    arm: ScoreTable,
    baselines: Mapping[int, ScoreTable],
    *,
    higher_is_better: bool = True,
    resamples: int = 2000,
    seed: int = 0,
) -> EqualLabels:
    """Return with how many labels the baseline would score as the arm does.

    Args:
        arm: Scores by seed and field, for example of the student.
        baselines: Labelled training images, ≥ 1, to the baseline's scores on the same fields with the same
            seeds; two budgets at least. Where a seed also draws which images are labelled, as in our
            studies, the interval holds the luck of that drawing.
        higher_is_better: Whether more is better.
        resamples: How many times to draw for the interval, ≥ 1. Arm and baselines meet the same fields and
            seeds in every resample.
        seed: Of the drawing.

    Raises:
        ConfigError: There are fewer than two budgets, or one is not positive.
        DataError: The tables have other fields or seeds than each other.

    >>> table = lambda *scores: ScoreTable((0,), ("a", "b"), np.array([scores]))
    >>> baselines = {4: table(0.6, 0.7), 16: table(0.8, 0.9)}
    >>> round(equal_labels(table(0.7, 0.8), baselines).labels, 3)  # half way over the logarithm: √(4 · 16)
    8.0
    """
    budgets = tuple(sorted(baselines))
    if len(budgets) < 2 or budgets[0] < 1:
        raise ConfigError(
            f"A curve of label budgets was asked for, of the budgets {budgets}."
            " Run the baseline with two numbers of labels at least, each 1 or more."
        )
    tables = [baselines[budget] for budget in budgets]
    check_same(arm, *tables)
    sign = 1.0 if higher_is_better else -1.0
    places = np.array(budgets, dtype=np.float64)
    means = np.array([sign * table.values.mean() for table in (arm, *tables)])
    found = crossing(places, means[1:], float(means[0]))
    if len(arm.fields) < 2:
        return EqualLabels(found, None, budgets)
    values = [table.values for table in (arm, *tables)]
    drawn = sign * resampled_means(values, resamples=resamples, seed=seed)
    crossed = np.array([crossing(places, column[1:], float(column[0])) for column in drawn.T])
    # An order statistic, not a point between two: half way to infinity is nowhere.
    low, high = np.quantile(crossed, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2], method="inverted_cdf").tolist()
    return EqualLabels(found, Interval(low, high, _LEVEL), budgets)


def crossing(budgets: Float64[np.ndarray, "budget"], scores: Float[np.ndarray, "budget"], score: float) -> float:
    """Return the budget at which a learning curve first reaches a score.

    The curve is the best rising one through the points (isotonic regression), straight between them over
    the logarithm of the budget. Rising, because more labels do not hurt in expectation: a dip between two
    budgets is noise, and without this a score could be crossed three times. Straight over the logarithm,
    because over a few doublings learning curves nearly are, and no form of curve need be believed in.

    Args:
        budgets: Labelled images, ≥ 1, rising.
        scores: The baseline's at each budget, higher is better.
        score: To be reached.

    Returns:
        0 where already the smallest budget scores higher; infinity where the largest does not reach the
        score.

    Source:
        Isotonic regression: Barlow et al. 1972, Statistical inference under order restrictions. Learning
        curves over the logarithm: Viering and Loog 2023, The shape of learning curves, IEEE TPAMI 45(6).

    >>> budgets, scores = np.array([2.0, 8.0, 32.0]), np.array([0.5, 0.7, 0.6])  # the curve: 0.5, 0.65, 0.65
    >>> round(crossing(budgets, scores, 0.575), 3)
    4.0
    """
    curve = isotonic_regression(scores).x
    if score < curve[0]:
        return 0.0
    if score > curve[-1]:
        return inf
    place = int(np.searchsorted(curve, score))
    if place == 0:
        return float(budgets[0])
    share = (score - curve[place - 1]) / (curve[place] - curve[place - 1])
    low, high = np.log(budgets[place - 1 : place + 1])
    return float(np.exp(low + share * (high - low)))
