import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segdistill.augment import inner_boundary, label_maps
from segdistill.data.labels import Structure, output_names
from segdistill.errors import ShapeError


def naive(labels):
    """The definition, pixel by pixel."""
    edge = np.zeros(labels.shape, bool)
    for y, x in np.ndindex(labels.shape):
        near = labels[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        edge[y, x] = labels[y, x] > 0 and (near != labels[y, x]).any()
    return edge


def test_two_touching_cells_by_hand():
    labels = torch.tensor(
        [
            [0, 0, 0, 0, 0, 0, 0],
            [0, 1, 1, 1, 2, 2, 2],
            [0, 1, 1, 1, 2, 2, 2],
            [0, 1, 1, 1, 2, 2, 2],
            [0, 1, 1, 1, 2, 2, 2],
        ]
    )[None]
    assert inner_boundary(labels)[0].int().tolist() == [
        [0, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 1, 1, 1],
        [0, 1, 0, 1, 1, 0, 0],  # the picture's edge (right, below) is no boundary
        [0, 1, 0, 1, 1, 0, 0],
        [0, 1, 0, 1, 1, 0, 0],
    ]


@given(
    seed=st.integers(0, 10**6),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 12)),
    first=st.sampled_from([1, 2**24, 2**30]),
)
def test_the_boundary_is_its_definition(seed, shape, first):
    labels = np.random.default_rng(seed).integers(0, 3, shape)
    labels = np.where(labels > 0, labels + first, 0)
    assert np.array_equal(inner_boundary(torch.from_numpy(labels)[None])[0].numpy(), naive(labels))


def test_a_corner_counts_as_touching():
    labels = torch.full((1, 3, 4), 1)
    labels[0, 0, 0] = 0
    assert inner_boundary(labels)[0].int().tolist() == [[0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("value", [0, 5])
def test_a_picture_of_one_value_has_no_boundary(value):
    assert not inner_boundary(torch.full((2, 3, 4), value)).any()


def test_maps_come_in_the_order_of_the_output_names():
    structures = (Structure("vessel", False), Structure("cell", True), Structure("nucleus", True))
    planes = torch.zeros(1, 3, 5, 7, dtype=torch.int32)
    planes[0, 0, 0, :] = 1
    planes[0, 1, 1:4, 1:4] = 9
    maps = label_maps(planes, [structure.instances for structure in structures])
    sums = dict(zip(output_names(structures), maps.sum(dim=(0, 2, 3)).tolist(), strict=True))
    assert sums == {"vessel": 7, "cell": 9, "cell.boundary": 8, "nucleus": 0, "nucleus.boundary": 0}
    assert maps.dtype == torch.float32


def test_a_plane_for_every_structure():
    with pytest.raises(ShapeError, match="2 label planes but 1 structures"):
        label_maps(torch.zeros(1, 2, 3, 4, dtype=torch.int64), [True])
