"""Low-rank changes: at first nothing, then queries and values alone, and the same when merged."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close
from transformers.models.sam.modeling_sam import SamAttention, SamVisionAttention

from segdistill.teachers.sam_lora import LowRank, add_low_rank, merge_low_rank


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def attentions(model):
    encoder = [module for module in model.modules() if isinstance(module, SamVisionAttention)]
    decoder = [module for module in model.modules() if isinstance(module, SamAttention)]
    return encoder, decoder


def disturb(model, seed=0):
    """Change every low-rank matrix, as training would."""
    draw = generator(seed)
    with torch.no_grad():
        for module in model.modules():
            for matrix in [*module.down, *module.up] if isinstance(module, LowRank) else ():
                matrix.add_(0.1 * torch.randn(matrix.shape, generator=draw))


def answer(model, pixels):
    with torch.no_grad():
        return model(pixel_values=pixels, multimask_output=True).pred_masks


def test_by_hand():
    # W x = (3, 4, 5) for x = (1, 2); A x = 1 + 2 = 3; B = 2 on the last row alone: 5 + 2 * 3 = 11.
    layer = nn.Linear(2, 3, bias=False)
    layer.weight.data = torch.tensor([[1.0, 1.0], [0.0, 2.0], [1.0, 2.0]])
    change = LowRank(layer.requires_grad_(False), [slice(2, 3)], rank=1, generator=generator())
    change.down[0].data = torch.tensor([[1.0, 1.0]])
    change.up[0].data = torch.tensor([[2.0]])
    x = torch.tensor([[1.0, 2.0]])
    assert change(x).tolist() == [[3.0, 4.0, 11.0]]
    assert change.merged()(x).tolist() == [[3.0, 4.0, 11.0]]


@given(seed=st.integers(0, 2**31), rank=st.sampled_from([2, 4, 8, 16]))
def test_merged_and_unmerged_agree_and_other_rows_keep_every_bit(seed, rank):
    draw = generator(seed)
    layer = nn.Linear(6, 9).requires_grad_(False)
    for value in layer.parameters():
        value.copy_(torch.randn(value.shape, generator=draw))
    before = copy.deepcopy(layer)
    change = LowRank(layer, [slice(0, 3), slice(6, 9)], rank=rank, generator=draw)
    x = torch.randn(2, 5, 6, generator=draw)
    assert torch.equal(change(x), before(x))  # B is zero
    for up in change.up:
        up.data.normal_(generator=draw)
    changed = change(x)
    assert torch.equal(changed[..., 3:6], before(x)[..., 3:6])
    merged = change.merged()
    assert_close(merged(x), changed, rtol=1e-5, atol=1e-5)
    assert torch.equal(merged.weight[3:6], before.weight[3:6])
    assert torch.equal(merged.bias, before.bias)


def test_at_first_a_sam_says_what_it_said_to_the_bit(sam):
    pixels = torch.randn(2, 3, 64, 64, generator=generator())
    learning = copy.deepcopy(sam)
    add_low_rank(learning, 4, seed=0)
    assert torch.equal(answer(learning, pixels), answer(sam, pixels))


def test_queries_and_values_of_every_attention_learn_and_nothing_else(sam):
    learning = copy.deepcopy(sam)
    add_low_rank(learning, 2, seed=0)
    encoder, decoder = attentions(learning)
    assert (len(encoder), len(decoder)) == (2, 7)  # two blocks; two decoder layers of three, and the last one
    assert all(isinstance(each.qkv, LowRank) and not isinstance(each.proj, LowRank) for each in encoder)
    for each in decoder:
        kinds = [type(getattr(each, name)) for name in ("q_proj", "k_proj", "v_proj", "out_proj")]
        assert kinds == [LowRank, nn.Linear, LowRank, nn.Linear]
    learns = [name for name, value in learning.named_parameters() if value.requires_grad]
    assert len(learns) == 2 * 4 + 7 * 2 * 2
    assert all(".down." in name or ".up." in name for name in learns)


@pytest.mark.parametrize("rank", [2, 4, 8, 16])
def test_keys_are_untouched_by_training_and_merging(sam, rank):
    learning = copy.deepcopy(sam)
    add_low_rank(learning, rank, seed=1)
    optimiser = torch.optim.AdamW([value for value in learning.parameters() if value.requires_grad], lr=0.05)
    pixels = torch.randn(1, 3, 64, 64, generator=generator())
    for _ in range(3):
        optimiser.zero_grad()
        learning(pixel_values=pixels, multimask_output=True).pred_masks.square().mean().backward()
        optimiser.step()
    merge_low_rank(learning)
    for (new, old), kind in zip(
        zip(attentions(learning), attentions(sam), strict=True), ("encoder", "decoder"), strict=True
    ):
        for one, other in zip(new, old, strict=True):
            if kind == "encoder":
                width = other.qkv.in_features
                query, key, value = (
                    torch.equal(one.qkv.weight[rows], other.qkv.weight[rows])
                    for rows in (slice(0, width), slice(width, 2 * width), slice(2 * width, None))
                )
                assert torch.equal(one.qkv.bias, other.qkv.bias)
            else:
                query, key, value = (
                    torch.equal(getattr(one, name).weight, getattr(other, name).weight)
                    for name in ("q_proj", "k_proj", "v_proj")
                )
            assert key
            assert not query
            assert not value


def test_a_merged_sam_says_what_the_unmerged_one_said(sam):
    pixels = torch.randn(1, 3, 64, 64, generator=generator())
    learning = copy.deepcopy(sam)
    add_low_rank(learning, 4, seed=0)
    disturb(learning)
    unmerged = answer(learning, pixels)
    merge_low_rank(learning)
    merged = answer(learning, pixels)
    scale = float(unmerged.abs().max())
    assert float((unmerged - answer(sam, pixels)).abs().max()) > 0.01 * scale  # there is something to merge
    assert float((merged - unmerged).abs().max()) < 1e-5 * scale
    assert [name for name, _ in learning.named_parameters()] == [name for name, _ in sam.named_parameters()]


def test_equal_seeds_draw_equal_matrices(sam):
    one, other, third = (copy.deepcopy(sam) for _ in range(3))
    for model, seed in ((one, 5), (other, 5), (third, 6)):
        add_low_rank(model, 2, seed=seed)
    down = [model.vision_encoder.layers[1].attn.qkv.down[1] for model in (one, other, third)]
    assert torch.equal(down[0], down[1])
    assert not torch.equal(down[0], down[2])
