"""Rows of one image: which metrics, which structures, and what a missing prediction is worth."""

import numpy as np
import pytest

from segdistill.data.labels import Structure
from segdistill.errors import DataError, ShapeError
from segdistill.evaluation import score_case

CELL, VESSEL = Structure("cell", instances=True), Structure("vessel", instances=False)
LABEL = np.array([[[1, 1, 0, 2, 2]], [[0, 0, 1, 1, 0]]], np.int32)
PREDICTION = np.array([[[4, 4, 0, 0, 0]], [[0, 0, 1, 0, 0]]], np.int32)


def values(rows: list) -> dict[tuple[str, str], float]:
    return {(row["structure"], row["metric"]): row["value"] for row in rows}


def test_by_hand():
    # Cell: 2 of 4 pixels, 1 of 2 objects. Vessel: 1 of 2 pixels.
    expected = {
        ("cell", "dice"): 2 * 2 / 6,
        ("cell", "iou"): 2 / 4,
        ("cell", "precision"): 1,
        ("cell", "recall"): 2 / 4,
        ("cell", "ap50"): 1 / 2,
        ("cell", "f1"): 2 / 3,
        ("cell", "pq"): 2 / 3,
        ("vessel", "dice"): 2 / 3,
        ("vessel", "iou"): 1 / 2,
        ("vessel", "precision"): 1,
        ("vessel", "recall"): 1 / 2,
    }
    assert values(score_case(PREDICTION, LABEL, [CELL, VESSEL])) == pytest.approx(expected)


def test_a_missing_prediction_is_worst_even_where_nothing_is_labelled():
    rows = score_case(None, np.zeros_like(LABEL), [CELL, VESSEL])
    assert [row["value"] for row in rows] == [0.0] * 11
    assert {row["empty"] for row in rows} == {"missing"}


def test_an_unlabelled_structure_is_not_scored():
    rows = score_case(PREDICTION, LABEL, [CELL, VESSEL], known=np.array([False, True]))
    assert {row["structure"] for row in rows} == {"vessel"}
    missing = score_case(None, LABEL, [CELL, VESSEL], known=np.array([True, False]))
    assert {row["structure"] for row in missing} == {"cell"}


def test_rows_say_what_was_empty():
    nothing = np.zeros_like(LABEL)
    sides = [(nothing, nothing), (PREDICTION, nothing), (nothing, LABEL), (PREDICTION, LABEL)]
    found = [{row["empty"] for row in score_case(*pair, [CELL, VESSEL])} for pair in sides]
    assert found == [{"both"}, {"label"}, {"prediction"}, {""}]


def test_what_does_not_count_cannot_matter():
    counts = np.array([[True, True, True, False, False]])
    found = values(score_case(PREDICTION, LABEL, [CELL, VESSEL], counts=counts))
    assert set(found.values()) == {1.0}


def test_shapes_are_never_reconciled():
    with pytest.raises(ShapeError, match=r"\(2, 5, 1\).*\(2, 1, 5\)"):
        score_case(PREDICTION.transpose(0, 2, 1), LABEL, [CELL, VESSEL])
    with pytest.raises(ShapeError, match="1 structures but 2 planes"):
        score_case(PREDICTION, LABEL, [CELL])


@pytest.mark.parametrize("structure", [CELL, VESSEL])
def test_probabilities_are_refused(structure):
    with pytest.raises(DataError, match="float32"):
        score_case(PREDICTION[:1].astype(np.float32), LABEL[:1], [structure])
