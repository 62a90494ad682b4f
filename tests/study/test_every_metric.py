"""The table of every metric: which rows, which units, which means."""

import pytest

from segdistill.evaluation.metrics import METRICS
from segdistill.study.every_metric import MACRO, TITLES, metric_rows


def record(arm, seed, field, structure, metric, value, *, unit="0 to 1"):
    return {"arm": arm, "seed": seed, "field": field, "structure": structure, "metric": metric,
            "value": value, "unit": unit, "empty": ""}  # fmt: skip


def test_every_metric_there_is_has_a_title_and_a_place():
    assert tuple(TITLES) == tuple(METRICS)


def test_one_structure_has_a_row_per_metric_in_its_unit_by_hand():
    rows = metric_rows(
        [
            *(
                record("student", seed, field, "cell", "hd95", 2.0 + seed, unit="µm")
                for seed in (0, 1)
                for field in "ab"
            ),
            record("teacher", 0, "a", "cell", "hd95", 1.0, unit="µm"),
            record("student", 0, "a", "cell", "nsd", 0.5, unit="0 to 1, 2 px"),
        ]
    )
    assert [(row.metric, row.structure, row.unit, row.higher_is_better, row.fields) for row in rows] == [
        ("HD95", "cell", "µm", False, 2),
        ("NSD", "cell", "% within 2 px", True, 1),
    ]
    # Means over fields 2 and 3 µm under the two seeds: 2.5, and the deviation of 2 and 3.
    assert rows[0].scores["student"].mean == pytest.approx(2.5)
    assert rows[0].scores["student"].sd == pytest.approx(0.5**0.5)
    assert (rows[0].scores["teacher"].mean, rows[0].scores["teacher"].sd) == (1.0, None)


def test_of_several_structures_the_mean_comes_first_and_a_score_of_one_alone_has_no_mean():
    rows = metric_rows(
        [
            record("student", 0, "a", "liver", "dice", 0.8),
            record("student", 0, "a", "spleen", "dice", 0.4),
            record("student", 0, "a", "spleen", "ap50", 0.3),
        ]
    )
    assert [(row.metric, row.structure, row.scores["student"].mean) for row in rows] == [
        ("Dice", MACRO, pytest.approx(0.6)),
        ("Dice", "liver", 0.8),
        ("Dice", "spleen", 0.4),
        ("AP@0.5", "spleen", 0.3),
    ]


def test_who_lacks_a_structure_has_no_mean_over_structures():
    rows = metric_rows(
        [
            record("student", 0, "a", "cell", "dice", 0.8),
            record("student", 0, "a", "nucleus", "dice", 0.4),
            record("teacher", 0, "a", "cell", "dice", 0.9),
        ]
    )
    assert [(row.structure, set(row.scores)) for row in rows] == [
        (MACRO, {"student"}),
        ("cell", {"student", "teacher"}),
        ("nucleus", {"student"}),
    ]
