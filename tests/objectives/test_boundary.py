"""Borders by hand: the soft gradient, the distance, and what ignored pixels may not do."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch.testing import assert_close

from segdistill.errors import ConfigError, ShapeError, UnknownName
from segdistill.objectives import (
    BOUNDARY,
    boundary_gradient,
    boundary_term,
    boundary_weights,
    signed_distance,
    signed_distances,
    surface_distance,
)
from segdistill.objectives.boundary import SQUEEZE, soft_border
from segdistill.objectives.distances import distances_axis_by_axis

masks = arrays.arrays(np.bool_, st.tuples(st.integers(1, 7), st.integers(1, 9)))


def test_soft_border_by_hand():
    # A 1 x 5 mask with one pixel set: its window of 3 is the border; of 5, two pixels to either side.
    mask = torch.tensor([[[[0.0, 0.0, 0.8, 0.0, 0.0, 0.0]]]])
    assert_close(soft_border(mask, size=3).flatten(), torch.tensor([0, 0.8, 0.8, 0.8, 0, 0]))
    assert_close(soft_border(mask, size=5).flatten(), torch.tensor([0.8, 0.8, 0.8, 0.8, 0.8, 0]))


def test_boundary_gradient_by_hand():
    # Two pixels with p = (3/4, 1/4), y = (1, 0): both borders are flat, 1/2 against 1.
    # Squeezed: 1/2 stays, 1 becomes 1 - SQUEEZE. Cross-entropy is ln 2 either way.
    # Dice: 1 - (2 * 2 * 1/2 + 1) / (2 * 1/4 + 2 + 1) = 1 - 3 / 3.5.
    scores = torch.tensor([[[[math.log(3), -math.log(3)]]]])
    target = torch.tensor([[[[1.0, 0.0]]]])
    found = boundary_gradient(scores, target, torch.ones_like(scores))
    assert_close(found, torch.tensor([[math.log(2) + 1 - 3 / 3.5]]))


def test_the_least_value_is_at_equality():
    # Among targets with some soft border, each is its own best answer, and the slope there is zero.
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(4, 1, 6, 7, generator=generator, dtype=torch.float64)
    ones = torch.ones_like(scores)
    own = boundary_gradient(scores, scores.sigmoid(), ones)
    for other in range(4):
        assert (boundary_gradient(scores[[other] * 4], scores.sigmoid(), ones) >= own - 1e-12).all()
    leaf = scores.clone().requires_grad_()
    boundary_gradient(leaf, scores.sigmoid(), ones).sum().backward()
    assert_close(leaf.grad, torch.zeros_like(scores))


def test_the_slope_is_bounded_where_the_answer_is_flat():
    # The answer 1/2 (almost) everywhere has border 0, where an unsqueezed logarithm has no finite slope.
    scores = (1e-6 * torch.randn(1, 1, 6, 7, generator=torch.Generator().manual_seed(0))).requires_grad_()
    target = torch.zeros(1, 1, 6, 7)
    target[..., 3:] = 1
    boundary_gradient(scores, target, torch.ones_like(target)).sum().backward()
    assert 0 < scores.grad.abs().max() < 1 / SQUEEZE


@pytest.mark.parametrize("size", [3, 5])
def test_what_is_ignored_cannot_be_seen(size):
    generator = torch.Generator().manual_seed(0)
    scores, target = torch.randn(2, 1, 2, 12, 14, generator=generator)
    counts = torch.ones_like(scores)
    counts[:, :, 4:6, 5:9] = 0
    changed = torch.where(counts > 0, scores, 50.0)
    before = boundary_gradient(scores, target.sigmoid(), counts, size=size)
    assert_close(boundary_gradient(changed, target.sigmoid(), counts, size=size), before)


def test_a_border_needs_its_whole_window():
    counts = torch.ones(1, 1, 3, 4)
    assert boundary_weights(counts).item() == 1
    counts[0, 0, 1, 1:3] = 0  # every 3 x 3 window holds one of these
    assert boundary_weights(counts).item() == 0


def test_only_two_sizes():
    scores = torch.zeros(1, 1, 6, 7)
    with pytest.raises(ConfigError, match="3 or 5"):
        boundary_gradient(scores, scores, scores, size=4)
    with pytest.raises(ConfigError, match="3 or 5"):
        boundary_weights(scores, size=7)


def test_grids_must_agree():
    scores = torch.zeros(1, 1, 4, 5)
    with pytest.raises(ShapeError, match="target"):
        boundary_gradient(scores, torch.zeros(1, 1, 5, 4), scores)
    with pytest.raises(ShapeError, match="counts"):
        boundary_gradient(scores, scores, torch.zeros(1, 1, 5, 4))
    with pytest.raises(ShapeError, match="distance"):
        surface_distance(scores, torch.zeros(1, 1, 5, 4))


def test_signed_distance_by_hand():
    # A 2 x 2 square in the corner of 3 x 4; the far corner is sqrt(1 + 4) from the square's nearest pixel.
    label = np.zeros((3, 4), bool)
    label[:2, :2] = True
    expected = [
        [-1.5, -0.5, 0.5, 1.5],
        [-0.5, -0.5, 0.5, 1.5],
        [0.5, 0.5, math.sqrt(2) - 0.5, math.sqrt(5) - 0.5],
    ]
    np.testing.assert_allclose(signed_distance(label), expected, rtol=1e-6)


@given(mask=masks)
def test_the_complement_has_the_opposite_distance(mask):
    np.testing.assert_array_equal(signed_distance(~mask), -signed_distance(mask))


@given(mask=masks)
def test_the_sign_says_inside(mask):
    distance = signed_distance(mask)
    if mask.any() and not mask.all():
        np.testing.assert_array_equal(distance < 0, mask)
        assert np.abs(distance).min() == 0.5
    else:
        assert not distance.any()


def test_surface_distance_is_least_on_the_label():
    label = np.zeros((9, 12), bool)
    label[2:6, 3:8] = True
    distance = torch.from_numpy(signed_distance(label))[None, None]

    def total(mask: np.ndarray) -> float:
        scores = torch.from_numpy(np.where(mask, 80.0, -80.0).astype(np.float32))[None, None]
        return surface_distance(scores, distance).sum().item()

    exact = total(label)
    assert exact < 0
    for shift in [(0, 1), (1, 0), (0, -2), (3, 3)]:
        assert total(np.roll(label, shift, axis=(0, 1))) > exact


on_devices = pytest.mark.parametrize("distances", [signed_distances, distances_axis_by_axis])


@on_devices
@given(planes=arrays.arrays(np.bool_, st.tuples(st.just(4), st.integers(1, 7), st.integers(1, 9))))
def test_distances_of_a_batch_are_those_of_each_label_by_itself(distances, planes):
    labels, counts = planes[:2], planes[2:]
    found = distances(*(torch.from_numpy(each)[None] for each in (labels, counts)))
    expected = [signed_distance(label, known) for label, known in zip(labels, counts, strict=True)]
    np.testing.assert_allclose(found[0], expected, rtol=1e-6)


@on_devices
def test_a_pixel_that_does_not_count_is_neither_inside_nor_outside(distances):
    # Inside, unknown, outside: what lies between the two that are known is not known, so they are two apart.
    label = torch.tensor([[[[True, True, False], [True, False, False]]]])
    counts = torch.tensor([[[[True, False, True], [True, False, True]]]])
    expected = torch.tensor([[[[-1.5, 0, 1.5], [-1.5, 0, 1.5]]]])
    assert_close(distances(label, counts), expected)


@on_devices
def test_a_label_that_is_full_as_far_as_it_is_known_has_no_border(distances):
    label = torch.tensor([[[[True, True, False]]]])
    assert distances(label, torch.tensor([[[[True, True, False]]]])).tolist() == [[[[0, 0, 0]]]]
    assert distances(label, torch.zeros_like(label)).tolist() == [[[[0, 0, 0]]]]


def test_terms_on_borders_by_name():
    generator = torch.Generator().manual_seed(0)
    scores, target = torch.randn(2, 1, 2, 8, 9, generator=generator)
    ones = torch.ones_like(scores)
    for size in (3, 5):
        found = boundary_term(f"gradient_{size}")(scores, target.sigmoid(), ones)
        assert_close(found, boundary_gradient(scores, target.sigmoid(), ones, size=size))
    assert boundary_term("none") is None
    assert [term.name for term in BOUNDARY.values()] == ["boundary", "boundary", "surface_distance"]
    with pytest.raises(UnknownName, match="Did you mean 'gradient_5'"):
        boundary_term("gradient_4")


@pytest.mark.parametrize("name", BOUNDARY)
def test_each_term_on_borders_has_its_weights(name):
    scores = torch.randn(2, 3, 8, 9, generator=torch.Generator().manual_seed(0))
    counts = torch.ones_like(scores)
    assert BOUNDARY[name](scores, counts, counts).shape == BOUNDARY[name].weigh(counts).shape
