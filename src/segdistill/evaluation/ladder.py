"""What distillation bought: recovery and the share of the gap that it closed."""

from dataclasses import dataclass

import numpy as np

from segdistill.evaluation.crossed import check_same
from segdistill.evaluation.statistics import Interval, percentile_interval, resampled_means
from segdistill.evaluation.summary import ScoreTable

LEVEL = 0.95
"""Confidence of the intervals here."""


@dataclass(frozen=True)
class Ratio:
    """A ratio of scores, or why there is none."""

    value: float | None
    """The ratio, 1 = 100 %; None where it would mean nothing."""

    interval: Interval | None
    """By bootstrap over seeds and fields; None where there is no value or one field only."""

    reason: str
    """Why there is no value; empty where there is one."""


def recovery(student: ScoreTable, teacher: ScoreTable, *, resamples: int = 2000, seed: int = 0) -> Ratio:
    """Return the student's mean score over the teacher's.

    Args:
        student: Scores by seed and field.
        teacher: Scores of the same fields; the same seeds, or one where it is frozen.
        resamples: How many times to draw for the interval, ≥ 1.
        seed: Of the drawing.

    Returns:
        No value where the teacher's mean is 0.

    Raises:
        DataError: The tables have other fields or seeds than each other.

    >>> table = lambda score: ScoreTable((0,), ("a", "b"), np.full((1, 2), score))
    >>> recovery(table(0.25), table(0.5)).value
    0.5
    """
    check_same(student, teacher)
    if not teacher.values.mean() > 0:
        return Ratio(None, None, "the teacher scores 0")
    above, below = resampled_means([student.values, teacher.values], resamples=resamples, seed=seed)
    value = float(student.values.mean() / teacher.values.mean())
    return Ratio(value, _interval(student, above, below), "")


def gap_closed(
    student: ScoreTable, baseline: ScoreTable, teacher: ScoreTable, *, resamples: int = 2000, seed: int = 0
) -> Ratio:
    """Return (student − baseline) / (teacher − baseline), where there is a gap to close.

    Args:
        student: Scores by seed and field.
        baseline: Scores of the arm without a teacher, of the same fields and seeds.
        teacher: Scores of the same fields; the same seeds, or one where it is frozen.
        resamples: How many times to draw for the intervals, ≥ 1.
        seed: Of the drawing.

    Returns:
        A value only where the interval of the gap (teacher − baseline) excludes zero; otherwise the
        reason. Negative where the student is worse than the baseline, above 1 where it is better than
        the teacher. The interval leaves out the resamples without a gap, fewer than one in forty.

    Raises:
        DataError: The tables have other fields or seeds than each other.

    >>> table = lambda *scores: ScoreTable((0,), ("a", "b"), np.array([scores]))
    >>> round(gap_closed(table(0.75, 0.8), table(0.6, 0.7), table(0.9, 0.9)).value, 3)
    0.5
    """
    check_same(student, baseline, teacher)
    means = [float(table.values.mean()) for table in (student, baseline, teacher)]
    gap = means[2] - means[1]
    if gap <= 0:
        return Ratio(None, None, f"the teacher does not score above the baseline (gap {gap:.3f})".replace("-", "−"))
    if len(teacher.fields) < 2:
        return Ratio(None, None, f"with one field no interval of the gap ({gap:.3f}) can be given")
    arms = [student.values, baseline.values, teacher.values]
    drawn_student, drawn_baseline, drawn_teacher = resampled_means(arms, resamples=resamples, seed=seed)
    drawn_gap = drawn_teacher - drawn_baseline
    interval = percentile_interval(drawn_gap, level=LEVEL)
    if interval.low <= 0:
        return Ratio(
            None,
            None,
            f"the gap between baseline and teacher may be zero ({gap:.3f}, 95 % interval"
            f" {interval.low:.3f} to {interval.high:.3f})",
        )
    real = drawn_gap > 0
    closed = _interval(student, (drawn_student - drawn_baseline)[real], drawn_gap[real])
    return Ratio((means[0] - means[1]) / gap, closed, "")


def _interval(table: ScoreTable, above: np.ndarray, below: np.ndarray) -> Interval | None:
    if len(table.fields) < 2 or not (below > 0).all():
        return None
    return percentile_interval(above / below, level=LEVEL)
