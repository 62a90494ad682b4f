from dataclasses import replace

import numpy as np
import pytest
import torch

from segdistill.augment import inner_boundary as label_boundary
from segdistill.teachers.sam import encode
from segdistill.teachers.sam_image import from_square
from segdistill.teachers.sam_prompts import Grid, _label_boxes, boxes, grid, inner_boundary, stability, tuned

EVERYTHING = Grid(side=4, batch=5, predicted_iou=-1e9, stability=-1.0, overlap=1.0)


@pytest.fixture
def encoded(sam, picture):
    with torch.no_grad():
        return encode(sam, picture)


def two_cells():
    labels = np.zeros((40, 56), np.int32)
    labels[3:12, 20:31] = 7
    labels[20:35, 5:9] = 2_000_000_000  # a list as long as the largest id would not fit in memory
    return labels


def test_boxes_are_the_first_and_last_pixel_of_every_object():
    assert _label_boxes(two_cells()).tolist() == [[[3, 20], [11, 30]], [[20, 5], [34, 8]]]


def test_boxes_without_background_and_without_objects():
    assert _label_boxes(np.full((3, 4), 5)).tolist() == [[[0, 0], [2, 3]]]
    assert _label_boxes(np.zeros((3, 4), np.int32)).shape == (0, 2, 2)


def test_no_object_gives_empty_maps(encoded):
    assert boxes(encoded, np.zeros((40, 56), np.int32)).abs().max() == 0


def test_the_union_of_boxes_does_not_depend_on_how_they_are_batched(encoded):
    at_once, one_by_one = (boxes(encoded, two_cells(), batch=batch) for batch in (32, 1))
    assert torch.allclose(at_once, one_by_one, atol=1e-6)


def test_the_union_of_two_boxes_is_the_larger_probability(encoded):
    labels = two_cells()
    alone = [boxes(encoded, np.where(labels == number, labels, 0)) for number in (7, 2_000_000_000)]
    assert torch.allclose(boxes(encoded, labels), torch.maximum(*alone), atol=1e-6)


def test_boxes_do_not_depend_on_the_numbers_of_objects(encoded):
    labels = two_cells()
    other = np.select([labels == 7, labels > 7], [3, 1])
    assert torch.allclose(boxes(encoded, labels), boxes(encoded, other), atol=1e-6)


def test_grid_without_filters_is_the_union_of_all_masks(sam, encoded):
    rows, columns = (torch.arange(4) + 0.5) * 10, (torch.arange(4) + 0.5) * 14
    points = torch.tensor([[x * 64 / 56, y * 46 / 40] for y in rows.tolist() for x in columns.tolist()])
    scores, _ = encoded.decode(several=True, input_points=points[None, :, None])
    wanted = torch.sigmoid(from_square(scores.flatten(0, 1), encoded.square)).amax(0)
    assert torch.allclose(grid(encoded, EVERYTHING)[0], wanted, atol=1e-5)


@pytest.mark.parametrize("strict", [{"predicted_iou": 1e9}, {"stability": 1.0}])
def test_grid_drops_what_a_filter_refuses(encoded, strict):
    assert grid(encoded, replace(EVERYTHING, **strict)).abs().max() == 0


def test_grid_does_not_depend_on_the_batch(encoded):
    one, other = (grid(encoded, replace(EVERYTHING, batch=batch, overlap=0.7)) for batch in (3, 16))
    assert torch.allclose(one, other, atol=1e-5)


def test_of_two_equal_masks_one_stays(encoded):
    # Overlap 0 keeps a single mask out of all that touch: its union is no larger than everybody's.
    few, all_of_them = (grid(encoded, replace(EVERYTHING, overlap=overlap))[0] for overlap in (0.0, 1.0))
    assert (few <= all_of_them + 1e-6).all()
    assert few.sum() < all_of_them.sum()


def test_stability_by_hand():
    # Scores 2, 0.5, -0.5, -3: above +1 one pixel, above -1 three pixels, so 1/3. Nothing at all: 0.
    scores = torch.tensor([[[2.0, 0.5, -0.5, -3.0]], [[-5.0, -5.0, -5.0, -5.0]]])
    assert stability(scores, 1.0).tolist() == pytest.approx([1 / 3, 0.0])


def test_inner_boundary_of_a_sharp_mask_is_that_of_labels():
    labels = torch.from_numpy(np.random.default_rng(0).random((30, 41)) < 0.7)[None]
    assert torch.equal(inner_boundary(labels.float()) > 0, label_boundary(labels.int()))


def test_tuned_answers_one_token_or_the_first_of_several(sam, encoded):
    single, _ = encoded.decode(several=False)
    several, _ = encoded.decode(several=True)
    assert torch.allclose(tuned(encoded, 1), torch.sigmoid(from_square(single[0], encoded.square)))
    assert torch.allclose(tuned(encoded, 2), torch.sigmoid(from_square(several[0, :2], encoded.square)))
