"""What every objective must obey: equality, one-way gradients, splitting, permuting, extremes, half precision."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from segdistill.engine.reducer import weighted_mean
from segdistill.objectives import (
    binary_cross_entropy,
    binary_kl,
    boundary_gradient,
    boundary_weights,
    channel_kl,
    dist_intra,
    image_weights,
    joint_weights,
    pixel_kl,
    pixel_weights,
    probability_mse,
    soft_dice,
    standardised_kl,
    surface_distance,
)
from segdistill.objectives.distillation import DISTILLATION

SHAPE = (4, 2, 6, 9)


@dataclass(frozen=True)
class Subject:
    value: Callable[[Tensor, Tensor, Tensor], Tensor]  # scores, teacher, counts
    weigh: Callable[[Tensor], Tensor]
    teacher: str  # what the second argument is
    divergence: bool = True
    permutes: bool = True
    stored: bool = False  # whether the teacher comes from the store, rounded and never surer than SUREST


def without_counts(objective: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    return lambda scores, teacher, _: objective(scores, teacher)


SUBJECTS = {
    "probability_mse": Subject(without_counts(probability_mse), pixel_weights, "probabilities"),
    "binary_cross_entropy": Subject(
        without_counts(binary_cross_entropy), pixel_weights, "probabilities", divergence=False
    ),
    "soft_dice": Subject(soft_dice, image_weights, "probabilities"),
    "boundary_gradient": Subject(
        boundary_gradient, boundary_weights, "probabilities", divergence=False, permutes=False
    ),
    "surface_distance": Subject(without_counts(surface_distance), pixel_weights, "distances", divergence=False),
    "pixel_kl": Subject(without_counts(pixel_kl), joint_weights, "scores"),
    "binary_kl": Subject(without_counts(binary_kl), pixel_weights, "scores"),
    "channel_kl": Subject(channel_kl, image_weights, "scores"),
    "standardised_kl": Subject(standardised_kl, joint_weights, "scores"),
    "dist_intra": Subject(dist_intra, image_weights, "probabilities"),
} | {
    f"DISTILLATION[{name}]": Subject(term, term.weigh, "probabilities", stored=True)
    for name, term in DISTILLATION.items()
}
every = pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS.keys())
divergences = pytest.mark.parametrize(
    "subject", [s for s in SUBJECTS.values() if s.divergence], ids=[n for n, s in SUBJECTS.items() if s.divergence]
)
permuting = pytest.mark.parametrize(
    "subject", [s for s in SUBJECTS.values() if s.permutes], ids=[n for n, s in SUBJECTS.items() if s.permutes]
)
seeds = st.integers(0, 2**16)


def inputs(subject: Subject, *, seed: int, shape: tuple[int, ...] = SHAPE) -> tuple[Tensor, Tensor, Tensor]:
    """Return scores, teacher and uneven counts, some images without any."""
    generator = torch.Generator().manual_seed(seed)
    scores, teacher = 3 * torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    counts = torch.rand(shape, generator=generator, dtype=torch.float64)
    counts = counts * (counts > 0.3) * (torch.rand(shape[0], 1, 1, 1, generator=generator) > 0.2)
    return scores, teacher.sigmoid() if subject.teacher == "probabilities" else teacher, counts


def reduced(subject: Subject, scores: Tensor, teacher: Tensor, counts: Tensor) -> Tensor:
    return weighted_mean(subject.value(scores, teacher, counts), subject.weigh(counts))


@every
def test_the_map_has_its_weights(subject):
    scores, teacher, counts = inputs(subject, seed=0)
    assert subject.value(scores, teacher, counts).shape == subject.weigh(counts).shape


@divergences
@given(seed=seeds)
@settings(max_examples=20)
def test_zero_at_equality_and_nowhere_less(subject, seed):
    scores, teacher, counts = inputs(subject, seed=seed)
    scores = scores.clamp(-4, 4) if subject.stored else scores
    same = scores.sigmoid() if subject.teacher == "probabilities" else scores
    if subject.value in (DISTILLATION["pixel_kl"], DISTILLATION["standardised_kl"]):
        scores, same = scores.log_softmax(dim=1), scores.softmax(dim=1)  # exclusive classes
    assert reduced(subject, scores, same, counts).abs() < 1e-4
    assert (subject.value(scores, teacher, counts) >= -1e-9).all()


@divergences
def test_more_than_zero_elsewhere(subject):
    scores, teacher, _ = inputs(subject, seed=3)
    assert reduced(subject, scores, teacher, torch.ones_like(scores)) > 1e-3


@every
def test_gradient_reaches_the_student_only(subject):
    scores, teacher, _ = inputs(subject, seed=1)
    scores.requires_grad_()
    teacher.requires_grad_()
    reduced(subject, scores, teacher, torch.ones_like(scores)).backward()
    assert scores.grad is not None
    assert scores.grad.abs().sum() > 0
    assert teacher.grad is None


@every
@given(seed=seeds, cut=st.integers(0, SHAPE[0]))
@settings(max_examples=20)
def test_parts_of_a_batch_add_up_to_the_whole(subject, seed, cut):
    scores, teacher, counts = inputs(subject, seed=seed)
    total = subject.weigh(counts).sum()
    parts = [slice(None, cut), slice(cut, None)]
    added = sum(
        weighted_mean(subject.value(scores[p], teacher[p], counts[p]), subject.weigh(counts[p]), total=total)
        for p in parts
    )
    assert_close(added, reduced(subject, scores, teacher, counts))


@permuting
@given(seed=seeds)
@settings(max_examples=20)
def test_permuting_the_pixels_of_all_changes_nothing(subject, seed):
    scores, teacher, counts = inputs(subject, seed=seed)
    order = torch.randperm(SHAPE[2] * SHAPE[3], generator=torch.Generator().manual_seed(seed))
    moved = [values.flatten(2)[..., order].reshape(values.shape) for values in (scores, teacher, counts)]
    assert_close(reduced(subject, *moved), reduced(subject, scores, teacher, counts))


def test_borders_are_not_pixel_wise():
    # Otherwise leaving boundary_gradient out of the law above would hide something.
    scores, teacher, _ = inputs(SUBJECTS["boundary_gradient"], seed=0)
    ones = torch.ones_like(scores)
    moved = [values.flatten(2).sort(dim=2).values.reshape(values.shape) for values in (scores, teacher)]
    assert not torch.allclose(boundary_gradient(*moved, ones), boundary_gradient(scores, teacher, ones))


@every
@pytest.mark.parametrize("score", [-80.0, 0.0, 80.0])
@pytest.mark.parametrize("mask", [0.0, 1.0])
@pytest.mark.parametrize("count", [0.0, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["float32", "float16"])
def test_finite_on_empty_and_full_masks(subject, score, mask, count, dtype):
    scores = torch.full(SHAPE, score, dtype=dtype, requires_grad=True)
    extreme = {"probabilities": mask, "scores": 160 * mask - 80, "distances": 0.0}[subject.teacher]
    counts = torch.full(SHAPE, count, dtype=dtype)
    value = reduced(subject, scores, torch.full(SHAPE, extreme, dtype=dtype), counts)
    value.backward()
    assert value.isfinite()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()
    assert count or value == 0


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["float32", "float16"])
def test_finite_on_extreme_scores_of_both_signs(subject, dtype):
    scores, teacher, counts = inputs(subject, seed=2)
    scores = (80 * scores.sign()).to(dtype).requires_grad_()
    value = reduced(subject, scores, teacher.round().to(dtype), counts.to(dtype))
    value.backward()
    assert value.isfinite()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


@every
@given(seed=seeds)
@settings(max_examples=20)
def test_half_precision_is_within_a_hundredth_of_double(subject, seed):
    scores, teacher, counts = inputs(subject, seed=seed, shape=(2, 2, 24, 18))
    if subject.stored:  # near 1 the logit of a probability needs more digits than the store has: not the term's doing
        teacher = teacher.half().double()
    half = reduced(subject, scores.half(), teacher.half(), counts.half())
    assert half.dtype == torch.float32
    assert_close(half.double(), reduced(subject, scores, teacher, counts), atol=1e-2, rtol=1e-2)


@every
def test_a_large_mask_does_not_overflow_half_precision(subject):
    # 76,800 pixels: a sum in float16 ends at 65,504.
    scores = torch.full((1, 2, 240, 320), 8.0, dtype=torch.float16)
    value = reduced(subject, scores, torch.ones_like(scores), torch.ones_like(scores))
    assert value.isfinite()
