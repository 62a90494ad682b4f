"""What runs say to the papers' claims."""

from pathlib import Path

import numpy as np
import pytest

from segdistill.data.normalisation import PercentileRule, rule_to_json
from segdistill.evaluation import compare
from segdistill.networks.encoder_folder import EncoderCard, TaughtBy
from segdistill.report import ShiftRow
from segdistill.settings import Arm
from segdistill.study.account import Labels, make_account
from segdistill.study.claims import CLAIMS, P1, claim_rows, claims_table
from segdistill.study.findings import Beyond


def states(account, student="student"):
    return {row.claim: row.state for row in claim_rows(account, student)}


FIRST, SECOND = CLAIMS[0].words, CLAIMS[1].words


@pytest.mark.parametrize(("score", "state"), [(0.7, "reproduced"), (0.6001, "not told apart"), (0.5, "refuted")])
def test_the_first_claim_is_judged_by_the_question_of_the_study(account, score, state):
    rows = claim_rows(account({"baseline": 0.6, "student": score, "teacher": 0.9}), "student")
    assert rows[0].state == state
    assert rows[0].source == P1
    assert rows[0].here.startswith("student − baseline: ")
    assert "95 % interval" in rows[0].here


def test_the_second_needs_a_control_and_may_fail_where_the_first_holds(account):
    found = states(account({"baseline": 0.6, "student": 0.7, "control": 0.75}))
    assert (found[FIRST], found[SECOND]) == ("reproduced", "refuted")
    assert states(account({"baseline": 0.6, "student": 0.7}))[SECOND] == "untested here"


def test_without_a_baseline_or_what_is_not_built_nothing_is_said(account):
    rows = claim_rows(account({"student": 0.7}), "student")
    assert {row.state for row in rows} == {"untested here"}
    assert all(row.here.startswith("would need ") for row in rows)
    assert len({row.claim for row in rows}) == len(rows) == len(CLAIMS)


def test_a_claim_on_few_seeds_says_so(account):
    (here,) = (row.here for row in claim_rows(account({"baseline": 0.6, "student": 0.7}, seeds=2), "student")[:1])
    assert here.endswith("), on 2 seeds")


def arms_of(scores, **changes):
    """The account of arms with these scores on eight fields and five seeds; what each arm is, by its name."""
    draw = np.random.default_rng(0)
    rows = [
        {"arm": arm, "seed": seed, "field": f"f{place}", "structure": "cell", "metric": "dice", "empty": "",
         "value": float(np.clip(mean + 0.01 * draw.standard_normal(), 0, 1))}
        for arm, mean in scores.items() for seed in range(5) for place in range(8)
    ]  # fmt: skip
    arms = [Arm(name=name, **{"role": "pretrained", "labels": 3} | changes.get(name, {})) for name in scores]
    return make_account(rows, arms, dict.fromkeys(scores, Labels(3, 2, 0)))


def card(how="", images=1, **more):
    return EncoderCard(
        architecture="vit-tiny", channels=("nucleus",), normalisation=rule_to_json(PercentileRule()), how="how",
        images=tuple(map(str, range(images))), provenance={"settings": {"how": how}}, **more,
    )  # fmt: skip


def said(account, student, beyond, words):
    (row,) = [row for row in claim_rows(account, student, beyond) if words in row.claim]
    return row


def begun(*names):
    return {name: {"encoder_weights": name} for name in names}


@pytest.mark.parametrize(
    ("other", "words"),
    [("features", "beats task-agnostic"), ("masked", "same images"), ("contrast", "MoCo v3"), ("", "from scratch")],
)
def test_ways_of_pre_training_are_compared_where_nothing_else_differs(other, words):
    encoders = {"first": card("task")} | ({"second": card(other)} if other else {})
    ways = begun(*encoders) | ({} if other else {"second": {"role": "baseline"}})
    for high, state in ((0.7, "reproduced"), (0.5, "refuted"), (0.6001, "not told apart")):
        account = arms_of({"first": high, "second": 0.6}, **ways)
        found = [
            row for row in claim_rows(account, "first", Beyond(encoders=encoders))
            if words in row.claim and "Task-specific" in row.claim
        ]  # fmt: skip
        assert found[0].state == state
        assert found[0].here.startswith("first − second: ")


