import numpy as np
import pytest
import torch

from segdistill.data.labels import Structure
from segdistill.objectives import prototype_similarity, teacher_classes
from segdistill.training.similarity import teacher_similarity

CELL = (Structure("cell", instances=False),)


def test_by_hand():
    # Two cells, one of the class and one not, along two axes: each is like itself and unlike the other.
    tokens = np.array([[[3.0, 0.0], [0.0, 3.0]]], np.float32)
    target = {"cell": np.array([[0.9, 0.9, 0.1, 0.1], [0.9, 0.9, 0.1, 0.1]], np.float16)}
    found = teacher_similarity(tokens, target, CELL, np.ones((2, 4), bool))
    assert found.dtype == np.float16
    # Between the middles of two cells the similarity is a quarter and three quarters of the way.
    expected = [[1, 0.75, 0.25, 0], [0, 0.25, 0.75, 1]]
    np.testing.assert_allclose(found[:, 0], expected, atol=2e-3)
    np.testing.assert_array_equal(found[:, 0], found[:, 1])


def test_on_the_images_own_grid_it_is_the_similarity_itself():
    draw = np.random.default_rng(0)
    tokens = draw.standard_normal((6, 9, 5)).astype(np.float32)
    target = {"cell": draw.random((6, 9)).astype(np.float16)}
    counts = draw.random((6, 9)) > 0.3
    features = torch.from_numpy(tokens).permute(2, 0, 1)[None]
    classes = teacher_classes(torch.from_numpy(target["cell"]).float()[None, None])
    expected = prototype_similarity(features, classes, torch.from_numpy(counts)[None].float())[0].numpy()
    np.testing.assert_allclose(teacher_similarity(tokens, target, CELL, counts), expected, atol=1e-3)


def test_pixels_that_do_not_count_are_in_no_prototype():
    draw = np.random.default_rng(1)
    tokens = draw.standard_normal((3, 4, 5)).astype(np.float32)
    target = {"cell": np.repeat(np.repeat(draw.random((3, 4)), 2, 0), 2, 1).astype(np.float16)}
    counts = np.ones((6, 8), bool)
    counts[:2] = False  # the first row of cells
    other = tokens.copy()
    other[0] = 7 * draw.standard_normal((4, 5))
    one, two = (teacher_similarity(each, target, CELL, counts) for each in (tokens, other))
    np.testing.assert_array_equal(one[:, 3:], two[:, 3:])  # below the row whose interpolation sees the first


@pytest.mark.parametrize(("outputs", "classes"), [(("cell.boundary", "cell", "nucleus"), 3), (("nucleus",), 1)])
def test_classes_are_what_student_and_teacher_share_and_the_rest(outputs, classes):
    target = {name: np.full((4, 6), 0.9, np.float16) for name in outputs}
    structures = (Structure("cell", instances=True),)
    found = teacher_similarity(np.ones((2, 3, 4), np.float32), target, structures, np.ones((4, 6), bool))
    assert found.shape == (classes, 4, 6)
