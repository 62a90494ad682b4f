import numpy as np
import pytest

from segdistill.errors import DataError
from segdistill.evaluation import ScoreTable
from segdistill.settings import Arm
from segdistill.study.account import TEACHER, Labels, gain_of, make_account
from segdistill.study.verdict import verdict_on

ARMS = (
    Arm(name="baseline", role="baseline", labels=3),
    Arm(name="student", role="student", teacher="teacher", labels=3),
    Arm(name="control", role="control", teacher="control", labels=3),
)
LABELS = {
    "baseline": Labels(3, 2, 0),
    "student": Labels(3, 2, 100),
    "control": Labels(3, 2, 100),
    TEACHER: Labels(0, 0, 100),
}


def records(scores, *, metric="dice", structure="cell"):
    """Rows from arm → array of seed by field."""
    return [
        {"arm": arm, "seed": seed, "field": f"field{field}", "structure": structure, "metric": metric,
         "value": float(value), "empty": ""}
        for arm, values in scores.items()
        for (seed, field), value in np.ndenumerate(np.asarray(values, dtype=float))
    ]  # fmt: skip


def ladder(baseline, student, teacher, control=None, fields=8, seeds=3):
    draw = np.random.default_rng(0)
    noise = 0.01 * draw.standard_normal((seeds, fields))
    scores = {"baseline": baseline + noise, "student": student + noise, TEACHER: np.full((1, fields), teacher)}
    if control is not None:
        scores["control"] = control + noise
    return make_account(records(scores), ARMS[: 3 if control is not None else 2], LABELS)


def test_the_papers_own_numbers():
    # P1, TissueNet: 65.31 without, 78.36 with distillation, oracle 89.12: 87.9 % recovery, 54.8 % of the gap.
    account = make_account(
        records({"baseline": [[0.6531] * 2], "student": [[0.7836] * 2], TEACHER: [[0.8912] * 2]}), ARMS[:2], LABELS
    )
    student = account["student"]
    assert student.recovery.value == pytest.approx(0.879, abs=5e-4)
    assert student.gap.value == pytest.approx(0.548, abs=5e-4)
    assert student.gain.mean == pytest.approx(0.1305)


def test_labels_count_once_wherever_they_were_used():
    assert Labels(3, 2, 100).total == 105
    assert Labels(3, 2, 11, shared=5).total == 11
    assert Labels(3, 2, None).total is None


def test_a_clear_gain_is_claimed_and_a_clear_loss_too():
    better = verdict_on(ladder(0.6, 0.7, 0.9), simulated=False)
    assert better.answer == "yes"
    assert "10.0 points of Dice more" in better.sentences[0]
    worse = verdict_on(ladder(0.7, 0.6, 0.9), simulated=False)
    assert worse.answer == "no"
    assert "hurt" in worse.sentences[0]


def test_what_the_data_cannot_tell_is_said():
    draw = np.random.default_rng(1)
    scores = {name: draw.uniform(0.4, 0.9, (2, 3)) for name in ("baseline", "student")}
    verdict = verdict_on(make_account(records(scores), ARMS[:2], LABELS), simulated=False)
    assert verdict.answer == "unclear"
    assert "cannot tell" in verdict.sentences[0]


def test_without_a_baseline_nothing_is_claimed():
    account = make_account(records({"student": [[0.7, 0.8]]}), ARMS[1:2], LABELS)
    assert verdict_on(account, simulated=False).answer == "untested"


def test_one_field_gives_no_interval_and_no_claim():
    account = make_account(records({"baseline": [[0.5]], "student": [[0.9]]}), ARMS[:2], LABELS)
    assert account["student"].gain.interval is None
    assert verdict_on(account, simulated=False).answer == "unclear"


def test_a_control_that_gains_as_much_is_said_in_the_verdict():
    sentences = verdict_on(ladder(0.6, 0.7, 0.9, control=0.7), simulated=False).sentences
    assert any("no evidence" in sentence for sentence in sentences)
    sentences = verdict_on(ladder(0.6, 0.7, 0.9, control=0.6), simulated=False).sentences
    assert any("the other channels brought something" in sentence for sentence in sentences)


def test_simulated_images_are_named_in_the_first_sentence():
    assert "simulated" in verdict_on(ladder(0.6, 0.7, 0.9), simulated=True).sentences[0]


def test_arms_of_other_fields_are_not_compared():
    one = ScoreTable((0,), ("a", "b"), np.array([[0.5, 0.6]]))
    other = ScoreTable((0,), ("a", "c"), np.array([[0.5, 0.6]]))
    with pytest.raises(DataError, match="cannot be compared"):
        gain_of(one, other)


def test_a_missing_score_is_refused_not_averaged_away():
    rows = records({"baseline": [[0.5, 0.6]], "student": [[0.5, 0.6], [0.5, 0.6]]})
    with pytest.raises(DataError, match="missing"):
        make_account(rows[:-1], ARMS[:2], LABELS)
