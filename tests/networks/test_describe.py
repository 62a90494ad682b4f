import pytest
import torch
from torch import nn

from segdistill.networks import describe_student
from segdistill.networks.describe import count_macs


@pytest.mark.parametrize(("side", "stride"), [(8, 1), (12, 2), (16, 4)])
def test_multiply_adds_of_a_convolution_by_hand(side, stride):
    # Every result pixel of every one of 5 planes adds up 3 planes × 3 × 3 products.
    convolution = nn.Conv2d(3, 5, 3, stride=stride, padding=1)
    assert count_macs(convolution, channels=3, side=side) == (side // stride) ** 2 * 5 * 3 * 9


def test_counting_leaves_the_network_as_it_was():
    network = nn.Sequential(nn.Conv2d(1, 2, 1))
    count_macs(network, channels=1, side=4)
    assert network.training
    assert network[0].weight.device.type == "cpu"


def test_the_tiny_student_by_hand():
    facts = describe_student("unet-tiny", channels=2, outputs=3)
    # 3 × 3 convolutions (weights, then biases) of the levels 8, 16, 24, 32 on the way down,
    down = 9 * (2 * 8 + 8 * 8 + 8 * 16 + 16 * 16 + 16 * 24 + 24 * 24 + 24 * 32 + 32 * 32) + 2 * (8 + 16 + 24 + 32)
    # those of 24, 16, 8 on the way up, and the head.
    up = 9 * (56 * 24 + 24 * 24 + 40 * 16 + 16 * 16 + 24 * 8 + 8 * 8) + 2 * (24 + 16 + 8)
    assert facts["encoder_parameters"] == down
    assert facts["parameters"] == down + up + 8 * 3 + 3
    # Per pixel, level by level; each level has a quarter of the pixels of the one above.
    finest = 9 * (2 * 8 + 8 * 8 + 24 * 8 + 8 * 8) + 8 * 3
    second = 9 * (8 * 16 + 16 * 16 + 40 * 16 + 16 * 16) / 4
    third = 9 * (16 * 24 + 24 * 24 + 56 * 24 + 24 * 24) / 16
    coarsest = 9 * (24 * 32 + 32 * 32) / 64
    assert facts["gigamacs_per_megapixel"] == pytest.approx((finest + second + third + coarsest) / 1e3)
    assert facts["stride"] == 8


@pytest.mark.parametrize(
    ("name", "encoder", "whole"),
    [  # encoders without classifier, in millions: METHODS counts 11.18, 27.5 and (features alone) 0.93
        ("unet-resnet18", 11.17, 14.32),
        ("unet-efficientnet-b0", 3.59, 5.83),
        ("unet-mobilenetv3", 0.93, 3.59),
        ("unet-swin-tiny", 27.51, 31.63),
    ],
)
def test_parameter_counts_of_the_four_students(name, encoder, whole):
    facts = describe_student(name, channels=1, outputs=3)
    assert facts["encoder_parameters"] / 1e6 == pytest.approx(encoder, abs=0.005)
    assert facts["parameters"] / 1e6 == pytest.approx(whole, abs=0.005)


def test_describing_does_not_move_the_callers_generator():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    describe_student("unet-tiny", channels=1, outputs=1)
    assert torch.equal(torch.rand(3), expected)
