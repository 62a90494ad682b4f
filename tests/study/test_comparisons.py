"""Which arms are compared, and how the family is corrected."""

import pytest

from segdistill.evaluation import holm
from segdistill.study.comparisons import comparisons_of, p_values_of, pairs_of

EVERY = {
    "baseline": 0.6,
    "student": 0.7,
    "control": 0.65,
    "targets-alone": 0.62,
    "all-labels": 0.72,
    "all-labels-student": 0.73,
    "teacher": 0.9,
}


def test_every_question_is_asked_once_and_the_studys_own_first(account):
    pairs = pairs_of(account(EVERY))
    assert [(pair.first, pair.second) for pair in pairs] == [
        ("student", "baseline"),
        ("control", "baseline"),
        ("all-labels-student", "all-labels"),
        ("student", "control"),
        ("student", "all-labels"),
        ("targets-alone", "baseline"),
        ("all-labels", "baseline"),
    ]
    assert [pair.asked for pair in pairs] == [True] + 6 * [False]
    assert all(pair.words for pair in pairs)


def test_targets_alone_stand_against_the_fewest_labels_and_every_budget_against_all(account):
    pairs = pairs_of(account({**EVERY, "baseline-12": 0.68}))
    seconds = {pair.second for pair in pairs if pair.first == "targets-alone"}
    assert seconds == {"baseline"}
    assert {pair.second for pair in pairs if pair.first == "all-labels"} == {"baseline", "baseline-12"}


def test_the_family_is_corrected_together_and_metric_by_metric(account):
    found = account(EVERY, metrics=("dice", "ap50"))
    for metric in ("dice", "ap50"):
        family = comparisons_of(found, metric=metric)
        assert [each.holm for each in family] == list(holm([each.comparison.test.p for each in family]))
    assert comparisons_of(found, metric="pq") == ()


def test_the_question_is_claimed_by_its_own_p_and_the_rest_by_the_corrected_one(account):
    # Six fields: every p is 0.031, corrected above 0.05.
    family = comparisons_of(account(EVERY, fields=6, noise=0.001))
    assert {each.comparison.test.p for each in family} == {0.03125}
    assert [each.claimed for each in family] == [True] + 6 * [False]


def test_students_of_a_study_are_one_family_by_each_metric(account):
    small = account(EVERY, metrics=("dice", "ap50"))
    large = account({"baseline": 0.6, "student": 0.61, "control": 0.605}, metrics=("dice", "ap50"), noise=0.02)
    names = ("dice", "ap50")
    beside = {name: [each] for name, each in p_values_of(large, student="student", metrics=names).items()}
    for metric in ("dice", "ap50"):
        own = comparisons_of(small, metric=metric, beside=beside)
        alone = [comparisons_of(each, metric=metric) for each in (small, large)]
        together = holm([found.comparison.test.p for family in alone for found in family])
        assert [each.holm for each in own] == list(together[: len(own)])
        assert {each.tests for each in own} == {7 + 3}
        assert {each.tests for each in alone[0]} == {7}


def test_a_question_asked_of_several_students_is_corrected_for_their_number(account):
    # Six fields: every p is 1/32. Alone it is a claim; Holm of two questions makes it 2/32.
    found = account({"baseline": 0.6, "student": 0.7}, fields=6, noise=0.001)
    (alone,) = comparisons_of(found)
    assert (alone.judged, alone.questions, alone.claimed) == (1 / 32, 1, True)
    beside = {"dice": [p_values_of(found, student="student", metrics=("dice",))["dice"]]}
    (together,) = comparisons_of(found, beside=beside)
    assert (together.judged, together.questions, together.claimed) == (2 / 32, 2, False)


def test_where_less_is_better_less_is_a_gain(account):
    found = account({"baseline": 0.6, "student": 0.7}, metrics=("dice", "merges"))
    dice, merges = (comparisons_of(found, metric=metric)[0].comparison.gain.mean for metric in ("dice", "merges"))
    assert merges == pytest.approx(-dice)


def test_one_field_is_compared_without_a_test(account):
    family = comparisons_of(account(EVERY, fields=1))
    assert {each.holm for each in family} == {None}
    assert not any(each.claimed for each in family)


def test_without_pairs_there_is_no_family(account):
    assert comparisons_of(account({"student": 0.7, "teacher": 0.9})) == ()


def test_of_several_students_the_one_that_is_named_is_the_question(account):
    pairs = pairs_of(account(EVERY), student="all-labels-student")
    assert (pairs[0].first, pairs[0].second) == ("all-labels-student", "all-labels")
    assert sum(pair.asked for pair in pairs) == 1


@pytest.mark.parametrize("name", ["teacher", "baseline"])
def test_an_arm_without_a_baseline_is_no_question(account, name):
    assert not any(pair.asked for pair in pairs_of(account(EVERY), student=name))
