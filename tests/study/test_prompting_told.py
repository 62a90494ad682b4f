"""How a teacher was asked stands in everything that a run leaves; of one that has no prompting nothing is said."""

import csv
import json
from dataclasses import replace

import pytest
from study_usual import job, plan

from segdistill.study.conclusion import headline
from segdistill.study.main_job import distill
from segdistill.study.study_account import conclude_study
from segdistill.study.study_job import study
from segdistill.teachers import load_teacher


@pytest.fixture(scope="module")
def told(tissue, tmp_path_factory):
    """A run whose settings leave it to the teacher how it is asked: this one was tuned to answer without a prompt."""
    settings = job(tissue, tmp_path_factory.mktemp("asked") / "run")
    assert settings.prompting is None
    return distill(settings)


@pytest.fixture(scope="module")
def asked(told):
    """Its folder."""
    return told.folder


@pytest.fixture(scope="module")
def unasked(by_itself):
    """The folder of a run whose teacher gives maps by itself."""
    return by_itself.folder


@pytest.fixture(scope="module")
def by_itself(tissue, tmp_path_factory):
    """A run whose teacher gives maps by itself, from the labels."""
    return distill(job(tissue, tmp_path_factory.mktemp("unasked") / "run", teacher="blurred:2"))


def content(path):
    return json.loads(path.read_text(encoding="utf-8"))


def rows_of(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_the_record_says_it_though_the_settings_do_not(asked):
    record = content(asked / "run.json")
    assert record["settings"]["prompting"] is None
    weights = load_teacher("sam-tiny-tissue", channels=("nucleus", "membrane")).contract.weights_sha256
    assert record["teachers"] == {
        "teacher": {"name": "sam-tiny-tissue", "prompting": "tuned", "size": 160, "weights_sha256": weights}
    }
    kept = content(asked / "model" / "model.json")["weights_sha256"]
    assert record["facts"]["Hashes of the weights"] == {"teacher": weights[:16], "student": kept[:16]}
    assert record["facts"]["Teachers"] == {"teacher": "sam-tiny-tissue, prompting tuned, size 160 px"}


def test_the_report_says_it_in_provenance_and_where_the_teacher_is_scored(asked):
    page = (asked / "report.html").read_text(encoding="utf-8")
    assert "sam-tiny-tissue, prompting tuned, size 160 px" in page[page.index('id="provenance"') :]
    arms = page[page.index('id="arms"') : page.index('id="curves"')]
    assert "0 labels, prompting tuned" in arms
    assert "the network that sees every channel, prompting tuned" in page[: page.index('id="arms"')]


def test_the_model_says_it_to_programs_and_to_people(asked):
    assert content(asked / "model" / "model.json")["provenance"]["prompting"] == "tuned"
    page = (asked / "model" / "README.md").read_text(encoding="utf-8")
    assert "| teacher | `sam-tiny-tissue`, prompting `tuned` |" in page
    assert "prompting" not in content(asked / "arms/baseline/0/model/model.json")["provenance"]


def test_scores_say_it_of_the_teacher_and_of_who_learnt_from_it(asked):
    told = {row["arm"]: row["prompting"] for row in rows_of(asked / "scores.csv")}
    assert told == {"teacher": "tuned", "student": "tuned", "baseline": ""}


def test_of_a_teacher_without_a_prompting_nothing_is_said(unasked):
    record = content(unasked / "run.json")
    assert {name: value for name, value in record["teachers"]["teacher"].items() if name != "weights_sha256"} == {
        "name": "blurred:2"
    }
    assert record["facts"]["Teachers"] == {"teacher": "blurred:2"}
    assert "prompting" not in content(unasked / "model" / "model.json")["provenance"]
    page = (unasked / "model" / "README.md").read_text(encoding="utf-8")
    assert "| teacher | `blurred:2` |" in page
    assert {row["prompting"] for row in rows_of(unasked / "scores.csv")} == {""}
    report = (unasked / "report.html").read_text(encoding="utf-8")
    assert "prompting tuned" not in report
    assert "prompting None" not in report


def test_the_table_of_a_study_says_it_of_each_arm(tissue, tmp_path):
    teachers = {
        "tuned": {"teacher": "sam-tiny-tissue", "channels": ("nucleus", "membrane")},
        "boxes": {"teacher": "sam-tiny-tissue", "channels": ("nucleus", "membrane"), "prompting": "boxes"},
    }
    arms = ({"name": "baseline"}, {"name": "a", "teacher": "tuned"}, {"name": "b", "teacher": "boxes"})
    settings = plan(tissue, tmp_path / "s", teachers=teachers, arms=arms, labels=(2,))
    rows = rows_of(conclude_study(settings, study(settings)).summary)
    found = {row["arm"]: row["prompting"] for row in rows}
    assert found == {"baseline-2": "", "a-2": "tuned", "b-2": "boxes", "teacher": "tuned", "teacher boxes": "boxes"}


def ladder_rows(finished):
    return [line.split("  ")[1] for line in headline(finished).splitlines() if line.endswith(" %")]


def test_the_ladder_on_the_terminal_says_it_and_who_was_told_the_labels(told, by_itself):
    assert set(ladder_rows(told)) == {"teacher (tuned)", "baseline", "student"}
    assert set(ladder_rows(by_itself)) == {"teacher (an oracle)", "baseline", "student"}
    oracle = replace(by_itself, prompting={"teacher": "boxes", "student": "boxes"})
    assert set(ladder_rows(oracle)) == {"teacher (boxes, an oracle)", "baseline", "student"}
