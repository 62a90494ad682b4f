"""Pixel-wise objectives by hand, and why soft Dice squares its sums."""

import math

import pytest
import torch
from torch.testing import assert_close

from segdistill.errors import ShapeError
from segdistill.objectives import binary_cross_entropy, probability_mse, soft_dice


def test_probability_mse_by_hand():
    # sigmoid(ln 3) = 3/4: (3/4 - 1/4)^2 = 1/4; sigmoid(0) = 1/2: (1/2 - 1)^2 = 1/4.
    scores = torch.tensor([[[[math.log(3), 0.0]]]])
    target = torch.tensor([[[[0.25, 1.0]]]])
    assert_close(probability_mse(scores, target), torch.full((1, 1, 1, 2), 0.25))


def test_binary_cross_entropy_by_hand():
    # p = 3/4 against a label of 1: -ln(3/4); against 0.5: -(ln(3/4) + ln(1/4)) / 2.
    scores = torch.full((1, 1, 1, 2), math.log(3))
    target = torch.tensor([[[[1.0, 0.5]]]])
    expected = [-math.log(0.75), -(math.log(0.75) + math.log(0.25)) / 2]
    assert_close(binary_cross_entropy(scores, target).flatten(), torch.tensor(expected))


def test_soft_dice_by_hand():
    # p = (3/4, 1/2), y = (1, 0), smoothing 1: 1 - (2 * 3/4 + 1) / (9/16 + 1/4 + 1 + 1) = 1 - 40/45.
    scores = torch.tensor([[[[math.log(3), 0.0]]]])
    target = torch.tensor([[[[1.0, 0.0]]]])
    assert_close(soft_dice(scores, target, torch.ones_like(scores)), torch.tensor([[1 - 40 / 45]]))


def test_soft_dice_leaves_out_what_does_not_count():
    # Only the first pixel counts: p = y = 1/2, so nothing is wrong.
    scores = torch.tensor([[[[0.0, 9.0, -9.0]]]])
    target = torch.tensor([[[[0.5, 0.0, 1.0]]]])
    counts = torch.tensor([[[[1.0, 0.0, 0.0]]]])
    assert soft_dice(scores, target, counts).item() == pytest.approx(0, abs=1e-6)
    assert soft_dice(scores, target, torch.ones_like(counts)).item() > 0.5


def linear_dice(probability: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return 1 - (2 * (probability * target).sum() + 1) / (probability.sum() + target.sum() + 1)


def test_the_best_answer_to_a_soft_target_is_that_target():
    # A target of 0.7 everywhere. With linear sums the best answer would be 1: certainty nobody taught.
    grid = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    target = torch.full((1, 1, 20, 30), 0.7, dtype=torch.float64)
    ones = torch.ones_like(target)
    squared = torch.stack([soft_dice(torch.logit(p) * ones, target, ones).squeeze() for p in grid])
    linear = torch.stack([linear_dice(p * ones, target) for p in grid])
    assert grid[squared.argmin()].item() == pytest.approx(0.7)
    assert grid[linear.argmin()].item() == pytest.approx(0.99)


def test_an_empty_answer_to_an_empty_label_costs_nothing():
    empty = torch.zeros(1, 1, 5, 7)
    assert soft_dice(empty - 80, empty, empty + 1).item() == 0
    assert soft_dice(empty + 80, empty, empty + 1).item() == pytest.approx(35 / 36)


@pytest.mark.parametrize("objective", [probability_mse, binary_cross_entropy])
def test_grids_must_agree(objective):
    with pytest.raises(ShapeError, match=r"\(1, 1, 4, 5\) and \(1, 1, 5, 4\)"):
        objective(torch.zeros(1, 1, 4, 5), torch.zeros(1, 1, 5, 4))


def test_counts_must_lie_on_the_grid():
    scores = torch.zeros(1, 2, 4, 5)
    with pytest.raises(ShapeError, match="counts"):
        soft_dice(scores, scores, torch.zeros(1, 2, 5, 4))
