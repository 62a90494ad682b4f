"""Which terms and weights may be asked for, in the main job and in a study, and what is recorded of them."""

import pytest

from segdistill.errors import ConfigError
from segdistill.objectives import BOUNDARY, DISTILLATION
from segdistill.settings import Arm, Distill, Study, validated
from segdistill.settings.objective import SOFTENED, Boundary, Distilled, ObjectiveTerms

JOB = {"data": "d", "out": "o", "teacher": "t", "teacher_channels": ["a", "b"], "student_channels": ["a"]}
STUDY = {
    "data": "d",
    "out": "o",
    "student_channels": ["a"],
    "teachers": {"t": {"teacher": "sam-tiny-tissue", "channels": ["a", "b"]}},
}
BASELINE = {"name": "baseline"}


def job(**objective):
    return validated(Distill, {**JOB, "objective": objective})


def terms(arm, **objective):
    arms = [BASELINE, {"name": "arm", "teacher": "t", **arm}]
    study = validated(Study, {**STUDY, "arms": arms, "objective": objective})
    return study.objective_of(study.arms[1])


def test_the_names_are_those_of_the_objectives():
    assert set(Distilled.__args__) == {name for name, term in DISTILLATION.items() if not term.exclusive}
    assert {name for name in Distilled.__args__ if DISTILLATION[name].temperature is not None} == SOFTENED
    assert set(Boundary.__origin__.__args__) == {*BOUNDARY, "none"}


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ({"temperature": 3.0}, "temperature is 3, but probability_mse has none"),
        ({"distillation": "binary_kl", "temperature": 0}, "greater than 0"),
        ({"distillation": "pixel_kl"}, "objective.distillation: must be"),
        ({"boundary": "gradient_4"}, "objective.boundary: must be"),
        ({"boundary": "surface_distance"}, "can be negative.*Choose weighting fixed: --objective.weighting fixed"),
        ({"boundary": "surface_distance", "weighting": "bounded"}, "with weighting bounded its weight would grow"),
        ({"weights": {"labels": 2}}, "given for labels, but with weighting uncertainty they are learnt"),
        ({"weighting": "fixed", "weights": {"labels": 0}}, "greater than 0"),
        ({"weighting": "fixed", "weights": {"label": 1}}, "Did you mean 'labels'"),
        ({"weighting": "fixed", "boundary": "none", "weights": {"boundary": 2}}, "weights.boundary is void"),
        ({"weighting": "fixed", "weights": {"surface_distance": 2}}, "weights.surface_distance is void"),
        ({"weighting": "fixed", "weights": {"stains": 2}}, "objective.weights.stains is void"),
    ],
)
def test_what_would_be_void_or_wrong_is_refused(objective, message):
    with pytest.raises(ConfigError, match=message):
        job(**objective)


def test_every_arm_of_the_main_job_has_the_terms_that_it_can_have():
    weights = {"labels": 2, "distillation": 3, "boundary": 4}
    baseline, student = job(
        distillation="channel_kl", temperature=3, boundary="gradient_5", weighting="fixed", weights=weights
    ).arms()
    assert (student.distillation, student.temperature, student.boundary) == ("channel_kl", 3, "gradient_5")
    assert student.weights.given == weights
    assert (baseline.distillation, baseline.temperature, baseline.boundary) == ("probability_mse", None, "gradient_5")
    assert baseline.weights.given == {"labels": 2, "boundary": 4}


def test_an_arm_takes_from_the_study_what_it_does_not_say():
    shared = {
        "distillation": "binary_kl",
        "temperature": 5,
        "weighting": "fixed",
        "weights": {"labels": 2, "boundary": 3},
    }
    assert terms({}, **shared) == ObjectiveTerms(**shared)
    assert terms({"temperature": 7}, **shared).temperature == 7
    other = terms({"distillation": "channel_kl"}, **shared)
    assert (other.distillation, other.temperature) == ("channel_kl", None)  # a temperature belongs to its term
    assert terms({"boundary": "none"}, **shared).weights.given == {"labels": 2}
    assert terms({"boundary": "surface_distance"}, **shared).weights.given == {"labels": 2}
    assert terms({"weighting": "bounded"}, **shared).weights.given == {}
    assert terms({"weights": {"distillation": 9}}, **shared).weights.given == {"distillation": 9}


def test_the_words_of_earlier_plans_mean_what_they_did():
    assert terms({}) == terms({"boundary": True}) == ObjectiveTerms()
    assert terms({"boundary": False}).boundary == "none"
    assert terms({"weighting": "fixed"}).weights.given == {}


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ({"teacher": None, "temperature": 2}, "has a temperature, but no teacher"),
        (
            {"teacher": None, "weighting": "fixed", "weights": {"distillation": 2}},
            "weights.distillation, but no teacher",
        ),
        ({"weighting": "fixed", "weights": {"stains": 2}}, "weights.stains, but no predicted_channels"),
        ({"boundary": "surface_distance"}, "arm 'arm': boundary surface_distance can be negative"),
        ({"temperature": 2}, "arm 'arm': temperature is 2, but probability_mse has none"),
    ],
)
def test_arms_whose_terms_do_not_go_together_are_refused_by_name(arm, message):
    with pytest.raises(ConfigError, match=message):
        terms(arm)


def test_records_of_arms_say_what_they_said_before_there_were_these_terms():
    before = {"distillation": "probability_mse", "boundary": True, "weighting": "uncertainty"}
    now = Arm(name="a", role="baseline").resolved()
    assert {name: now[name] for name in before} == before
    assert Arm(name="a", role="baseline", boundary="none").resolved()["boundary"] is False
    arm = Arm(name="a", role="baseline", boundary="gradient_5")
    assert arm.resolved()["boundary"] == "gradient_5"
    assert validated(Arm, arm.resolved()) == arm


def test_what_is_recorded_of_the_main_job_makes_the_same_settings_again():
    settings = job(boundary="surface_distance", weighting="fixed", weights={"surface_distance": 0.02})
    assert validated(Distill, settings.resolved()) == settings
