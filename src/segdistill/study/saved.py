"""Labels saved: what a baseline would have needed, less what was used anywhere."""

from dataclasses import dataclass
from math import inf

from segdistill.evaluation import EqualLabels, Interval


@dataclass(frozen=True)
class Saved:
    """Labelled images that a baseline needs to equal an arm, and those that the arm used."""

    equal: EqualLabels
    """Labelled training images at which the baseline equals the arm."""

    validation: int
    """Labelled images that the baselines used beside them, to choose weights and thresholds."""

    used: int | None
    """Labelled images that the arm used anywhere, its teacher's among them; None: not known."""

    @property
    def labels(self) -> float | None:
        """Labels saved, negative where more were used than saved; None where nothing is known.

        Infinite where the baseline never reached the arm, minus infinite where it always was better: the
        budgets that were run then give a bound and no number, see ``saved_words``. Nothing is known where
        nobody stated how many labels the teacher saw, and where the baseline never reached the arm but the
        largest budget is no larger than what the arm used.
        """
        if self.equal.labels == inf and (self.used is None or self.equal.budgets[-1] + self.validation <= self.used):
            return None
        return self._less_used(self.equal.labels)

    @property
    def interval(self) -> Interval | None:
        """95 % interval, its ends infinite as ``labels`` may be; None with one field or where labels is None."""
        found = self.equal.interval
        if found is None or self.labels is None:
            return None
        low, high = self._less_used(found.low), self._less_used(found.high)
        return None if low is None or high is None else Interval(low, high, found.level)

    def _less_used(self, equal: float) -> float | None:
        if self.used is None:
            return None
        return equal + self.validation - self.used if equal > 0 else -inf


def needed_words(saved: Saved) -> str:
    """Return how many labels the baseline needs, those for validation among them.

    >>> needed_words(Saved(EqualLabels(38.2, Interval(12.0, inf, 0.95), (2, 60)), 6, 13))
    '44 (95 % interval 18 to more than 66)'
    """
    return _words(saved, saved.validation)


def saved_words(saved: Saved) -> str:
    """Return the labels saved, nothing beyond the budgets that were run.

    >>> saved_words(Saved(EqualLabels(inf, Interval(2.0, inf, 0.95), (2, 60)), 6, 13))
    'more than 53 (95 % interval −5 to more than 53)'
    >>> saved_words(Saved(EqualLabels(38.2, None, (2, 60)), 6, None))
    'not known, as nobody stated how many labels the teacher saw'
    >>> saved_words(Saved(EqualLabels(0.0, Interval(0.0, 5.0, 0.95), (2, 60)), 6, 13))
    'none: with the fewest that were run, 8, the baseline does as well (95 % interval fewer than −5 to −2)'
    """
    if saved.used is None:
        return "not known, as nobody stated how many labels the teacher saw"
    if saved.labels is None:
        return "not known, as more were used than the largest budget holds"
    shift = saved.validation - saved.used
    if saved.equal.labels > 0:
        return _words(saved, shift)
    fewest = saved.equal.budgets[0] + saved.validation
    return f"none: with the fewest that were run, {fewest}, the baseline does as well{_interval(saved, shift)}"


def saved_sentence(saved: Saved) -> str:
    """Return everything about the labels saved in one sentence.

    >>> print(saved_sentence(Saved(EqualLabels(38.2, None, (2, 60)), 6, 13)))
    To do as well without a teacher takes 44 labelled images, read off the budgets 8 and 66; the student took 13,
    its teacher's included. Labels saved: 31.
    """
    budgets = [str(budget + saved.validation) for budget in saved.equal.budgets]
    took = "an unknown number" if saved.used is None else str(saved.used)
    return (
        f"To do as well without a teacher takes {_with_unit(needed_words(saved))}, read off the budgets"
        f" {', '.join(budgets[:-1])} and {budgets[-1]}; the student took {took}, its teacher's included."
        f" Labels saved: {saved_words(saved)}."
    )


def _words(saved: Saved, shift: int) -> str:
    return f"{_count(saved, saved.equal.labels, shift)}{_interval(saved, shift)}"


def _interval(saved: Saved, shift: int) -> str:
    """Return the interval in brackets; nothing where there is none, or where the budgets only bound both its ends."""
    found = saved.equal.interval
    if found is None or found.high == 0:
        return ""
    return f" (95 % interval {_count(saved, found.low, shift)} to {_count(saved, found.high, shift)})"


def _count(saved: Saved, equal: float, shift: int) -> str:
    smallest, largest = saved.equal.budgets[0], saved.equal.budgets[-1]
    if equal == 0:
        return f"fewer than {smallest + shift}".replace("-", "−")
    if equal == inf:
        return f"more than {largest + shift}".replace("-", "−")
    return f"{equal + shift:.0f}".replace("-", "−")


def _with_unit(words: str) -> str:
    number, bracket, rest = words.partition(" (")
    return f"{number} labelled images{bracket}{rest}"
