"""Two arms on the same fields and seeds: how much better, how surely, and what could have been seen."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64

from segdistill.errors import ConfigError
from segdistill.evaluation.crossed import differences
from segdistill.evaluation.effect import Effect, effect_size
from segdistill.evaluation.power import detectable_difference
from segdistill.evaluation.sign_flips import SignFlips, sign_flip_test, smallest_p
from segdistill.evaluation.statistics import Interval, bootstrap_interval
from segdistill.evaluation.summary import ScoreTable

ALPHA = 0.05
"""Largest p value of a claim."""

MARGIN = 0.02
"""A loss of Dice below this is called none to speak of, where nobody states another margin; fraction."""


@dataclass(frozen=True)
class Gain:
    """A difference of two arms on the same units and seeds."""

    mean: float
    """How much better the first is than the second, in the unit of the scores."""

    interval: Interval | None
    """95 % by bootstrap over seeds and units; None with one unit."""

    better: int
    """Units on which the first is better, averaged over seeds."""

    units: int
    """All units."""

    @property
    def clear(self) -> bool:
        """Whether the interval excludes zero."""
        return self.interval is not None and (self.interval.low > 0 or self.interval.high < 0)


@dataclass(frozen=True)
class Comparison:
    """All that is said of the difference of two arms."""

    gain: Gain
    """The difference and its interval, over fields and seeds."""

    test: SignFlips | None
    """Paired, over fields; None with one field."""

    effect: Effect | None
    """Cohen's d_z over fields; None with one field or where all differences are equal."""

    detectable: float | None
    """The difference that so many fields and seeds would mostly have shown; None with so few fields, below six,
    that no difference whatever can be claimed."""

    seeds: int
    """With how many each arm was trained."""

    def is_claimed(self, p: float | None = None) -> bool:
        """Return whether a difference, of either sign, is claimed.

        It takes both: the interval, over seeds and fields, excludes zero, and the paired test over fields
        gives a p value of at most ``ALPHA``. From a handful of fields a bootstrap interval is too narrow,
        and the test, exact for any number, stands guard: with fewer than six nothing is claimed.

        Args:
            p: The p value where it was corrected for other tests. None: the test's own.
        """
        if self.test is None:
            return False
        return self.gain.clear and (self.test.p if p is None else p) <= ALPHA


@dataclass(frozen=True)
class NonInferiority:
    """Whether one arm is at most a margin worse than another."""

    margin: float
    """The loss that is put up with, > 0, in the unit of the scores."""

    answer: Literal["shown", "unclear", "worse"]
    """"shown": it is worse by less than the margin, if at all; "worse": by more; "unclear": the data cannot tell."""

    gain: Gain
    """Of the first over the second."""


def gain_of(first: ScoreTable, second: ScoreTable, *, higher_is_better: bool = True) -> Gain:
    """Return how much better the first arm is than the second.

    Args:
        first: Scores by seed and field.
        second: Scores of the same fields and seeds; either may have a single seed.
        higher_is_better: Whether more is better.

    Raises:
        DataError: The arms have other fields or seeds.

    >>> table = lambda *scores: ScoreTable((0,), ("a", "b"), np.array([scores]))
    >>> gain_of(table(0.75, 0.8), table(0.5, 0.8)).mean
    0.125
    """
    return _gain(differences(first, second, higher_is_better=higher_is_better))


def compare(first: ScoreTable, second: ScoreTable, *, higher_is_better: bool = True) -> Comparison:
    """Return the difference of two arms with interval, test, effect size and what could have been seen.

    Args:
        first: Scores by seed and field.
        second: Scores of the same fields and seeds; either may have a single seed.
        higher_is_better: Whether more is better. Every difference is positive where the first is better.

    Raises:
        DataError: The arms have other fields or seeds.

    >>> table = lambda *scores: ScoreTable((0,), tuple("abc"), np.array([scores]))
    >>> found = compare(table(0.6, 0.8, 1.0), table(0.5, 0.6, 0.7))
    >>> found.test.p, round(found.effect.value, 3), found.is_claimed()
    (0.25, 2.0, False)
    """
    found = differences(first, second, higher_is_better=higher_is_better)
    by_field = found.mean(axis=0)
    return Comparison(
        gain=_gain(found),
        test=sign_flip_test(by_field),
        effect=effect_size(by_field),
        detectable=detectable_difference(found) if smallest_p(len(by_field)) <= ALPHA else None,
        seeds=len(found),
    )


def non_inferiority(
    first: ScoreTable, second: ScoreTable, *, margin: float = MARGIN, higher_is_better: bool = True
) -> NonInferiority:
    """Say whether the first arm is worse than the second by less than a margin.

    The question "is it better?" moved by the margin, and answered by the same two witnesses: the interval
    of the difference lies above −margin, and the paired test of difference + margin rejects.

    Args:
        first: Scores by seed and field, for example of the student.
        second: Scores of the same fields and seeds, for example of the all-labels reference.
        margin: The loss that is put up with, > 0, in the unit of the scores. State it before you look.
        higher_is_better: Whether more is better.

    Raises:
        ConfigError: The margin is not positive.
        DataError: The arms have other fields or seeds.

    Source:
        Piaggio et al. 2012, Reporting of noninferiority and equivalence randomized trials, JAMA 308(24).

    >>> table = lambda *scores: ScoreTable((0,), tuple("abcdef"), np.array([scores]))
    >>> all_labels = table(0.7, 0.8, 0.7, 0.8, 0.7, 0.8)
    >>> non_inferiority(table(0.7, 0.79, 0.7, 0.8, 0.69, 0.8), all_labels).answer
    'shown'
    """
    if not margin > 0:
        raise ConfigError(f"The margin of non-inferiority is {margin}. Choose one above 0, such as {MARGIN}.")
    found = differences(first, second, higher_is_better=higher_is_better)
    moved, test = _gain(found + margin), sign_flip_test(found.mean(axis=0) + margin)
    decided = moved.clear and test is not None and test.p <= ALPHA
    if not decided:
        return NonInferiority(margin, "unclear", _gain(found))
    return NonInferiority(margin, "shown" if moved.mean > 0 else "worse", _gain(found))


def _gain(found: Float64[np.ndarray, "seed field"]) -> Gain:
    by_field = found.mean(axis=0)
    return Gain(float(by_field.mean()), bootstrap_interval(found), int((by_field > 0).sum()), len(by_field))
