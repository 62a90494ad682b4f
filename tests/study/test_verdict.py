"""The verdict's sentences: what is claimed, what is not, and what must be known to read it rightly."""

import numpy as np
import pytest

from segdistill.evaluation import compare
from segdistill.study.comparisons import p_values_of
from segdistill.study.verdict import verdict_on


def test_a_clear_gain_is_claimed_and_a_clear_loss_too(account):
    better = verdict_on(account({"baseline": 0.6, "student": 0.7, "teacher": 0.9}, noise=0), simulated=False)
    assert better.answer == "yes"
    assert better.sentences[0] == (
        "Distillation helped: 10.0 points of Dice more, to 70.0 % (95 % interval +10.0 to +10.0; 8 of 8 fields better;"
        " paired test p 0.008)."
    )
    assert len(better.sentences) == 2  # and the teacher's; five seeds and eight fields need no excuse
    worse = verdict_on(account({"baseline": 0.7, "student": 0.6}), simulated=False)
    assert worse.answer == "no"
    assert "hurt" in worse.sentences[0]


def test_what_the_data_cannot_tell_is_said_with_what_they_could_have(account):
    found = account({"baseline": 0.6, "student": 0.602}, noise=0.1)
    verdict = verdict_on(found, simulated=False)
    assert verdict.answer == "unclear"
    assert "cannot tell" in verdict.sentences[0]
    detectable = compare(*(found[arm].tables["dice"] for arm in ("student", "baseline"))).detectable
    assert verdict.sentences[1] == (
        f"With these 8 fields and 5 seeds a difference below {100 * detectable:.1f} points could not have been seen"
        " reliably."
    )


@pytest.mark.parametrize(("seeds", "words"), [(1, "1 seed; five are"), (4, "4 seeds; five are"), (5, None)])
def test_fewer_than_five_seeds_are_named(account, seeds, words):
    verdict = verdict_on(account({"baseline": 0.6, "student": 0.7}, seeds=seeds), simulated=False)
    assert verdict.answer == "yes"
    said = [sentence for sentence in verdict.sentences if "wanted for a claim" in sentence]
    assert said == ([] if words is None else [f"{words} wanted for a claim."])


def test_what_would_be_a_claim_of_one_student_alone_is_told(account):
    # Six fields: p is 1/32; asked of two students 1/16.
    found = account({"baseline": 0.6, "student": 0.7}, fields=6, noise=0.001)
    beside = {"dice": [p_values_of(found, student="student", metrics=("dice",))["dice"]]}
    verdict = verdict_on(found, simulated=False, beside=beside)
    assert verdict.answer == "unclear"
    assert "paired test p 0.031, after Holm over the 2 students of the study 0.062" in verdict.sentences[0]
    assert "Asked of this student alone it would be a claim; asked of 2 students it is none (p 0.062)." in (
        verdict.sentences
    )


def test_with_fewer_than_six_fields_no_claim_can_be_made(account):
    verdict = verdict_on(account({"baseline": 0.6, "student": 0.7}, fields=5), simulated=False)
    assert verdict.answer == "unclear"  # though the interval is far from zero
    assert any("5 fields a paired test cannot give p below 0.062" in sentence for sentence in verdict.sentences)
    assert verdict_on(account({"baseline": 0.6, "student": 0.7}, fields=6), simulated=False).answer == "yes"


def test_an_interval_that_would_claim_alone_is_told(account):
    # Six fields, of which one is slightly worse: 2 · 2 / 64 = 0.0625.
    found = account({"baseline": 0.5, "student": 0.6}, fields=6, noise=0)
    found["student"].tables["dice"].values[:, 0] = 0.499
    verdict = verdict_on(found, simulated=False)
    assert verdict.answer == "unclear"
    assert "The interval alone would make a claim; the paired test over fields does not (p 0.062)." in verdict.sentences


