"""Divergences by hand, their limits, and what each cannot see."""

import math

import pytest
import torch
from torch.testing import assert_close

from segdistill.errors import ConfigError, ShapeError
from segdistill.objectives import binary_kl, channel_kl, dist_intra, pixel_kl, standardised_kl


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_pixel_kl_by_hand():
    # One pixel, two classes: teacher 3:1, student 1:1, so KL = 3/4 ln(3/2) + 1/4 ln(1/2).
    teacher = torch.tensor([3.0, 1.0]).log().reshape(1, 2, 1, 1)
    student = torch.zeros(1, 2, 1, 1)
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert pixel_kl(student, teacher, temperature=1.0).item() == pytest.approx(expected)


def test_binary_kl_by_hand():
    # The same pixel as one yes or no: logit ln 3.
    teacher, student = torch.full((1, 1, 1, 1), math.log(3)), torch.zeros(1, 1, 1, 1)
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert binary_kl(student, teacher, temperature=1.0).item() == pytest.approx(expected)


def test_binary_kl_is_pixel_kl_of_yes_and_no():
    student, teacher = randn(2, 2, 1, 4, 5)
    both = [torch.cat([scores, torch.zeros_like(scores)], dim=1) for scores in (student, teacher)]
    assert_close(binary_kl(student, teacher, temperature=3.0)[:, 0], pixel_kl(*both, temperature=3.0))


def test_channel_kl_by_hand():
    # One channel, two pixels: teacher 3:1 over the pixels, student 1:1.
    teacher = torch.tensor([3.0, 1.0]).log().reshape(1, 1, 1, 2)
    student = torch.zeros(1, 1, 1, 2)
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert channel_kl(student, teacher, torch.ones(1, 1, 1, 2), temperature=1.0).item() == pytest.approx(expected)


@pytest.mark.parametrize("divergence", [pixel_kl, binary_kl])
def test_at_high_temperature(divergence):
    # temperature**2 * KL tends to half the variance over classes (pixel_kl), or an eighth of the squared
    # difference (binary_kl: logits (d, 0) have variance d**2 / 4). Without the T**2 both would be 0.
    student, teacher = randn(2, 2, 3, 4, 5)
    difference = teacher - student
    limit = difference.var(dim=1, correction=0) / 2 if divergence is pixel_kl else difference**2 / 8
    assert_close(divergence(student, teacher, temperature=1e4), limit, rtol=1e-2, atol=1e-6)


def test_channel_kl_at_high_temperature():
    # Half the variance over pixels of the difference.
    student, teacher = randn(2, 2, 3, 4, 5)
    limit = (teacher - student).flatten(2).var(dim=2, correction=0) / 2
    found = channel_kl(student, teacher, torch.ones_like(student), temperature=1e4)
    assert_close(found, limit, rtol=1e-2, atol=1e-6)


def test_channel_kl_is_blind_to_a_constant():
    # The reason for check_anchored.
    student, teacher = randn(2, 2, 3, 4, 5)
    ones = torch.ones_like(student)
    assert_close(channel_kl(student + 3, teacher, ones), channel_kl(student, teacher, ones))


def test_channel_kl_leaves_out_what_does_not_count():
    student, teacher = randn(2, 2, 3, 4, 5)
    counts = torch.ones_like(student)
    counts[..., 3:] = 0
    cut = channel_kl(student[..., :3], teacher[..., :3], counts[..., :3])
    assert_close(channel_kl(student, teacher, counts), cut)


def test_standardised_kl_is_blind_to_shift_and_scale_and_little_else():
    student, teacher = randn(2, 2, 3, 20, 30)
    ones = torch.ones_like(student)
    assert_close(
        standardised_kl(5 * student + 2, teacher, ones), standardised_kl(student, teacher, ones), atol=1e-4, rtol=1e-3
    )
    assert standardised_kl(student, teacher, ones).mean() > 0.1