def test_arms_that_differ_in_more_than_the_encoder_say_nothing_of_it():
    ways = begun("first", "second")
    ways["second"]["labels"] = 12
    account = arms_of({"first": 0.7, "second": 0.6}, **ways)
    beyond = Beyond(encoders={"first": card("task"), "second": card("features")})
    assert said(account, "first", beyond, "beats task-agnostic").state == "untested here"


def test_published_weights_are_not_training_from_scratch():
    account = arms_of({"first": 0.7, "second": 0.6}, **begun("first", "second"))
    beyond = Beyond(encoders={"first": card("task"), "second": None})
    assert said(account, "first", beyond, "from scratch").state == "untested here"


def test_larger_transfer_sets_of_one_way_are_compared():
    account = arms_of({"many": 0.7, "few": 0.6, "other": 0.5}, **begun("many", "few", "other"))
    beyond = Beyond(encoders={"many": card("task", 9), "few": card("task", 3), "other": card("masked", 3)})
    row = said(account, "many", beyond, "Larger transfer sets")
    assert (row.state, row.here.count("−")) == ("reproduced", 1)


def test_agglomerated_encoders_are_told_by_how_many_taught_them_and_how_they_were_balanced():
    one = TaughtBy(name="a", weights_sha256="0", licence="MIT", labels_seen=0)
    made = {
        "both": card().model_copy(update={"teachers": (one, one), "provenance": {"balancing": "attention"}}),
        "alone": card().model_copy(update={"teachers": (one,), "provenance": {"balancing": "uniform"}}),
        "even": card().model_copy(update={"teachers": (one, one), "provenance": {"balancing": "uniform"}}),
    }
    account = arms_of({"both": 0.6, "alone": 0.5, "even": 0.7}, **begun(*made))
    assert said(account, "both", Beyond(encoders=made), "Several teachers").state == "reproduced"
    assert said(account, "both", Beyond(encoders=made), "by attention").state == "refuted"


def agglomerated(*teachers, balancing="uniform"):
    taught = tuple(TaughtBy(name=name, weights_sha256="0", licence="MIT", labels_seen=0) for name in teachers)
    return card().model_copy(update={"teachers": taught, "provenance": {"balancing": balancing}})


@pytest.mark.parametrize(
    ("score", "state"), [(0.605, "reproduced"), (0.65, "refuted"), (0.55, "reproduced"), (0.62, "not told apart")]
)
def test_what_one_teacher_adds_is_little_within_the_margin(score, state):
    made = {
        "with": agglomerated("hf:w/dino", "medclip"),
        "without": agglomerated("hf:w/dino"),
        "alone": agglomerated("medclip"),
        "mlp": agglomerated("hf:w/dino", balancing="mlp"),
    }
    account = arms_of({"with": score, "without": 0.6, "alone": 0.4, "mlp": 0.4}, **begun(*made))
    row = said(account, "with", Beyond(encoders=made), "MedCLIP adds little")
    assert row.state == state
    assert row.here.startswith("with − without: ")
    assert row.here.endswith("; called little below 2 points")


def test_published_weights_are_taken_for_those_of_a_masked_autoencoder():
    account = arms_of({"first": 0.7, "second": 0.6}, **begun("first", "second"))
    row = said(account, "first", Beyond(encoders={"first": card("task"), "second": None}), "autoencoding on ImageNet")
    assert row.state == "reproduced"
    assert row.here.startswith("first − second: ")


