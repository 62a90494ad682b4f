"""Contours: by hand, against all pairs, the laws, what counts, the conventions, the size."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from segdistill.errors import ConfigError, DataError, ShapeError
from segdistill.evaluation import (
    Ruler,
    Surfaces,
    boundary_dice,
    hd95,
    mean_surface_distance,
    measure_surfaces,
    normalised_surface_dice,
    surface,
)

shapes = st.shared(st.tuples(st.integers(1, 8), st.integers(1, 11)), key="shape")
masks = arrays.arrays(np.bool_, shapes)


def mask(text: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in line] for line in text.split()])


def all_of(prediction: np.ndarray, label: np.ndarray, **options) -> tuple[float, ...]:
    """Return every score of contours."""
    found = measure_surfaces(prediction, label, **options)
    tolerance = options.get("ruler", Ruler()).tolerance
    return (
        hd95(found),
        mean_surface_distance(found),
        normalised_surface_dice(found, tolerance),
        boundary_dice(prediction, label, **options),
    )


def beside(y: int, x: int) -> list[tuple[int, int]]:
    return [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]


def contour(prediction: np.ndarray, other: np.ndarray, counts: np.ndarray) -> tuple[list, list]:
    """Return contour pixels, and those of them that are measured, one pixel at a time."""
    places, measured = [], []
    pixels = {place: (prediction[place], counts[place]) for place in np.ndindex(*counts.shape)}
    for place, (inside, seen) in pixels.items():
        if not (inside and seen):
            continue
        neighbours = [pixels.get(near, (False, False)) for near in beside(*place)]
        real = any(near_seen and not near_inside for near_inside, near_seen in neighbours)
        if real or not all(near_seen for _, near_seen in neighbours):
            places.append(place)
            if real or not other[place]:
                measured.append(place)
    return places, measured


def slow(prediction: np.ndarray, label: np.ndarray, counts: np.ndarray) -> tuple[list, list]:
    """Return both directions' distances through all pairs."""
    mine, theirs = contour(prediction, label, counts), contour(label, prediction, counts)
    return tuple(
        [min(math.dist(place, each) for each in targets[1] or targets[0]) for place in places[1]]
        for places, targets in ((mine, theirs), (theirs, mine))
    )


def test_squares_side_by_side():
    # 3 x 3 squares, 2 columns apart: each contour has 8 pixels. Of the right one the column nearest the other is
    # also the left one's last: distance 0 for 3; then 1 for the 2 of the middle column, 2 for the 3 of the last.
    label = np.zeros((6, 11), bool)
    label[2:5, 2:5] = True
    prediction = np.roll(label, 2, axis=1)
    found = measure_surfaces(prediction, label)
    assert sorted(found.to_label) == sorted(found.to_prediction) == [0, 0, 0, 1, 1, 2, 2, 2]
    assert hd95(found) == 2  # rank 0.95 * 7 = 6.65 lies between two 2s
    assert mean_surface_distance(found) == pytest.approx(8 / 8)
    assert [normalised_surface_dice(found, tolerance) for tolerance in (0.5, 1.0, 1.9, 2.0)] == [3 / 8, 5 / 8, 5 / 8, 1]


def test_the_percentile_is_of_the_worse_direction():
    # Label: one pixel. Prediction: the same and one 4 away. To the label: 0 and 4, and 0.95 of the way is 3.8;
    # back: 0. Of the three together the percentile would be 3.6.
    label, prediction = mask("........ .#...... ........"), mask("........ .#...#.. ........")
    assert hd95(measure_surfaces(prediction, label)) == pytest.approx(3.8)
    assert hd95(measure_surfaces(label, prediction)) == pytest.approx(3.8)
    assert mean_surface_distance(measure_surfaces(prediction, label)) == pytest.approx((0 + 4 + 0) / 3)


