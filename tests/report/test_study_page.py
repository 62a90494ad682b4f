"""The page of a whole study: every number that it is handed, every word escaped."""

import base64
import csv
import re
from dataclasses import replace

from segdistill.report.study_page import write_study


def written(tmp_path, content):
    write_study(tmp_path / "report.html", content)
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_every_student_is_answered_and_leads_to_its_report(tmp_path, study_content):
    page = written(tmp_path, study_content)
    assert "<nucleus>" not in page
    assert "2 students on &lt;nucleus&gt;" in page
    for words in (
        "Distillation helped 1 of 2 students and hurt 1.",
        '<a href="unet-a/report.html">report</a>',
        '<strong class="answer yes">Yes</strong>',
        '<strong class="answer no">No</strong>',
        "+5.0 (+3.0 to +30.0)",
        "−20.0",
        "Arm longer differs.",
        "42.5",  # on other data
        "segdistill study plan.toml",
    ):
        assert words in page


def test_what_training_images_have_above_test_fields_is_told(tmp_path, study_content):
    cost = written(tmp_path, study_content).partition('id="cost"')[2]
    assert "70.0" in cost  # on training images
    assert "+10.0" in cost


def test_the_table_can_be_taken_away_with_all_its_digits(tmp_path, study_content):
    page = written(tmp_path, study_content)
    address = re.search(r'download="arms_by_students.csv" href="data:text/csv;charset=utf-8;base64,([^"]+)"', page)
    rows = list(csv.DictReader(base64.b64decode(address[1]).decode("utf-8-sig").splitlines()))
    assert [(row["student"], row["arm"], row["claim"]) for row in rows] == [
        ("unet-a", "baseline-2", ""),
        ("unet-a", "student-2", "better"),
        ("unet-b", "baseline-2", ""),
        ("unet-b", "student-2", "worse, 2 seeds"),
    ]
    assert float(rows[1]["difference"]) == 0.05


def test_what_was_not_studied_has_no_section(tmp_path, study_content):
    first = replace(study_content.students[0], budgets=())
    bare = replace(study_content, students=(first,), gains=(), elsewhere=(), notes=(), command="")
    page = written(tmp_path, bare)
    for words in ('id="budgets"', 'id="size"', 'id="elsewhere"', "Read with care", 'id="again"', "#budgets"):
        assert words not in page
