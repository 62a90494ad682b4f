"""How much each value counts."""

import torch
from torch.testing import assert_close

from segdistill.objectives import image_weights, joint_weights, pixel_weights


def test_by_hand():
    counts = torch.tensor([[[[1.0, 0.5, 0.0]], [[0.25, 1.0, 0.0]]], [[[0.0, 0.0, 0.0]], [[0.0, 0.0, 0.1]]]])
    assert_close(pixel_weights(counts), counts)
    assert_close(joint_weights(counts), torch.tensor([[[0.25, 0.5, 0.0]], [[0.0, 0.0, 0.0]]]))
    assert_close(image_weights(counts), torch.tensor([[1.0, 1.0], [0.0, 1.0]]))


def test_half_precision_can_be_summed():
    counts = torch.ones(1, 1, 240, 320, dtype=torch.float16)
    assert pixel_weights(counts).sum() == 76_800
