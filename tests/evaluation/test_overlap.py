"""Overlap of masks: by hand, the conventions, the laws, the refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from segdistill.errors import DataError, ShapeError
from segdistill.evaluation import CONVENTIONS, conventions_table, count_overlap, dice, iou, precision, recall

ALL = [dice, iou, precision, recall]
shapes = st.shared(st.tuples(st.integers(1, 6), st.integers(1, 9)), key="shape")
masks = arrays.arrays(np.bool_, shapes)


def mask(text: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in line] for line in text.split()])


def test_by_hand():
    # 3 predicted, 4 labelled, 2 shared: Dice 4/7, IoU 2/5, precision 2/3, recall 2/4.
    prediction, label = mask("##.. #..."), mask(".##. #..#")
    assert [metric(prediction, label) for metric in ALL] == pytest.approx([4 / 7, 2 / 5, 2 / 3, 2 / 4])


def test_shifted_square_of_the_measured_table():
    # MEASURED.md, section 1: a 10 x 10 square shifted by (2, 2) has Dice 0.64 in every tool: 8 * 8 / 100.
    label = np.zeros((20, 24), bool)
    label[4:14, 5:15] = True
    assert dice(np.roll(label, (2, 2), axis=(0, 1)), label) == pytest.approx(0.64)


@pytest.mark.parametrize("metric", ALL)
def test_the_written_rule_for_empty_masks(metric):
    nothing, something = np.zeros((2, 3), bool), np.eye(2, 3, dtype=bool)
    assert metric(nothing, nothing) == 1
    assert metric(something, nothing) == 0
    assert metric(nothing, something) == 0


def test_which_side_was_empty_is_said():
    nothing, something = np.zeros((2, 3), bool), np.eye(2, 3, dtype=bool)
    sides = [(nothing, nothing), (something, nothing), (nothing, something), (something, ~something)]
    assert [count_overlap(*pair).empty for pair in sides] == ["both", "label", "prediction", ""]


@given(prediction=masks, label=masks)
def test_dice_and_iou_against_sets(prediction, label):
    first, second = ({tuple(place) for place in np.argwhere(each)} for each in (prediction, label))
    if first and second:
        assert iou(prediction, label) == pytest.approx(len(first & second) / len(first | second))
        assert dice(prediction, label) == pytest.approx(2 * len(first & second) / (len(first) + len(second)))


@given(prediction=masks, label=masks)
def test_symmetry(prediction, label):
    assert dice(prediction, label) == dice(label, prediction)
    assert iou(prediction, label) == iou(label, prediction)
    if prediction.any() == label.any():
        assert precision(prediction, label) == recall(label, prediction)


@given(prediction=masks, label=masks)
def test_dice_is_a_function_of_iou(prediction, label):
    overlap = iou(prediction, label)
    assert dice(prediction, label) == pytest.approx(2 * overlap / (1 + overlap))


@given(prediction=masks, label=masks, counts=masks)
def test_what_does_not_count_cannot_matter(prediction, label, counts):
    if counts.any():
        for metric in ALL:
            cut = metric(prediction[counts][None], label[counts][None])
            assert metric(prediction, label, counts=counts) == cut
            assert metric(prediction ^ ~counts, label | ~counts, counts=counts) == cut


@pytest.mark.parametrize("metric", ALL)
def test_shapes_are_never_reconciled(metric):
    # R11: the same number of pixels in another shape is another image.
    with pytest.raises(ShapeError, match=r"\(4, 6\).*\(6, 4\)"):
        metric(np.zeros((4, 6), bool), np.zeros((6, 4), bool))
    with pytest.raises(ShapeError, match="count"):
        metric(np.zeros((4, 6), bool), np.zeros((4, 6), bool), counts=np.ones((6, 4), bool))


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.int64])
def test_only_masks_are_masks(metric, dtype):
    right, wrong = np.zeros((4, 6), bool), np.zeros((4, 6), dtype)
    with pytest.raises(DataError, match="prediction"):
        metric(wrong, right)
    with pytest.raises(DataError, match="label"):
        metric(right, wrong)
    with pytest.raises(DataError, match="boolean"):
        metric(right, right, counts=wrong)


def test_an_image_of_which_nothing_counts_has_no_score():
    blank = np.zeros((4, 6), bool)
    with pytest.raises(DataError, match="No pixel"):
        dice(blank, blank, counts=blank)
    with pytest.raises(DataError, match="No pixel"):
        dice(np.zeros((0, 6), bool), np.zeros((0, 6), bool))


def test_the_table_holds_every_convention():
    lines = conventions_table().splitlines()
    assert len(lines) == len(CONVENTIONS) + 2
    assert {line.count("|") for line in lines} == {4}
    for convention in CONVENTIONS:
        assert any(convention.situation in line and convention.rule in line for line in lines)