def test_standardised_kl_of_two_classes_knows_more_than_a_sign():
    # Standardised over classes, two logits are always ±0.707: a teacher sure by 0.1 or by 10 would be the same.
    student = torch.zeros(1, 2, 1, 4, dtype=torch.float64)
    teacher = torch.tensor([[[[0.1, 10.0, -0.1, -10.0]], [[0.0, 0.0, 0.0, 0.0]]]], dtype=torch.float64)
    found = standardised_kl(student, teacher, torch.ones_like(student))[0, 0]
    assert found[1] > 50 * found[0]


def test_standardised_kl_measures_on_pixels_that_count():
    student, teacher = randn(2, 1, 2, 4, 5)
    counts = torch.ones_like(student)
    counts[..., 3:] = 0
    cut = standardised_kl(student[..., :3], teacher[..., :3], counts[..., :3])
    assert_close(standardised_kl(student, teacher, counts)[..., :3], cut)


def test_dist_intra_is_one_minus_pearson():
    student, target = randn(1, 1, 20, 30), randn(1, 1, 20, 30, seed=1).sigmoid()
    both = torch.stack([student.sigmoid().flatten(), target.flatten()])
    expected = 1 - torch.corrcoef(both)[0, 1]
    found = dist_intra(student, target, torch.ones_like(student)).squeeze()
    assert_close(found, expected, atol=0.01, rtol=0)  # the noise term shrinks correlations a little


def test_dist_intra_against_its_opposite():
    scores = 9 * randn(1, 1, 20, 30)
    assert dist_intra(scores, (-scores).sigmoid(), torch.ones_like(scores)).item() == pytest.approx(2, abs=0.01)


def test_dist_intra_is_nearly_blind_to_the_level():
    # The reason for check_anchored: half as sure at every pixel, and hardly a difference.
    target = randn(1, 1, 20, 30).sigmoid()
    timid = torch.logit(0.1 + 0.3 * target)
    assert dist_intra(timid, target, torch.ones_like(target)).item() < 0.02


def test_a_flat_teacher_asks_for_a_flat_student():
    target = torch.zeros(1, 1, 4, 5)
    scores = torch.randn(1, 1, 4, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    before = dist_intra(scores, target, torch.ones_like(target))
    (step,) = torch.autograd.grad(before.sum(), scores)
    assert before.item() > 0.5
    assert (scores - step).sigmoid().var() < scores.sigmoid().var()


@pytest.mark.parametrize("divergence", [pixel_kl, binary_kl])
def test_grids_must_agree(divergence):
    with pytest.raises(ShapeError, match=r"\(1, 2, 4, 5\) and \(1, 2, 5, 4\)"):
        divergence(torch.zeros(1, 2, 4, 5), torch.zeros(1, 2, 5, 4))


@pytest.mark.parametrize("divergence", [channel_kl, standardised_kl, dist_intra])
def test_counts_must_lie_on_the_grid(divergence):
    scores = torch.zeros(1, 2, 4, 5)
    with pytest.raises(ShapeError, match="counts"):
        divergence(scores, scores, torch.zeros(1, 2, 5, 4))


def test_one_class_is_not_exclusive():
    scores = torch.zeros(1, 1, 4, 5)
    with pytest.raises(ShapeError, match="binary_kl"):
        pixel_kl(scores, scores)
    with pytest.raises(ShapeError, match="binary_kl"):
        standardised_kl(scores, scores, scores)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_must_be_positive(temperature):
    scores = torch.zeros(1, 2, 4, 5)
    with pytest.raises(ConfigError, match="temperature"):
        binary_kl(scores, scores, temperature=temperature)
    with pytest.raises(ConfigError, match="temperature"):
        pixel_kl(scores, scores, temperature=temperature)
    with pytest.raises(ConfigError, match="temperature"):
        channel_kl(scores, scores, scores, temperature=temperature)