def test_what_no_difference_could_have_shown_has_no_least_one(account):
    verdict = verdict_on(account({"baseline": 0.6, "student": 0.602}, fields=5, noise=0.1), simulated=False)
    assert not any("could not have been seen" in sentence for sentence in verdict.sentences)


def test_one_field_gives_no_interval_and_no_claim(account):
    verdict = verdict_on(account({"baseline": 0.5, "student": 0.9}, fields=1), simulated=False)
    assert verdict.answer == "unclear"
    assert any("One field says nothing" in sentence for sentence in verdict.sentences)
    assert not any("could not have been seen" in sentence for sentence in verdict.sentences)


def test_without_a_baseline_nothing_is_claimed(account):
    assert verdict_on(account({"student": 0.75}), simulated=False).answer == "untested"


def test_a_run_without_a_teacher_speaks_of_none(account):
    verdict = verdict_on(account({"baseline": 0.5}, noise=0), simulated=False, student="baseline")
    assert verdict.answer == "untested"
    assert (
        verdict.sentences[0] == "The network reaches 50.0 % Dice. No teacher taught it, so there was nothing to test."
    )


def test_a_control_that_gains_as_much_is_said_in_the_verdict(account):
    means = {"baseline": 0.6, "student": 0.7, "teacher": 0.9}
    sentences = verdict_on(account({**means, "control": 0.7}), simulated=False).sentences
    assert any("no evidence" in sentence for sentence in sentences)
    sentences = verdict_on(account({**means, "control": 0.6}), simulated=False).sentences
    assert any("the other channels brought something" in sentence for sentence in sentences)


def test_what_labels_themselves_would_buy_is_said_where_the_teacher_is_far_beyond_them(account):
    means = {"baseline": 0.6, "student": 0.62, "teacher": 0.9}
    near = verdict_on(account({**means, "all-labels": 0.65}, noise=0), simulated=False).sentences
    assert [each for each in near if "labels themselves" in each] == [
        "With all labels and no teacher the same network reaches 65.0 %: of the 30.0 points between baseline and"
        " teacher, labels themselves buy +5.0. The rest is more than these labels teach it from the channels it sees."
    ]
    far = verdict_on(account({**means, "all-labels": 0.8}), simulated=False).sentences
    assert not [each for each in far if "labels themselves" in each]


def test_what_control_and_student_differ_in_must_stand_the_correction(account):
    # Three comparisons of six fields: p is 0.031 for each, 0.094 corrected. The question itself needs none.
    verdict = verdict_on(account({"baseline": 0.6, "student": 0.7, "control": 0.65}, fields=6), simulated=False)
    assert verdict.answer == "yes"
    assert any("no evidence" in sentence for sentence in verdict.sentences)


def test_the_margin_is_named_wherever_it_is_used(account):
    means = {"baseline": 0.6, "student": 0.7, "all-labels": 0.705, "control": 0.5}
    found = verdict_on(account(means), simulated=False).remarks
    assert found[0].startswith("Within a margin of 2 points of Dice, student does no worse than the same network")
    assert found[1].startswith("By more than a margin of 2 points of Dice, control does worse than the student")
    strict = verdict_on(account(means), simulated=False, margin=0.005).remarks
    assert strict[0].startswith("Whether student stays within a margin of 0.5 points of Dice")


def test_labels_saved_are_in_the_verdict_once_a_curve_is_there(account):
    few = {"baseline": 0.6, "student": 0.65, "baseline-12": 0.7}
    verdict = verdict_on(account(few, noise=1e-6, seen=1), simulated=False)
    # Half way from 3 to 12 over the logarithm: 6, and 2 to validate: 8. Used: 3 + 2 + 1. Saved: 2.
    assert verdict.sentences[-1] == "Labels saved: 2 (95 % interval 2 to 2)."
    assert verdict.remarks[-1] == (
        "To do as well without a teacher takes 8 labelled images (95 % interval 8 to 8), read off the budgets 5 and"
        " 14; the student took 6, its teacher's included. Labels saved: 2 (95 % interval 2 to 2)."
    )
    one = verdict_on(account({"baseline": 0.6, "student": 0.65}), simulated=False)
    assert not any("Labels saved" in sentence for sentence in (*one.sentences, *one.remarks))
    unknown = verdict_on(account(few, seen=None), simulated=False)
    assert unknown.sentences[-1] == "Labels saved: not known, as nobody stated how many labels the teacher saw."
    assert "nobody stated" in unknown.remarks[-1]


