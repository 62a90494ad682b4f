"""The table of scores: every one keeps its promises, and says what it is wherever it goes."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from segdistill.data.labels import Structure
from segdistill.errors import ConfigError, ShapeError, UnknownName
from segdistill.evaluation import (
    METRICS,
    OF_MASKS,
    USUAL,
    Metric,
    Ruler,
    conventions_table,
    metrics_table,
    score_case,
    scores_document,
)
from segdistill.evaluation.metrics import metrics_of

CELL, VESSEL = Structure("cell", instances=True), Structure("vessel", instances=False)
RULER = Ruler(0.5, tolerance=1.0)
shapes = st.shared(st.tuples(st.integers(1, 6), st.integers(1, 9)), key="shape")
ids = arrays.arrays(np.int32, shapes, elements=st.integers(0, 4))


def scores(prediction: np.ndarray | None, label: np.ndarray) -> dict[str, float]:
    plane = None if prediction is None else prediction[None]
    probability = None if plane is None else (plane > 0).astype(np.float32)
    rows = score_case(plane, label[None], [CELL], metrics=tuple(METRICS), ruler=RULER, probability=probability)
    return {row["metric"]: row["value"] for row in rows}


def badness(metric: Metric, value: float) -> float:
    return -value if metric.higher_is_better else value


@settings(max_examples=30, deadline=None)
@given(prediction=ids, label=ids)
def test_no_prediction_is_better_than_a_perfect_or_worse_than_a_missing_one(prediction, label):
    found, perfect, missing = scores(prediction, label), scores(label, label), scores(None, label)
    for name, metric in METRICS.items():
        bad = [badness(metric, each[name]) for each in (perfect, found, missing)]
        assert all(map(math.isfinite, bad))
        assert bad == sorted(bad), name


@settings(max_examples=30, deadline=None)
@given(label=ids)
def test_a_label_is_perfect_or_says_why_not(label):
    # Splits and merges too: no object holds two others, and every contour lies on itself.
    for name, value in scores(label, label).items():
        assert value == (1 if METRICS[name].higher_is_better else 0), name


def test_one_side_empty_is_as_bad_as_missing():
    nothing, something = np.zeros((3, 4), np.int32), np.arange(12, dtype=np.int32).reshape(3, 4)
    masks_alone = [
        {name: each[name] for name in OF_MASKS}
        for each in (scores(nothing, something), scores(something, nothing), scores(None, something))
    ]
    assert masks_alone[0] == masks_alone[1] == masks_alone[2]
    assert scores(None, nothing) == scores(None, something)
    assert scores(None, nothing)["hd95"] == 2.5  # µm: half of the diagonal of 3 and 4 pixels


def test_every_row_says_its_unit():
    label = np.ones((1, 3, 4), np.int32)
    found = {}
    for prediction in (label, None):
        rows = score_case(prediction, label, [CELL], metrics=tuple(METRICS), ruler=RULER)
        found = {row["metric"]: row["unit"] for row in rows}
        assert found["hd95"] == found["msd"] == "µm"
        assert found["nsd"] == found["boundary_dice"] == "0 to 1, 1 µm"
        assert {found[name] for name in METRICS if not found[name].endswith("µm")} == {"0 to 1"}
    assert list(found) == list(METRICS)


def test_scores_that_are_not_asked_for_are_no_lengths():
    # Whoever takes percentages of the usual scores must not meet a length among them.
    for name in USUAL:
        assert METRICS[name].higher_is_better
        assert not METRICS[name].is_length
    label = np.ones((1, 3, 4), np.int32)
    assert [row["metric"] for row in score_case(label, label, [CELL])] == list(USUAL)


def test_calibration_is_of_the_map_alone():
    # 0.9 where one of two pixels is foreground, 0 where none is: off by 0.4 on two pixels of four.
    label = np.array([[[0, 1, 0, 0]]], np.int32)
    probability = np.array([[[0.9, 0.9, 0.0, 0.0]]])
    for prediction in (label, None):
        (row,) = score_case(prediction, label, [CELL], metrics=["ece"], probability=probability)
        assert (row["value"], row["empty"]) == (pytest.approx(0.2), "")
    (row,) = score_case(label, label, [CELL], metrics=["ece"])
    assert (row["value"], row["empty"]) == (1.0, "missing")
    with pytest.raises(ShapeError, match="probability map"):
        score_case(label, label, [CELL], metrics=["ece"], probability=probability[..., :3])


def test_scores_of_objects_are_of_instances_only():
    assert [metric.name for metric in metrics_of(VESSEL, ["pq", "dice"])] == ["dice"]
    assert [metric.name for metric in metrics_of(CELL, ["pq", "dice"])] == ["dice", "pq"]
    with pytest.raises(UnknownName, match="Did you mean 'dice'"):
        metrics_of(VESSEL, ["dic"])
    with pytest.raises(ConfigError, match="No metric"):
        metrics_of(VESSEL, [])


def test_the_document_holds_every_score_and_every_convention():
    text = scores_document(unit="µm", tolerance=1.0)
    assert metrics_table(unit="µm", tolerance=1.0) in text
    assert conventions_table() in text
    assert {f"| {name} |" for name in METRICS} <= {
        line[: line.index("|", 1) + 1] for line in text.splitlines() if "|" in line
    }
    assert "tolerance of contours is 1 µm" in text


def test_the_page_of_the_documentation_is_the_document():
    page = Path(__file__).parents[2] / "docs" / "metrics.md"
    assert page.read_text(encoding="utf-8") == scores_document(unit="px", tolerance=2.0), (
        "docs/metrics.md is not what segdistill.evaluation.scores_document says. Write it again."
    )
    assert not re.search(r"\bnan\b", page.read_text(encoding="utf-8"))
