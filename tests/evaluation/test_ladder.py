"""Recovery and gap closed, and when they are not given."""

import numpy as np
import pytest

from segdistill.errors import DataError
from segdistill.evaluation import ScoreTable, gap_closed, recovery


def table(means: list[float], *, seeds: int = 3, noise: float = 0.0, seed: int = 0) -> ScoreTable:
    spread = noise * np.random.default_rng(seed).normal(size=(seeds, len(means)))
    return ScoreTable(tuple(range(seeds)), tuple(f"field{i}" for i in range(len(means))), np.array(means) + spread)


def flat(score: float, *, fields: int = 8, seeds: int = 3, noise: float = 0.0, seed: int = 0) -> ScoreTable:
    return table([score] * fields, seeds=seeds, noise=noise, seed=seed)


def test_the_papers_own_numbers():
    # METHODS.md, P1: recovery 78.36 / 89.12 = 87.9 %, gap closed (78.36 - 65.31) / (89.12 - 65.31) = 54.8 %.
    student, baseline, teacher = flat(0.7836), flat(0.6531), flat(0.8912, seeds=1)
    assert recovery(student, teacher).value == pytest.approx(0.879, abs=5e-4)
    assert gap_closed(student, baseline, teacher).value == pytest.approx(0.548, abs=5e-4)


def test_intervals_hold_the_values():
    student, baseline = flat(0.78, noise=0.02), flat(0.65, noise=0.02, seed=1)
    teacher = flat(0.89, seeds=1, noise=0.01, seed=2)
    for ratio in (recovery(student, teacher), gap_closed(student, baseline, teacher)):
        assert ratio.value is not None
        assert ratio.interval is not None
        assert ratio.interval.low < ratio.value < ratio.interval.high
        assert ratio.reason == ""


def test_a_student_below_the_baseline_closes_less_than_nothing():
    assert gap_closed(flat(0.5), flat(0.6), flat(0.8)).value == pytest.approx(-0.5)


def test_no_gap_no_share_of_it():
    found = gap_closed(flat(0.9), flat(0.8), flat(0.7, seeds=1))
    assert (found.value, found.interval) == (None, None)
    assert "does not score above" in found.reason
    assert "−0.100" in found.reason


def test_a_gap_that_may_be_zero_has_no_share():
    # Teacher better in three fields of four, much worse in the last: the mean gap is small and uncertain.
    found = gap_closed(table([0.7] * 4), table([0.6] * 4), table([0.8, 0.8, 0.8, 0.1], seeds=1))
    assert found.value is None
    assert "may be zero" in found.reason
    assert "interval" in found.reason


def test_one_field_has_no_interval_and_so_no_share():
    found = gap_closed(flat(0.7, fields=1), flat(0.6, fields=1), flat(0.9, fields=1))
    assert found.value is None
    assert "one field" in found.reason
    assert recovery(flat(0.7, fields=1), flat(0.9, fields=1)).interval is None


def test_a_teacher_that_scores_nothing_cannot_be_recovered():
    found = recovery(flat(0.0), flat(0.0))
    assert found.value is None
    assert "scores 0" in found.reason


def test_the_same_call_gives_the_same_interval():
    student, baseline, teacher = flat(0.7, noise=0.05), flat(0.6, noise=0.05, seed=1), flat(0.9)
    assert gap_closed(student, baseline, teacher) == gap_closed(student, baseline, teacher)


def test_arms_must_share_fields_and_seeds():
    student = flat(0.7)
    with pytest.raises(DataError, match="field7"):
        recovery(student, flat(0.9, fields=7))
    other = ScoreTable((0, 1, 9), student.fields, student.values)
    with pytest.raises(DataError, match=r"\(0, 1, 2\) and \(0, 1, 9\)"):
        gap_closed(student, other, flat(0.9))