def test_boundary_dice_by_hand():
    # 5 x 5 squares one column apart. Bands of 1: rings of 16; top and bottom rows share 4 each, of the columns
    # the left one of the right square lies inside the other's middle: 8 shared, 8/16.
    label = np.zeros((9, 11), bool)
    label[2:7, 2:7] = True
    prediction = np.roll(label, 1, axis=1)
    assert boundary_dice(prediction, label, ruler=Ruler(tolerance=1.0)) == pytest.approx(2 * 8 / 32)
    # Bands of 2: 24 pixels each, all but the centre. 20 pixels are in both squares, less the two centres: 18.
    assert boundary_dice(prediction, label, ruler=Ruler(tolerance=2.0)) == pytest.approx(2 * 18 / 48)
    # Wider than the objects: the Dice of the masks, 20/25.
    assert boundary_dice(prediction, label, ruler=Ruler(tolerance=9.0)) == pytest.approx(20 / 25)
    # Narrower than a pixel: still the contour.
    assert boundary_dice(prediction, label, ruler=Ruler(tolerance=0.1)) == pytest.approx(2 * 8 / 32)


def test_the_edge_of_the_image_is_no_contour_where_both_run_into_it():
    # Bars from the top edge down: 3 rows and 4 rows. Without the sides of the image there is one contour row each,
    # a pixel apart; the top row and the sides are an edge that both reach.
    label, prediction = mask("#### #### #### .... .... ...."), mask("#### #### #### #### .... ....")
    found = measure_surfaces(prediction, label)
    assert sorted(found.to_prediction) == [1, 1, 1, 1]
    # The prediction's row 3, all of it; its ends also touch the sides, where the label does not.
    assert sorted(found.to_label) == [1, 1, 1, 1]


def test_the_edge_is_a_contour_where_one_mask_runs_into_it():
    # The label fills its corner up to the edge; the prediction stops a column short of it.
    label, prediction = mask("##.. ##.. .... ...."), mask(".#.. .#.. .... ....")
    found = measure_surfaces(prediction, label)
    assert sorted(found.to_prediction) == [0, 0, 1, 1]


def test_masks_without_a_contour_agree_if_they_are_equal():
    full = np.ones((3, 5), bool)
    assert all_of(full, full) == (0, 0, 1, 1)
    half = full & (np.arange(5) < 3)
    # The prediction's contour is its last column, 2 from the right edge that only the label reaches. Of the label
    # all edge pixels outside the prediction are a contour: two columns, 1 and 2 away.
    found = measure_surfaces(half, full)
    assert sorted(found.to_prediction) == [1, 1, 2, 2, 2]
    assert boundary_dice(half, full) == 0


@settings(max_examples=80, deadline=None)
@given(prediction=masks, label=masks, counts=masks)
def test_against_all_pairs(prediction, label, counts):
    if counts.any() and (prediction & counts).any() and (label & counts).any():
        found = measure_surfaces(prediction, label, counts=counts)
        to_label, to_prediction = slow(prediction, label, counts)
        np.testing.assert_allclose(found.to_label, to_label)
        np.testing.assert_allclose(found.to_prediction, to_prediction)


@settings(max_examples=30, deadline=None)
@given(prediction=masks, label=masks, width=st.sampled_from([1.0, 1.5, 2.0, 3.0]))
def test_bands_against_all_pairs(prediction, label, width):
    def band(each: np.ndarray) -> set:
        outside = np.argwhere(~each)
        return {tuple(p) for p in np.argwhere(each) if any(math.dist(p, o) <= width for o in outside)}

    if prediction.any() and label.any():
        one, other = band(prediction), band(label)
        expected = 2 * len(one & other) / (len(one) + len(other)) if one or other else 1.0
        assert boundary_dice(prediction, label, ruler=Ruler(tolerance=width)) == pytest.approx(expected)


@settings(max_examples=30, deadline=None)
@given(prediction=masks, label=masks, counts=masks, block=st.integers(1, 30))
def test_parts_are_not_seen(prediction, label, counts, block):
    if counts.any():
        whole = all_of(prediction, label, counts=counts)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(surface, "BLOCK", block)
            assert all_of(prediction, label, counts=counts) == whole


@settings(max_examples=30, deadline=None)
@given(prediction=masks, label=masks, data=st.data())
def test_leaving_a_strip_out_and_cutting_it_off_are_the_same(prediction, label, data):
    height, width = label.shape
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    counts = np.zeros(label.shape, bool)
    counts[top:, left:] = True
    cut = (prediction[top:, left:], label[top:, left:])
    if all(each.any() for each in cut):
        assert all_of(prediction, label, counts=counts) == pytest.approx(all_of(*cut))


