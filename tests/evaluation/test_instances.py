"""Matching of objects: by hand, against a dense matrix of all pairs, the laws, the refusals, the size."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from segdistill.errors import ConfigError, DataError, ShapeError
from segdistill.evaluation import (
    THRESHOLDS,
    Matching,
    average_precision,
    f1,
    match,
    mean_average_precision,
    pairs,
    panoptic_quality,
)

shapes = st.shared(st.tuples(st.integers(1, 6), st.integers(1, 9)), key="shape")
ids = arrays.arrays(np.int32, shapes, elements=st.integers(0, 4))
masks = arrays.arrays(np.bool_, shapes)


def row(*values: int) -> np.ndarray:
    return np.array([values])


def scores(matching: Matching) -> tuple[float, float, float]:
    return average_precision(matching), f1(matching), panoptic_quality(matching)


def dense(prediction: np.ndarray, label: np.ndarray) -> list[tuple[int, int, float]]:
    """Match through a matrix of all pairs, the slow and obvious way."""
    found = []
    for p in np.unique(prediction[prediction > 0]):
        for t in np.unique(label[label > 0]):
            both, either = ((prediction == p) & (label == t)).sum(), ((prediction == p) | (label == t)).sum()
            if both / either > 0.5:
                found.append((int(p), int(t), both / either))
    return found


def test_by_hand():
    # Object 5 is 4 of label 1's 5 pixels: IoU 4/5. 6 has half of label 2: no match. 7 is false, label 3 missed.
    prediction = row(5, 5, 5, 5, 0, 0, 6, 0, 0, 7, 0, 0)
    label = row(1, 1, 1, 1, 1, 0, 2, 2, 0, 0, 0, 3)
    found = match(prediction, label)
    assert (found.prediction.tolist(), found.label.tolist(), found.iou.tolist()) == ([5], [1], [0.8])
    assert (found.n_prediction, found.n_label) == (3, 3)
    # tp 1, fp 2, fn 2: AP 1/5, F1 1/3, PQ 0.8/3.
    assert scores(found) == pytest.approx((1 / 5, 1 / 3, 0.8 / 3))
    assert average_precision(found, 0.75) == pytest.approx(1 / 5)
    assert average_precision(found, 0.8) == 0  # equal to the threshold is no match
    # Above 0.8 is nothing; of the ten thresholds 0.5, 0.55, ..., 0.75 are below: six.
    assert mean_average_precision(found) == pytest.approx(6 / 10 * 1 / 5)


def test_an_object_split_into_exact_halves_matches_nothing():
    # MEASURED.md, section 1: with ">=" one of the halves would be right.
    found = match(row(1, 1, 2, 2), row(9, 9, 9, 9))
    assert found.iou.size == 0
    assert scores(found) == (0, 0, 0)


def test_splits_and_merges():
    split = match(row(1, 1, 2, 2, 0, 0, 5), row(9, 9, 9, 9, 9, 0, 4))
    assert (split.splits, split.merges) == (1, 0)
    merged = match(row(9, 9, 9, 9, 9, 0, 4), row(1, 1, 2, 2, 0, 0, 5))
    assert (merged.splits, merged.merges) == (0, 1)
    touching = match(row(1, 1, 1, 0, 2, 2), row(9, 0, 9, 9, 9, 0))  # 1: 2 of 3 inside; 2: exactly half
    assert touching.splits == 0


def test_the_written_rule_for_empty_images():
    nothing, something = row(0, 0, 0), row(0, 2, 2)
    assert scores(match(nothing, nothing)) == (1, 1, 1)
    assert scores(match(something, nothing)) == (0, 0, 0)
    assert scores(match(nothing, something)) == (0, 0, 0)
    assert [match(*pair).empty for pair in [(nothing, nothing), (something, nothing), (nothing, something)]] == [
        "both",
        "label",
        "prediction",
    ]


@given(prediction=ids, label=ids)
def test_against_a_dense_matrix(prediction, label):
    found = match(prediction, label)
    pairs_found = list(zip(found.prediction.tolist(), found.label.tolist(), found.iou.tolist(), strict=True))
    assert pairs_found == dense(prediction, label)
    assert found.n_prediction == len(set(prediction[prediction > 0].tolist()))
    assert found.n_label == len(set(label[label > 0].tolist()))


@given(prediction=ids, label=ids)
def test_matches_are_unique(prediction, label):
    found = match(prediction, label)
    assert len(set(found.prediction.tolist())) == len(found.prediction)
    assert len(set(found.label.tolist())) == len(found.label)


@given(prediction=ids, label=ids, order=st.permutations([3, 70_000, 5, 2**32 - 1]))
def test_relabelling_changes_no_score(prediction, label, order):
    names = np.array([0, *order], np.int64)
    for matching in (match(names[prediction], label), match(prediction, names[label].astype(np.uint32))):
        assert scores(matching) == pytest.approx(scores(match(prediction, label)))


@given(prediction=ids, label=ids)
def test_exchanging_the_sides_changes_no_score(prediction, label):
    one, other = match(prediction, label), match(label, prediction)
    assert scores(one) == pytest.approx(scores(other))
    assert (one.splits, one.merges) == (other.merges, other.splits)


@given(prediction=ids, label=ids)
def test_scores_agree_among_themselves(prediction, label):
    found = match(prediction, label)
    ap, harmonic, quality = scores(found)
    assert harmonic == pytest.approx(2 * ap / (1 + ap))
    assert 0 <= quality <= harmonic + 1e-12
    precisions = [average_precision(found, threshold) for threshold in THRESHOLDS]
    assert precisions == sorted(precisions, reverse=True)


@given(label=ids)
def test_an_image_is_equal_to_itself(label):
    assert scores(match(label, label)) == (1, 1, 1)


@given(prediction=ids, label=ids, counts=masks, block=st.integers(1, 30))
def test_blocks_are_not_seen(prediction, label, counts, block):
    whole = pairs.count_pairs(prediction, label, counts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "BLOCK", block)
        parts = pairs.count_pairs(prediction, label, counts)
    for name in ("prediction", "label", "pixels"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
    assert whole.pixels.sum() == counts.sum()


def test_an_object_mostly_ignored_is_left_out():
    # Label 1 has 2 of 4 pixels that count (kept), label 2 has 1 of 3 (left out), label 3 none (left out).
    label = row(1, 1, 1, 1, 2, 2, 2, 3)
    counts = row(1, 1, 0, 0, 1, 0, 0, 0) > 0
    found = match(row(0, 0, 0, 0, 0, 0, 0, 0), label, counts=counts)
    assert (found.n_prediction, found.n_label) == (0, 1)
    predicted = match(label, row(0, 0, 0, 0, 0, 0, 0, 0), counts=counts)
    assert (predicted.n_prediction, predicted.n_label) == (1, 0)


def test_the_partner_of_an_object_left_out_is_no_error():
    # Label 2 is left out; prediction 8 is right about all of it that counts, and must not become a false object.
    label = row(1, 1, 0, 2, 2, 2)
    prediction = row(7, 7, 0, 8, 0, 0)
    counts = row(1, 1, 1, 1, 0, 0) > 0
    assert scores(match(prediction, label, counts=counts)) == (1, 1, 1)
    assert match(label, prediction, counts=counts).n_label == 1


def test_ious_are_of_pixels_that_count():
    # 3 and 4 pixels of which 2 and 2 count: a perfect match on those.
    label, prediction = row(1, 1, 1, 1, 0), row(5, 5, 0, 0, 0)
    counts = row(1, 1, 0, 0, 1) > 0
    assert match(prediction, label, counts=counts).iou.tolist() == [1.0]


@given(prediction=ids, label=ids)
def test_counting_everywhere_is_no_mask(prediction, label):
    everywhere = np.ones(label.shape, bool)
    assert scores(match(prediction, label, counts=everywhere)) == scores(match(prediction, label))


@given(prediction=ids, label=ids, other=ids, counts=masks)
def test_what_lies_under_ignored_pixels_of_no_object_cannot_matter(prediction, label, other, counts):
    if counts.any():
        # New objects, wholly under ignored pixels and on former background.
        added = np.where(~counts & (prediction == 0) & (other > 0), other + 100, prediction)
        assert scores(match(added, label, counts=counts)) == scores(match(prediction, label, counts=counts))


def test_shapes_are_never_reconciled():
    with pytest.raises(ShapeError, match=r"\(4, 6\).*\(6, 4\)"):
        match(np.zeros((4, 6), int), np.zeros((6, 4), int))


@pytest.mark.parametrize("dtype", [np.float32, np.bool_])
def test_only_integers_are_ids(dtype):
    right, wrong = np.zeros((4, 6), np.int32), np.zeros((4, 6), dtype)
    with pytest.raises(DataError, match="prediction"):
        match(wrong, right)
    with pytest.raises(DataError, match="label"):
        match(right, wrong)


@pytest.mark.parametrize("value", [-1, 2**32])
def test_ids_out_of_range_are_refused(value):
    with pytest.raises(DataError, match=str(value)):
        match(row(0, value), row(0, 1))


@pytest.mark.parametrize("threshold", [0.0, 0.49, 1.0, float("nan")])
def test_thresholds_that_leave_matches_open_are_refused(threshold):
    found = match(row(1), row(1))
    for score in (average_precision, f1):
        with pytest.raises(ConfigError, match=r"from 0\.5"):
            score(found, threshold)


def test_an_image_of_which_nothing_counts_has_no_score():
    with pytest.raises(DataError, match="No pixel"):
        match(row(1, 2), row(1, 2), counts=row(0, 0) > 0)


def squares(rows: int, columns: int, side: int) -> np.ndarray:
    """Return rows x columns objects, each a square of side - 1 pixels with a gap to the next."""
    numbers = np.arange(1, rows * columns + 1, dtype=np.uint32).reshape(rows, columns)
    image = np.kron(numbers, np.ones((side, side), np.uint32))
    image[::side] = 0
    image[:, ::side] = 0
    return image


def test_seventy_thousand_objects():
    # R14: more objects than 16 bits can name; all counted, and sparsely: a dense matrix would have 39 GB.
    label = squares(250, 280, 6)
    start = time.perf_counter()
    found = match(np.roll(label, 1, axis=1), label)
    seconds = time.perf_counter() - start
    assert (found.n_prediction, found.n_label, len(found.iou)) == (70_000, 70_000, 70_000)
    np.testing.assert_allclose(found.iou, 20 / 30)  # 5 x 5 squares shifted by one share 20 of 30 pixels
    assert seconds < 10