def test_simulated_images_are_named_in_the_first_sentence(account):
    found = account({"baseline": 0.6, "student": 0.7})
    assert "simulated" in verdict_on(found, simulated=True).sentences[0]


def test_an_arm_may_have_another_name(account):
    found = account({"baseline": 0.6, "all-labels": 0.7, "all-labels-student": 0.8})
    verdict = verdict_on(found, simulated=False, student="all-labels-student")
    assert verdict.answer == "yes"
    assert "10." in verdict.sentences[0] or "9." in verdict.sentences[0]
    assert np.isclose(found["all-labels-student"].gain.mean, 0.1, atol=0.01)


def test_a_yes_on_few_seeds_says_so(account):
    means = {"baseline": 0.6, "student": 0.7}
    few, enough = (verdict_on(account(means, seeds=seeds), simulated=False) for seeds in (3, 5))
    assert (few.answer, few.reserve, enough.answer, enough.reserve) == ("yes", "on 3 seeds", "yes", "")
    unclear = verdict_on(account({"baseline": 0.6, "student": 0.6}, seeds=3), simulated=False)
    assert (unclear.answer, unclear.reserve) == ("unclear", "")


def test_a_gain_over_the_control_stands_whatever_the_control_bought(account):
    means = {"baseline": 0.6, "student": 0.7, "control": 0.65, "teacher": 0.9}
    (sentence,) = [each for each in verdict_on(account(means), simulated=False).sentences if "a control" in each]
    assert sentence.startswith("Beyond a control, whose teacher knows no more than the student's channels, the other")
    assert "control minus baseline +5." in sentence
    worse = verdict_on(account({**means, "control": 0.8}), simulated=False).sentences
    assert any(each.startswith("The student does worse than a control") for each in worse)


def test_where_the_gain_is_not_claimed_no_sentence_presupposes_one(account):
    said = verdict_on(account({"baseline": 0.6, "student": 0.6, "control": 0.6}, noise=0.05), simulated=False).sentences
    assert said[0].startswith("The data cannot tell")
    assert not any("the gain" in each for each in said)


def test_no_share_is_told_of_a_teacher_below_its_student(account):
    said = verdict_on(account({"baseline": 0.6, "student": 0.7, "teacher": 0.5}), simulated=False).sentences
    assert "The teacher reaches 50.0 %, less than the student: a share of that would say nothing." in said
    assert not any("recovers" in each for each in said)


def test_a_gap_that_is_none_is_said_without_a_share(account):
    means = {"baseline": 0.7, "student": 0.6, "teacher": 0.65}
    said = verdict_on(account(means, noise=0), simulated=False).sentences
    assert (
        "The teacher reaches 65.0 %; the student recovers 92 % of that. What share of the gap it closes cannot be said:"
        " the teacher does not score above the baseline (gap −0.050)."
    ) in said
    nothing = verdict_on(account({"baseline": 0.1, "student": 0.0, "teacher": 0.0}, noise=0), simulated=False).sentences
    assert "The teacher reaches 0.0 %: of that there is no share to recover." in nothing


def test_that_nothing_was_found_at_all_is_said(account):
    none = verdict_on(account({"baseline": 0.0, "student": 0.0}, noise=0), simulated=False)
    words = "Neither it nor its baseline found anything on any test field: see whether they learnt at all."
    assert words in none.sentences
    some = verdict_on(account({"baseline": 0.0, "student": 0.1}, noise=0), simulated=False)
    assert words not in some.sentences
