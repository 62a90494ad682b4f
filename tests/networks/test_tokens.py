"""Encoders by themselves: their grid, their weights, and how much smaller they are."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from segdistill.errors import ConfigError, ShapeError, UnknownName
from segdistill.networks import build_student, build_token_encoder, times_smaller, token_encoder
from segdistill.networks.describe import count_parameters

RAD_DINO = 86_580_480
"""Weights of a DINOv2 ViT-B/14 at 518 px."""

# Student: width of its last grid, weights of its encoder.
PUBLISHED = {
    "unet-mobilenetv3": (576, 927_008),
    "unet-mobilenetv4_conv_small": (960, 1_261_664),
    "unet-efficientvit_b0": (128, 682_608),
    "unet-efficientvit_b1": (256, 4_643_936),
    "unet-repvit_m0_9": (384, 4_717_792),
    "unet-tiny_vit_5m_224": (320, 5_071_124),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_light_encoders_give_their_last_grid(name):
    width, weights = PUBLISHED[name]
    encoder = build_token_encoder(name, channels=3).eval()
    assert (encoder.width, encoder.stride) == (width, 32)
    with torch.inference_mode():
        assert encoder(torch.rand(1, 3, 70, 97)).shape == (1, width, 3, 4)
    assert count_parameters(encoder) == weights


def test_the_ratio_to_a_teacher():
    # 86.58 M / 0.68 M.
    assert times_smaller(build_token_encoder("unet-efficientvit_b0", channels=3), RAD_DINO) == pytest.approx(
        126.8, abs=0.1
    )


def test_it_shares_the_students_weights():
    torch.manual_seed(0)
    student = build_student("unet-tiny", channels=2, outputs=3)
    encoder = token_encoder(student)
    image = torch.rand(1, 2, 16, 24)
    before = student(image)
    with torch.no_grad():
        for weight in encoder.parameters():
            weight.mul_(1.5)
    assert not torch.allclose(student(image), before)
    other = build_student("unet-tiny", channels=2, outputs=5)
    other.encoder.load_state_dict(encoder.encoder.state_dict())
    assert_close(token_encoder(other)(image), encoder(image))


def test_a_multiple_of_the_stride_is_not_padded():
    encoder = build_token_encoder("unet-tiny", channels=1)
    image = torch.rand(2, 1, 16, 24)
    assert_close(encoder(image), encoder.encoder(image)[-1])
    assert encoder(image).shape == (2, 32, 2, 3)


def test_building_moves_the_generator_by_the_student_alone():
    torch.manual_seed(0)
    build_student("unet-tiny", channels=1, outputs=1)
    after = torch.rand(1)
    torch.manual_seed(0)
    build_token_encoder("unet-tiny", channels=1)
    assert torch.equal(torch.rand(1), after)


def test_other_images_are_refused():
    encoder = build_token_encoder("unet-tiny", channels=2)
    for shape in ((1, 3, 8, 9), (1, 2, 0, 9)):
        with pytest.raises(ShapeError, match=r"2 channels, but got"):
            encoder(torch.zeros(shape))


def test_other_students_are_refused():
    with pytest.raises(ConfigError, match="Conv2d has no encoder"):
        token_encoder(nn.Conv2d(1, 1, 3))
    with pytest.raises(UnknownName, match="unet-repvit_m0_9"):
        build_token_encoder("unet-repvit_m0.9", channels=1)
