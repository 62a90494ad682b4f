"""A SAM that learns: what of it, on whose grid, and with how many masks."""

import copy

import pytest
import torch
from torch.testing import assert_close

from segdistill.engine import trained_values
from segdistill.teachers.sam import encode
from segdistill.teachers.sam_learner import SamLearner, checkpoint_blocks, merge, new_learner
from segdistill.teachers.sam_masks import with_masks

HOWS = ["probe", "lora", "full"]


def learner_of(sam, how, outputs=2, rank=2):
    return new_learner(copy.deepcopy(sam), how, outputs=outputs, rank=rank, seed=0)


def images(count=2):
    return torch.rand(count, 3, 40, 56, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("outputs", [1, 2, 5])
def test_scores_are_on_the_images_grid_and_are_what_the_teacher_says(sam, how, outputs, picture):
    learner = learner_of(sam, how, outputs)
    with torch.no_grad():
        scores = learner(torch.from_numpy(picture)[None])
        assert scores.shape == (1, outputs, 40, 56)
        assert_close(torch.sigmoid(scores[0]), learner.ask(encode(learner.model, picture)))


@pytest.mark.parametrize("how", HOWS)
def test_an_images_scores_do_not_depend_on_its_batch(sam, how):
    learner = learner_of(sam, how)
    with torch.no_grad():
        assert_close(learner(images())[1:], learner(images()[1:]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("how", ["lora", "full"])
@pytest.mark.parametrize("outputs", [1, 3, 5])
def test_at_first_it_says_what_the_frozen_one_says_to_the_bit(sam, how, outputs):
    frozen = SamLearner(with_masks(copy.deepcopy(sam), outputs), outputs, head=None)
    with torch.no_grad():
        assert torch.equal(learner_of(sam, how, outputs)(images()), frozen(images()))


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("outputs", [1, 2, 5])
def test_everything_that_learns_gets_a_gradient_and_nothing_else_does(sam, how, outputs):
    learner = learner_of(sam, how, outputs)
    if how == "lora":
        for name, value in learner.named_parameters():
            if ".up." in name:  # or A would get none yet
                value.data.fill_(0.01)
    learner(images()).square().mean().backward()
    silent = [n for n, p in learner.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert silent == []
    assert all(p.grad is None for p in learner.parameters() if not p.requires_grad)


def test_a_probe_leaves_the_sam_alone_and_lora_its_encoder_but_for_the_changes(sam):
    assert all(name.startswith("head.") for name in trained_values(learner_of(sam, "probe")))
    encoder = [name for name in trained_values(learner_of(sam, "lora")) if "vision_encoder" in name]
    assert encoder
    assert all(".attn.qkv." in name for name in encoder)


def test_lora_learns_few_weights_and_more_with_a_larger_rank(sam):
    sizes = [sum(v.numel() for v in trained_values(learner_of(sam, "lora", rank=rank)).values()) for rank in (2, 4, 8)]
    assert sizes[2] - sizes[1] == 2 * (sizes[1] - sizes[0])
    assert sizes[0] < 0.5 * sum(v.numel() for v in trained_values(learner_of(sam, "full")).values())


@pytest.mark.parametrize("how", ["lora", "full"])
def test_computing_activations_again_changes_no_gradient(sam, how):
    gradients = []
    for again in (False, True):
        learner = learner_of(sam, how).train()
        if again:
            checkpoint_blocks(learner.model)
        learner(images()).square().mean().backward()
        gradients.append([p.grad for p in learner.parameters() if p.requires_grad])
    for one, other in zip(*gradients, strict=True):
        assert_close(one, other)


def test_merged_it_is_a_plain_sam_and_frozen(sam):
    learner = learner_of(sam, "lora")
    merge(learner)
    assert list(learner.model.state_dict()) == list(sam.state_dict())
    assert not any(value.requires_grad for value in learner.parameters())


def test_half_precision_keeps_the_scores(sam):
    learner = learner_of(sam, "lora")
    with torch.no_grad():
        plain = learner(images())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = learner(images())
    assert float((half - plain).abs().max()) < 0.1 * float(plain.abs().max())


def test_further_masks_begin_as_copies(sam):
    wide = with_masks(copy.deepcopy(sam), 5)
    pixels = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        masks = wide(pixel_values=pixels, multimask_output=True).pred_masks[0, 0]
    assert len(masks) == 5
    assert_close(masks[3:], masks[:2])  # the tokens of 4 and 5 are those of 1 and 2
    assert not torch.allclose(masks[0], masks[1])
    assert with_masks(sam, 3) is sam
