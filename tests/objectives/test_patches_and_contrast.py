"""Hidden patches and images told apart: by hand, and what must not change them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from segdistill.errors import ConfigError, ShapeError
from segdistill.objectives import contrastive, hidden_mse, normalised_patch_mse
from segdistill.objectives.patches import patches_of


def test_a_patch_is_compared_after_its_pixels_have_mean_0_and_variance_1():
    # Patch 1 3 5 7: mean 4, variance ((9 + 1 + 1 + 9) / 3) = 20/3; normalised (-3, -1, 1, 3) / √(20/3).
    # Predicted zeros: mean of squares = (9 + 1 + 1 + 9) / 4 / (20/3) = 5 · 3/20 = 3/4.
    image = torch.tensor([1.0, 3.0, 5.0, 7.0]).reshape(1, 1, 2, 2)
    assert normalised_patch_mse(torch.zeros(1, 1, 4), image, 2).item() == pytest.approx(0.75, rel=1e-5)
    wanted = torch.tensor([-3.0, -1.0, 1.0, 3.0]) / math.sqrt(20 / 3)
    assert normalised_patch_mse(wanted.reshape(1, 1, 4), image, 2).item() == pytest.approx(0, abs=1e-6)


def test_a_flat_patch_is_finite_and_asks_for_zeros():
    image = torch.full((1, 2, 2, 4), 0.5)
    assert normalised_patch_mse(torch.zeros(1, 2, 8), image, 2).tolist() == [[0, 0]]
    assert_close(normalised_patch_mse(torch.full((1, 2, 8), 2.0), image, 2), torch.full((1, 2), 4.0))


@given(gain=st.floats(0.5, 20), offset=st.floats(-3, 3))
def test_brightness_and_contrast_of_an_image_do_not_matter(gain, offset):
    image = torch.rand(2, 1, 4, 6, generator=torch.Generator().manual_seed(0)).double()
    predicted = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(1)).double()
    one, other = (normalised_patch_mse(predicted, each, 2) for each in (image, gain * image + offset))
    assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_patches_go_row_by_row_and_channels_first():
    image = torch.arange(24.0).reshape(1, 2, 2, 6)
    assert patches_of(image, 2)[0, 1].tolist() == [2, 3, 8, 9, 14, 15, 20, 21]
    with pytest.raises(ShapeError, match="no whole patches of 4 px"):
        patches_of(image, 4)
    with pytest.raises(ShapeError, match="Predicted are"):
        normalised_patch_mse(torch.zeros(1, 3, 7), image, 2)


def test_images_are_told_apart_by_hand():
    # Query along the first key, two keys at right angles, temperature ½: logits 2 and 0.
    # So −ln(e² / (e² + 1)), times 2 · ½.
    # Its own key being the second: −ln(1 / (e² + 1)).
    query, keys = torch.tensor([[3.0, 0.0]]), torch.tensor([[5.0, 0.0], [0.0, 0.1]])
    right = contrastive(query, keys, torch.tensor([0]), temperature=0.5).item()
    wrong = contrastive(query, keys, torch.tensor([1]), temperature=0.5).item()
    assert right == pytest.approx(math.log(1 + math.exp(-2)))
    assert wrong == pytest.approx(math.log(1 + math.exp(2)))


def test_gradients_reach_queries_only_and_nothing_can_be_told_from_one_key():
    query, keys = torch.randn(2, 3, requires_grad=True), torch.randn(2, 3, requires_grad=True)
    contrastive(query, keys, torch.tensor([0, 1])).sum().backward()
    assert keys.grad is None
    assert query.grad.abs().sum() > 0
    with pytest.raises(ConfigError, match="there is one in a step"):
        contrastive(query, keys[:1], torch.tensor([0, 0]))
    with pytest.raises(ConfigError, match=r"temperature is 0\.0"):
        contrastive(query, keys, torch.tensor([0, 1]), temperature=0.0)
    with pytest.raises(ShapeError, match="3 wide, but keys 4"):
        contrastive(query, torch.zeros(2, 4), torch.tensor([0, 1]))


@given(cut=st.integers(0, 4))
def test_a_query_s_value_does_not_depend_on_which_others_are_asked_beside_it(cut):
    draw = torch.Generator().manual_seed(3)
    queries, keys = (torch.randn(4, 5, generator=draw) for _ in range(2))
    places = torch.arange(4)
    parts = [contrastive(queries[part], keys, places[part]) for part in (slice(None, cut), slice(cut, None))]
    assert_close(torch.cat(parts), contrastive(queries, keys, places))


def test_hidden_layers_are_compared_after_their_layer_norms_by_hand():
    # Width 2: a token (a, b) with a > b becomes (1, −1), so equal order gives 0 and opposite order 2² = 4.
    student = torch.tensor([[5.0, 1.0], [0.0, 9.0]]).reshape(2, 2, 1, 1)
    teacher = torch.tensor([[0.3, 0.1], [7.0, 2.0]]).reshape(2, 2, 1, 1)
    assert_close(hidden_mse(student, teacher).flatten(), torch.tensor([0.0, 4.0]), rtol=1e-2, atol=1e-2)
