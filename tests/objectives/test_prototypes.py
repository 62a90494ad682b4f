"""Similarity of features to prototypes: by hand, and the laws of what is compared of it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from segdistill.engine.reducer import weighted_mean
from segdistill.errors import ShapeError
from segdistill.objectives import prototype_matching, prototype_similarity, prototype_weights, teacher_classes

seeds = st.integers(0, 2**16)


def inputs(seed, *, batch=4, width=5):
    """Return student's features, teacher's similarity, classes and counts; one image counts nowhere."""
    draw = torch.Generator().manual_seed(seed)
    features = torch.randn(batch, width, 6, 9, generator=draw, dtype=torch.float64)
    classes = teacher_classes(torch.rand(batch, 2, 6, 9, generator=draw, dtype=torch.float64))
    counts = (torch.rand(batch, 6, 9, generator=draw) > 0.2).double()
    counts[0] = 0
    teacher = torch.randn(batch, 7, 6, 9, generator=draw, dtype=torch.float64)
    return features, prototype_similarity(teacher, classes, counts), classes, counts


def reduced(features, similarity, classes, counts):
    value = prototype_matching(features, similarity, classes, counts)
    return weighted_mean(value, prototype_weights(classes, counts))


def test_by_hand():
    # Three pixels along (1, 0), (0, 1), (1, 1); class A has the first two: its prototype is (½, ½).
    features = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]).reshape(1, 2, 1, 3) * 100
    classes = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]).reshape(1, 2, 1, 3)
    found = prototype_similarity(features, classes, torch.ones(1, 1, 3))
    half = math.sqrt(0.5)
    expected = torch.tensor([[half, half, 1.0], [half, half, 1.0]]).reshape(1, 2, 1, 3)
    assert_close(found, expected, atol=1e-4, rtol=0)
    # Without the second pixel A is (1, 0): the pixels differ from the student above by half, half and 1 − half.
    other = prototype_similarity(features, classes, torch.tensor([[[1.0, 0.0, 1.0]]]))
    assert_close(other[0, 0, 0], torch.tensor([1.0, 0.0, half]), atol=1e-4, rtol=0)
    value = prototype_matching(features, other, classes, torch.ones(1, 1, 3))
    assert_close(value[0, 0, 0], torch.tensor([(1 - half) ** 2, 0.5, (1 - half) ** 2]), atol=1e-3, rtol=0)


def test_classes_are_the_outputs_and_the_rest():
    target = torch.tensor([[0.9, 0.4, 0.6], [0.1, 0.5, 0.8]]).reshape(1, 2, 1, 3)
    assert teacher_classes(target)[0, :, 0].tolist() == [[1, 0, 1], [0, 0, 1], [0, 1, 0]]
    assert teacher_classes(target[:, :0])[0, :, 0].tolist() == [[1, 1, 1]]


@given(seed=seeds)
@settings(max_examples=20)
def test_zero_where_student_and_teacher_are_one_and_nowhere_less(seed):
    features, similarity, classes, counts = inputs(seed)
    own = prototype_similarity(features, classes, counts)
    assert prototype_matching(features, own, classes, counts).abs().max() == 0
    assert reduced(features, similarity, classes, counts) > 1e-3


@given(seed=seeds)
@settings(max_examples=20)
def test_turning_the_space_of_features_changes_nothing(seed):
    features, similarity, classes, counts = inputs(seed)
    draw = torch.Generator().manual_seed(seed)
    turn, _ = torch.linalg.qr(torch.randn(5, 5, generator=draw, dtype=torch.float64))
    turned = torch.einsum("ed,bdyx->beyx", turn, features)
    assert_close(reduced(turned, similarity, classes, counts), reduced(features, similarity, classes, counts))


def test_gradient_reaches_the_student_only_prototypes_included():
    features, similarity, classes, counts = inputs(1)
    for each in (features, similarity):
        each.requires_grad_()
    reduced(features, similarity, classes, counts).backward()
    assert similarity.grad is None
    assert features.grad[1:].abs().sum() > 0
    assert features.grad[0].abs().sum() == 0  # nothing counts there


@given(seed=seeds)
@settings(max_examples=20)
def test_pixels_that_do_not_count_change_nothing(seed):
    features, similarity, classes, counts = inputs(seed)
    noise = 9 * torch.randn(features.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    noisy = torch.where(counts[:, None] > 0, features, noise)
    other = torch.where(counts[:, None] > 0, similarity, torch.ones_like(similarity))
    assert_close(reduced(noisy, other, classes, counts), reduced(features, similarity, classes, counts))


@given(seed=seeds, cut=st.integers(0, 4))
@settings(max_examples=20)
def test_parts_of_a_batch_add_up_to_the_whole(seed, cut):
    # Prototypes are per image: those of a batch would depend on how it is cut.
    whole = inputs(seed)
    total = prototype_weights(*whole[2:]).sum()
    parts = [[each[rows] for each in whole] for rows in (slice(None, cut), slice(cut, None))]
    added = sum(
        weighted_mean(prototype_matching(*part), prototype_weights(*part[2:]), total=total)
        for part in parts
        if len(part[0])
    )
    assert_close(added, reduced(*whole))


def test_a_class_without_a_pixel_that_counts_has_no_weight_there():
    classes = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]).reshape(1, 2, 1, 3).repeat(2, 1, 1, 1)
    counts = torch.tensor([[[1.0, 1.0, 0.0]], [[1.0, 1.0, 1.0]]])
    weights = prototype_weights(classes, counts)
    assert weights[:, :, 0].tolist() == [[[1, 1, 0], [0, 0, 0]], [[1, 1, 1], [1, 1, 1]]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["float32", "float16"])
@pytest.mark.parametrize("scale", [0.0, 1e-3, 200.0])
def test_finite_for_features_that_are_nothing_or_large(dtype, scale):
    # Rectified features are often all zero; 200² over 54 pixels of 5 features is beyond float16.
    features, similarity, classes, counts = (each.to(dtype) for each in inputs(2))
    features = (scale * features).requires_grad_()
    value = reduced(features, similarity, classes, counts)
    value.backward()
    assert value.dtype == torch.float32
    assert value.isfinite()
    assert features.grad.isfinite().all()


def test_other_grids_are_refused():
    features, similarity, classes, counts = inputs(0)
    with pytest.raises(ShapeError, match="Features, classes and counts differ"):
        prototype_similarity(features[..., :8], classes, counts)
    with pytest.raises(ShapeError, match="similarities of student and teacher differ"):
        prototype_matching(features, similarity[:, :2], classes, counts)