@settings(max_examples=30, deadline=None)
@given(prediction=masks, label=masks, counts=masks, other=masks)
def test_what_does_not_count_cannot_matter(prediction, label, counts, other):
    if counts.any():
        changed = np.where(counts, prediction, other)
        assert all_of(changed, label, counts=counts) == all_of(prediction, label, counts=counts)


@settings(max_examples=30, deadline=None)
@given(prediction=masks, label=masks)
def test_symmetry(prediction, label):
    assert all_of(prediction, label) == pytest.approx(all_of(label, prediction))
    assert all_of(prediction.T, label.T) == pytest.approx(all_of(prediction, label))


@settings(max_examples=30, deadline=None)
@given(label=masks)
def test_a_mask_is_equal_to_itself(label):
    assert all_of(label, label) == (0, 0, 1, 1)


@settings(max_examples=30, deadline=None)
@given(prediction=masks, label=masks, size=st.sampled_from([0.1, 0.65, 3.0]))
def test_another_pixel_size_only_changes_the_unit(prediction, label, size):
    pixels = all_of(prediction, label, ruler=Ruler(tolerance=2.0))
    micrometres = all_of(prediction, label, ruler=Ruler(size, tolerance=2.0 * size))
    assert micrometres[:2] == pytest.approx([size * each for each in pixels[:2]])
    assert micrometres[2:] == pixels[2:]  # a distance that equals the tolerance is within it in any unit


@settings(max_examples=30, deadline=None)
@given(prediction=masks, label=masks)
def test_no_distance_is_worse_than_a_missing_prediction(prediction, label):
    found = measure_surfaces(prediction, label)
    assert 0 <= mean_surface_distance(found) <= found.diagonal
    assert 0 <= hd95(found) <= found.diagonal


def test_the_written_rule_for_empty_masks():
    nothing, something = np.zeros((3, 4), bool), np.eye(3, 4, dtype=bool)
    ruler = Ruler(0.5, tolerance=1.0)
    assert all_of(nothing, nothing, ruler=ruler) == (0, 0, 1, 1)
    for pair in ((nothing, something), (something, nothing), (np.ones_like(nothing), nothing)):
        assert all_of(*pair, ruler=ruler) == (2.5, 2.5, 0, 0)  # half of the diagonal of 3 and 4
    assert [measure_surfaces(*pair).empty for pair in ((nothing, something), (something, nothing))] == [
        "prediction",
        "label",
    ]


def test_what_is_wholly_ignored_is_empty():
    something = np.eye(3, 4, dtype=bool)
    assert all_of(something, something, counts=~something) == (0, 0, 1, 1)


@pytest.mark.parametrize("call", [measure_surfaces, boundary_dice])
def test_refusals(call):
    one = np.ones((4, 6), bool)
    with pytest.raises(ShapeError, match=r"\(4, 6\).*\(6, 4\)"):
        call(one, one.T)
    with pytest.raises(DataError, match="prediction is float64"):
        call(one * 0.5, one)
    with pytest.raises(DataError, match="No pixel"):
        call(one, one, counts=~one)


@pytest.mark.parametrize("wrong", [{"pixel_size": 0.0}, {"pixel_size": math.nan}, {"tolerance": -1.0}])
def test_rulers_that_measure_nothing_are_refused(wrong):
    with pytest.raises(ConfigError, match="above 0"):
        Ruler(**wrong)


def test_a_large_field_needs_little_beside_its_contours():
    # 2000 x 3000 pixels with 1500 squares of 40, moved by 3: half a minute and gigabytes through all pairs.
    rows, columns = np.indices((2000, 3000), sparse=True)
    label = (rows % 67 < 40) & (columns % 60 < 40)
    found: Surfaces = measure_surfaces(np.roll(label, 3, axis=1), label)
    assert hd95(found) == 3
    assert len(found.to_label) == pytest.approx(1500 * 156, rel=0.05)
