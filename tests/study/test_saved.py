"""Labels saved: counted everywhere, bounded where the curve ends."""

from math import inf

import pytest

from segdistill.evaluation import EqualLabels, Interval
from segdistill.study.saved import Saved, needed_words, saved_sentence, saved_words

BUDGETS = (2, 60)


def saved(equal, low=None, high=None, *, used=13):
    interval = None if low is None else Interval(low, high, 0.95)
    return Saved(EqualLabels(equal, interval, BUDGETS), validation=6, used=used)


def test_by_hand():
    # 38 to train and 6 to validate, less 13: 31; the interval 12 to 50 moves alike, to 5 and 43.
    found = saved(38.0, 12.0, 50.0)
    assert found.labels == 31
    assert (found.interval.low, found.interval.high) == (5, 43)
    assert needed_words(found) == "44 (95 % interval 18 to 56)"
    assert saved_words(found) == "31 (95 % interval 5 to 43)"


def test_more_used_than_saved_is_negative():
    assert saved(3.0, used=113).labels == -104
    assert saved_words(saved(3.0, used=113)) == "−104"


@pytest.mark.parametrize(
    ("found", "labels", "words"),
    [
        (saved(inf, 20.0, inf), inf, "more than 53 (95 % interval 13 to more than 53)"),
        (
            saved(0.0, 0.0, 20.0),
            -inf,
            "none: with the fewest that were run, 8, the baseline does as well (95 % interval fewer than −5 to 13)",
        ),
        (saved(0.0, 0.0, 0.0), -inf, "none: with the fewest that were run, 8, the baseline does as well"),
    ],
)
def test_beyond_the_budgets_there_is_a_bound_and_no_number(found, labels, words):
    assert found.labels == labels
    assert saved_words(found) == words


def test_a_curve_that_ends_before_the_labels_used_tells_nothing():
    found = saved(inf, 20.0, inf, used=66)
    assert (found.labels, found.interval) == (None, None)
    assert saved_words(found) == "not known, as more were used than the largest budget holds"
    assert saved(inf, 20.0, inf, used=65).labels == inf


def test_a_teacher_of_unknown_labels_saves_an_unknown_number():
    found = saved(38.0, 12.0, 50.0, used=None)
    assert (found.labels, found.interval) == (None, None)
    assert "not known" in saved_words(found)
    assert "the student took an unknown number" in saved_sentence(found)


def test_the_account_counts_the_teachers_labels_and_everybodys_validation(account):
    # Baselines with 3, 12 and 48 labels at 0.6, 0.7, 0.8; the student at 0.75 equals √(12 · 48) = 24.
    means = {"baseline": 0.6, "baseline-12": 0.7, "all-labels": 0.8, "student": 0.75, "teacher": 0.9}
    found = account(means, noise=1e-6, seen=10)["student"].saved
    assert found.equal.budgets == (3, 12, 48)
    assert found.equal.labels == pytest.approx(24, rel=1e-3)
    assert found.used == 3 + 2 + 10
    assert found.labels == pytest.approx(24 + 2 - 15, abs=0.1)
    every = account(means, noise=1e-6, seen=None)
    assert every["student"].saved.labels is None
    assert every["baseline"].saved is None
    assert every["teacher"].saved is None


def test_one_budget_is_no_curve(account):
    assert account({"baseline": 0.6, "student": 0.7})["student"].saved is None
