"""Accounts of studies with several teachers, rivals, terms and controls: scores by hand, in percent of Dice."""

import numpy as np
import pytest
from study_usual import TEACHERS, plan

from segdistill.settings import Arm
from segdistill.study.account import Labels, baseline_of, make_account
from segdistill.study.comparisons import pairs_of
from segdistill.study.study_account import conclude_study
from segdistill.study.study_job import study

FIELDS = 8
ARMS = {
    "baseline": Arm(name="baseline", role="baseline", labels=3),
    "student": Arm(name="student", role="student", teacher="grid", labels=3),
    "oracle": Arm(name="oracle", role="student", teacher="boxes", labels=3),
    "control": Arm(name="control", role="control", teacher="nucleus", labels=3),
    "dropped": Arm(name="dropped", role="rival", labels=3, dropped_channels=("membrane",)),
    "head": Arm(name="head", role="rival", labels=3, predicted_channels=("membrane",)),
}
LABELS = Labels(3, 2, 0)


@pytest.fixture
def account_of(rows):
    """Return the maker of an account from each arm's mean score."""

    def make(arms, means, **teachers):
        noise = 0.001 * np.random.default_rng(0).standard_normal((1, FIELDS))
        scores = {name: mean + noise for name, mean in means.items()}
        run = [arms[name] for name in means if name in arms]
        return make_account(rows(scores), run, dict.fromkeys(scores, LABELS), **teachers)

    return make


def pairs(account, student="student"):
    return {(pair.first, pair.second): pair.words for pair in pairs_of(account, student)}


def test_each_arm_is_measured_by_its_own_teacher_and_a_control_by_the_one_that_is_asked_about(account_of):
    means = {"baseline": 0.5, "student": 0.6, "oracle": 0.6, "control": 0.56, "teacher": 0.7, "teacher boxes": 0.9}
    account = account_of(ARMS, means, asked="grid")
    gaps = {name: arm.gap.value for name, arm in account.items() if arm.gap is not None}
    assert gaps == pytest.approx({"student": 1 / 2, "oracle": 1 / 4, "control": 0.06 / 0.2}, abs=1e-6)
    assert account["oracle"].recovery.value == pytest.approx(0.6 / 0.9, abs=1e-3)
    assert [name for name, arm in account.items() if arm.role == "teacher"] == ["teacher", "teacher boxes"]


def test_an_arm_whose_teacher_was_not_scored_has_no_share_of_it(account_of):
    account = account_of(ARMS, {"baseline": 0.5, "student": 0.6, "oracle": 0.6, "teacher": 0.7}, asked="grid")
    assert account["oracle"].recovery is account["oracle"].gap is None
    assert account["student"].gap is not None


def test_a_rival_is_no_baseline_and_gains_over_one(account_of):
    rival_first = [ARMS[name] for name in ("dropped", "head", "baseline", "student")]
    assert {arm.name: getattr(baseline_of(arm, rival_first), "name", None) for arm in rival_first} == {
        "dropped": "baseline",
        "head": "baseline",
        "baseline": None,
        "student": "baseline",
    }
    account = account_of(ARMS, {"dropped": 0.55, "head": 0.52, "baseline": 0.5, "student": 0.6})
    assert account["dropped"].gain.mean == pytest.approx(0.05)
    found = pairs(account)
    assert "without a teacher" in found["dropped", "baseline"]
    assert "another way" in found["student", "head"]
    assert ("student", "dropped") in found


def test_a_student_with_all_labels_stands_against_controls_with_all_labels(account_of):
    arms = {
        "baseline": ARMS["baseline"],
        "all": Arm(name="all", role="all-labels"),
        "student-all": Arm(name="student-all", role="all-labels student", teacher="grid"),
        "blurred": Arm(name="blurred", role="control", teacher="blurred"),
    }
    found = pairs(account_of(arms, dict.fromkeys(arms, 0.5)), "student-all")
    assert ("student-all", "blurred") in found
    assert next(iter(found)) == ("student-all", "all")


def test_what_each_term_earns_is_compared_all_else_equal(account_of):
    terms = {"": {}, "-plain": {"boundary": False}, "-fixed": {"weighting": "fixed"},
             "-plain-fixed": {"boundary": False, "weighting": "fixed"}}  # fmt: skip
    arms = {
        f"{name}{end}": Arm(name=f"{name}{end}", role=name, labels=3, teacher=teacher, **changes)
        for name, teacher in (("baseline", None), ("student", "grid"))
        for end, changes in terms.items()
    }
    found = pairs(account_of(arms, dict.fromkeys(arms, 0.5)))
    boundary = {pair for pair, words in found.items() if "boundary" in words}
    assert boundary == {(name, f"{name}-plain") for name in ("baseline", "student")} | {
        (f"{name}-fixed", f"{name}-plain-fixed") for name in ("baseline", "student")
    }
    weights = {pair for pair, words in found.items() if "learnt" in words}
    assert weights == {(name, f"{name}-fixed") for name in ("baseline", "student")} | {
        (f"{name}-plain", f"{name}-plain-fixed") for name in ("baseline", "student")
    }
    taught = {pair for pair in found if pair not in boundary | weights}
    assert taught == {(f"student{end}", f"baseline{end}") for end in terms}


def test_all_labels_stand_against_fewer_with_the_same_terms(account_of):
    arms = {
        f"{name}{end}": Arm(name=f"{name}{end}", role=role, labels=labels, boundary=not end)
        for name, role, labels in (("few", "baseline", 3), ("all", "all-labels", None))
        for end in ("", "-plain")
    }
    found = pairs(account_of(arms, dict.fromkeys(arms, 0.5)), "few")
    assert {pair for pair, words in found.items() if "fewer" in words} == {("all", "few"), ("all-plain", "few-plain")}


def test_a_study_of_controls_rivals_terms_and_teachers_is_accounted_for_to_the_report(tissue, tmp_path):
    teachers = TEACHERS | {
        "boxes": {"teacher": "sam-tiny-tissue", "channels": ("nucleus", "membrane"), "prompting": "boxes"},
        "blurred": {"teacher": "blurred:2", "channels": ()},
    }
    arms = (
        {"name": "dropout", "dropped_channels": ("membrane",)},
        {"name": "baseline"},
        {"name": "baseline-plain", "boundary": False},
        {"name": "student", "teacher": "full"},
        {"name": "oracle", "teacher": "boxes"},
        {"name": "control", "teacher": "nucleus"},
        {"name": "blurred", "teacher": "blurred", "labels": ("all",)},
    )
    protocol = {"steps": 1, "batch_size": 2, "crop": 32, "validations": 1}
    settings = plan(tissue, tmp_path / "s", arms=arms, teachers=teachers, protocol=protocol)
    done = conclude_study(settings, study(settings)).students["unet-tiny"]
    account = done.account
    assert account["dropout-2"].role == account["dropout-all"].role == "rival"
    assert account["student-2"].baseline == account["dropout-2"].baseline == "baseline-2"
    assert [name for name, arm in account.items() if arm.role == "teacher"] == ["teacher", "teacher boxes"]
    assert account["teacher boxes"].labels.oracle
    found = pairs(account, "student-2")
    assert {("student-all", "blurred-all"), ("student-2", "dropout-2"), ("baseline-2", "baseline-plain-2")} <= set(
        found
    )
    page = done.report.read_text(encoding="utf-8")
    assert "learns from the other channels themselves" in page
    assert "teacher boxes" in page
