import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.sam.image_processing_sam import SamImageProcessor

from segdistill.teachers.sam_image import from_square, place, to_square, to_square_xy

sides = st.integers(1, 90)


def processor(side):
    pad = {"height": side, "width": side}
    return SamImageProcessor(size={"longest_edge": side}, pad_size=pad, do_rescale=False)


@pytest.mark.parametrize("shape", [(40, 56), (130, 71), (64, 64)])
def test_input_is_what_transformers_makes_of_it(shape):
    image = np.random.default_rng(0).random((3, *shape), dtype=np.float32)
    theirs = processor(64)(torch.from_numpy(image), return_tensors="pt", input_data_format="channels_first")
    ours = to_square(torch.from_numpy(image), place(shape, 64))
    assert torch.allclose(ours, theirs["pixel_values"], atol=1e-5)


@pytest.mark.parametrize("shape", [(40, 56), (130, 71)])
def test_masks_come_back_as_transformers_brings_them_back(shape):
    scores = torch.randn(2, 16, 16, generator=torch.Generator().manual_seed(0))
    square = place(shape, 64)
    theirs = processor(64).post_process_masks([scores[None]], [shape], [square.scaled], binarize=False)[0][0]
    assert torch.allclose(from_square(scores, square), theirs, atol=1e-6)


@given(sides, sides)
def test_an_image_fills_the_longer_side_and_keeps_its_shape(height, width):
    square = place((height, width), 64)
    assert max(square.scaled) == 64
    for scaled, length in zip(square.scaled, (height, width), strict=True):
        assert scaled == 1 or abs(scaled - length * 64 / max(height, width)) <= 0.5


def test_padding_is_zero_after_standardising():
    # White is (1 - 0.485) / 0.229 in red; the pad below and to the right is exactly 0.
    pixels = to_square(torch.ones(3, 8, 16), place((8, 16), 32))
    assert pixels[0, 0, 3, 3].item() == pytest.approx((1 - 0.485) / 0.229)
    assert pixels[0, :, 16:].abs().max() == 0


def test_points_turn_from_yx_in_pixels_to_xy_in_the_square():
    # 10 x 20 pixels in a square of 40: everything doubles, and x comes first.
    points = to_square_xy(torch.tensor([[3.0, 7.0]]), place((10, 20), 40))
    assert points.tolist() == [[14.0, 6.0]]
