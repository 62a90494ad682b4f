"""Scores of each structure."""

import pytest

from segdistill.study.by_structure import structure_rows


def records(scores, **more):
    """Arm → structure → Dice by field; two seeds, the second 0.1 better; HD95 is 10 times what Dice lacks."""
    return [
        {"arm": arm, "seed": seed, "field": field, "structure": structure, "empty": "", **row, **more}
        for arm, own in scores.items()
        for structure, values in own.items()
        for field, dice in values.items()
        for seed in (0, 1)
        for row in (
            {"metric": "dice", "value": dice + 0.1 * seed, "unit": "0 to 1"},
            {"metric": "hd95", "value": 10 * (1 - dice), "unit": "px"},
            {"metric": "iou", "value": 0.3, "unit": "0 to 1"},
        )
    ]


def test_the_student_s_worst_structure_comes_first_by_hand():
    scores = {
        "baseline": {"liver": {"a": 0.2, "b": 0.4}, "bile duct": {"a": 0.5}},
        "student": {"liver": {"a": 0.8, "b": 0.6}, "bile duct": {"a": 0.3}},
    }
    rows = structure_rows(records(scores), student="student")
    assert [(row.structure, row.metric, row.unit, row.fields) for row in rows] == [
        ("bile duct", "Dice", "%", 1),
        ("bile duct", "HD95", "px", 1),
        ("liver", "Dice", "%", 2),
        ("liver", "HD95", "px", 2),
    ]
    assert rows[2].scores["student"].mean == pytest.approx(0.75)
    assert rows[2].scores["student"].sd == pytest.approx(0.1 / 2**0.5)
    assert rows[1].scores["baseline"].mean == pytest.approx(5.0)
    assert structure_rows(records(scores), student="baseline")[0].structure == "liver"


def test_one_structure_needs_no_table_and_a_structure_that_an_arm_lacks_comes_last():
    assert structure_rows(records({"student": {"cell": {"a": 0.5}}}), student="student") == ()
    scores = {"student": {"liver": {"a": 0.9}}, "teacher": {"liver": {"a": 0.9}, "spleen": {"a": 0.1}}}
    rows = structure_rows(records(scores), student="student")
    assert [row.structure for row in rows] == ["liver", "liver", "spleen", "spleen"]
    assert set(rows[2].scores) == {"teacher"}


def test_records_of_before_units_were_kept_are_shares():
    kept = [
        {key: value for key, value in row.items() if key != "unit"}
        for row in records({"student": {"a": {"f": 0.5}, "b": {"f": 0.4}}})
        if row["metric"] == "dice"
    ]
    assert [(row.structure, row.unit) for row in structure_rows(kept, student="student")] == [("b", "%"), ("a", "%")]
