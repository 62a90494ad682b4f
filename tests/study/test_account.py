import numpy as np
import pytest

from segdistill.errors import DataError
from segdistill.settings import Arm
from segdistill.study.account import TEACHER, Labels, baseline_of, make_account, most_labels

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


def test_of_seeds_that_share_other_images_with_the_teacher_the_largest_number_stands():
    seeds = [Labels(3, 2, 11, shared=3), Labels(3, 2, 11, shared=1), Labels(3, 2, 11, shared=2)]
    assert most_labels(seeds).total == 15
    assert most_labels([*seeds, Labels(3, 2, None)]).total is None


def test_the_baseline_of_an_arm_differs_in_the_teacher_alone():
    student = Arm(name="plain", role="student", teacher="teacher", labels=3, boundary=False)
    plain = Arm(name="baseline-plain", role="baseline", labels=3, boundary=False)
    more = Arm(name="baseline-9", role="baseline", labels=9, boundary=False)
    assert baseline_of(student, [more, ARMS[0], plain]) == plain
    assert baseline_of(student, [more, ARMS[0]]) == ARMS[0]  # the next best: same labels
    assert baseline_of(student, [more]) is None
    assert baseline_of(plain, [ARMS[0]]) is None


def test_the_baseline_of_an_arm_has_its_weights_but_for_the_teachers():
    fixed = {"labels": 3, "weighting": "fixed"}
    student = Arm(name="s", role="student", teacher="t", weights={"labels": 2.0, "distillation": 5.0}, **fixed)
    same = Arm(name="same", role="baseline", weights={"labels": 2.0}, **fixed)
    other = Arm(name="other", role="baseline", **fixed)
    assert baseline_of(student, [other, same]) == same
    assert baseline_of(student, [same, other]) == same


def test_a_missing_score_is_refused_not_averaged_away():
    rows = records({"baseline": [[0.5, 0.6]], "student": [[0.5, 0.6], [0.5, 0.6]]})
    with pytest.raises(DataError, match="missing"):
        make_account(rows[:-1], ARMS[:2], LABELS)
