"""What runs say to the papers' claims."""

import pytest

from segdistill.study.claims import CLAIMS, P1, claim_rows


def states(account, student="student"):
    return {row.claim: row.state for row in claim_rows(account, student)}


FIRST, SECOND = CLAIMS[0].words, CLAIMS[1].words


@pytest.mark.parametrize(("score", "state"), [(0.7, "borne out"), (0.6001, "not decided"), (0.5, "contradicted")])
def test_the_first_claim_is_judged_by_the_question_of_the_study(account, score, state):
    rows = claim_rows(account({"baseline": 0.6, "student": score, "teacher": 0.9}), "student")
    assert rows[0].state == state
    assert rows[0].source == P1
    assert rows[0].here.startswith("student − baseline: ")
    assert "95 % interval" in rows[0].here


def test_the_second_needs_a_control_and_may_fail_where_the_first_holds(account):
    found = states(account({"baseline": 0.6, "student": 0.7, "control": 0.75}))
    assert (found[FIRST], found[SECOND]) == ("borne out", "contradicted")
    assert states(account({"baseline": 0.6, "student": 0.7}))[SECOND] == "untested"


def test_without_a_baseline_or_what_is_not_built_nothing_is_said(account):
    rows = claim_rows(account({"student": 0.7}), "student")
    assert {row.state for row in rows} == {"untested"}
    assert all(row.here.startswith("would need ") for row in rows)
    assert len({row.claim for row in rows}) == len(rows) == len(CLAIMS)


def test_a_claim_on_few_seeds_says_so(account):
    (here,) = (row.here for row in claim_rows(account({"baseline": 0.6, "student": 0.7}, seeds=2), "student")[:1])
    assert here.endswith("), on 2 seeds")