@pytest.mark.parametrize(("seen", "state"), [(0.75, "reproduced"), (0.95, "refuted"), (0.8501, "not told apart")])
def test_closeness_to_training_is_how_far_scores_in_use_lie_behind(seen, state):
    # In use the first is 0.1 better throughout; what it had in training decides.
    account = arms_of({"first": 0.7, "second": 0.6}, **begun("first"), second={"role": "baseline"})
    training = {"first": dict.fromkeys(range(5), seen), "second": dict.fromkeys(range(5), 0.75)}
    beyond = Beyond(encoders={"first": card("task")}, training=training)
    row = said(account, "first", beyond, "generalises better")
    assert row.state == state
    assert row.here.startswith("scores in use less those in training, first − second: ")
    assert said(account, "first", Beyond(encoders={"first": card("task")}), "generalises better").state == (
        "untested here"
    )


def test_sam_and_cellsam_are_compared_as_teachers_of_like_arms():
    arms = {"by-sam": {"role": "student", "teacher": "s"}, "by-cellsam": {"role": "student", "teacher": "c"}}
    account = arms_of({"by-sam": 0.7, "by-cellsam": 0.6}, **arms)
    beyond = Beyond(teachers={"s": "sam-vit-h", "c": "cellsam"})
    assert said(account, "by-sam", beyond, "than CellSAM").state == "reproduced"
    assert said(account, "by-sam", Beyond(), "than CellSAM").state == "untested here"


def test_every_network_must_gain_for_the_claim_on_sizes():
    up = compare(*(arms_of({"a": 0.7, "b": 0.6})[name].tables["dice"] for name in "ab"))
    down = compare(*(arms_of({"a": 0.5, "b": 0.6})[name].tables["dice"] for name in "ab"))
    account = arms_of({"student": 0.7})
    assert said(account, "student", Beyond(sizes={"s": up, "m": up}), "every size").state == "reproduced"
    assert said(account, "student", Beyond(sizes={"s": up, "m": down}), "every size").state == "refuted"
    assert said(account, "student", Beyond(sizes={"s": up}), "every size").state == "untested here"


@pytest.mark.parametrize(("score", "state"), [(0.85, "reproduced"), (0.65, "refuted"), (0.7501, "not told apart")])
def test_half_of_the_gap_is_half_of_the_way_to_the_teacher(account, score, state):
    found = account({"baseline": 0.6, "student": score, "teacher": 0.9})
    assert said(found, "student", Beyond(), "half of the gap").state == state


@pytest.mark.parametrize(("ends", "state"), [((0.01, 0.1), "reproduced"), ((-0.1, -0.01), "refuted"),
                                             ((-0.1, 0.1), "not told apart")])  # fmt: skip
def test_other_data_sets_speak_by_the_student_s_gain_there(account, ends, state):
    row = ShiftRow(
        data="slides", arm="student", role="student", structure="cell", metric="Dice", fields=8, there=0.6,
        there_sd=None, here=0.7, here_sd=None, gain=sum(ends) / 2, gain_ends=ends,
    )  # fmt: skip
    found = said(account({"baseline": 0.6, "student": 0.7}), "student", Beyond(shift=(row,)), "another data set")
    assert found.state == state
    assert "on slides, cell: " in found.here


def test_all_three_papers_are_there_and_what_no_run_can_say_names_what_would_be_needed(account):
    assert {claim.source[:16] for claim in CLAIMS} == {P1[:16], "arXiv:2504.02351", "arXiv:2503.06976"}
    rows = claim_rows(account({"baseline": 0.6, "student": 0.7}), "student")
    for row, claim in zip(rows, CLAIMS, strict=True):
        if claim.find is None:
            assert (row.state, row.here) == ("untested here", f"would need {claim.needs}".replace("`", ""))


def test_the_documentation_has_the_table_of_claims_as_it_is():
    assert claims_table() in (Path(__file__).parents[2] / "docs/science.md").read_text(encoding="utf-8")


def test_an_interval_over_a_few_fields_claims_nothing(account):
    found = account({"baseline": 0.6, "student": 0.85, "teacher": 0.9}, fields=3)
    assert said(found, "student", Beyond(), "half of the gap").state == "not told apart"
