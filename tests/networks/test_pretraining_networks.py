"""What stands beside a student while it is pre-trained: hidden patches, a follower, linear maps."""

import pytest
import torch
from torch.testing import assert_close

from segdistill.engine import load_values, trained_values
from segdistill.errors import ConfigError
from segdistill.networks import build_student, token_encoder
from segdistill.networks.masked import MaskedAutoencoder
from segdistill.networks.matched import MatchedEncoder, MatchedStudent
from segdistill.networks.momentum import WithFollower, momentum_at
from segdistill.networks.vit import HEADS, VitEncoder
from segdistill.objectives import normalised_patch_mse


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return VitEncoder(1, HEADS)


def test_what_is_hidden_does_not_matter_and_what_is_shown_does(encoder):
    # 6 patches, a third shown: patches 4 and 1.
    module = MaskedAutoencoder(encoder, channels=1, hidden=2 / 3).eval()
    assert module.seen(6) == 2
    order = torch.tensor([[4, 1, 0, 5, 2, 3]])
    image = torch.rand(1, 1, 32, 48)
    hidden, shown = image.clone(), image.clone()
    hidden[..., :16, :16] += 1  # patch 0
    shown[..., 16:, 16:32] += 1  # patch 4
    with torch.inference_mode():
        before = module(image, order)
        assert before.shape == (1, 6, 256)
        assert_close(module(hidden, order), before)
        assert (module(shown, order) - before).abs().max() > 1e-4


def test_the_order_in_which_the_shown_and_the_hidden_are_listed_does_not_matter(encoder):
    module = MaskedAutoencoder(encoder, channels=1, hidden=0.5).eval()
    image = torch.rand(1, 1, 32, 48)
    with torch.inference_mode():
        one, other = (module(image, torch.tensor([o])) for o in ([4, 1, 0, 5, 2, 3], [0, 4, 1, 3, 5, 2]))
    assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_an_image_can_be_learnt_by_heart(encoder):
    module = MaskedAutoencoder(encoder, channels=1, hidden=0.5)
    image, order = torch.rand(1, 1, 32, 48), torch.tensor([[4, 1, 0, 5, 2, 3]])
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-3)
    losses = []
    for _ in range(40):
        loss = normalised_patch_mse(module(image, order), image, 16)[:, [0, 5, 2, 3]].mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] > 0.9
    assert losses[-1] < 0.3


def test_at_least_one_patch_is_shown(encoder):
    assert MaskedAutoencoder(encoder, channels=1, hidden=0.99).seen(4) == 1


def test_the_follower_moves_once_per_step_by_its_momentum(encoder):
    module = WithFollower(encoder, steps=10, momentum=0.9)
    name = "encoder.model.norm.bias"
    follower = module.get_buffer("follower_" + name.replace(".", "_"))
    with torch.no_grad():
        module.branch.get_parameter(name).add_(1.0)
    module.follow(0)  # before the first step it is the branch itself
    assert follower.abs().max() == 0
    kept = momentum_at(1, steps=10, first=0.9)
    module.follow(1)
    module.follow(1)  # the step's second micro-batch
    assert_close(follower, torch.full_like(follower, 1 - kept))


def test_keys_are_the_follower_s_and_the_patch_embedding_is_frozen(encoder):
    module = WithFollower(encoder, steps=10, momentum=0.9)
    image = torch.rand(2, 1, 32, 48)
    before = module.key(image)
    assert_close(before, module.branch(image).detach())
    with torch.no_grad():
        module.branch.project[-1].bias.add_(1.0)
    assert torch.equal(module.key(image), before)
    assert not before.requires_grad
    names = set(trained_values(module))
    assert not any("patch_embed" in name for name in names)
    assert "followed" in names


def test_what_a_checkpoint_keeps_brings_the_follower_back(encoder):
    one = WithFollower(encoder, steps=10, momentum=0.5)
    with torch.no_grad():
        for parameter in one.branch.project.parameters():
            parameter.add_(0.1)
    one.follow(3)
    kept = {name: value.clone() for name, value in trained_values(one).items()}
    torch.manual_seed(0)
    other = WithFollower(VitEncoder(1, HEADS), steps=10, momentum=0.5)
    load_values(other, kept, source="a checkpoint")
    image = torch.rand(1, 1, 32, 32)
    assert torch.equal(other.key(image), one.key(image))
    assert int(other.followed) == 3


@pytest.mark.parametrize("name", ["vit-tiny", "unet-tiny", "unet-mobilenetv3"])
def test_hidden_layers_come_in_the_teacher_s_widths_beside_the_scores(name):
    torch.manual_seed(0)
    student = build_student(name, channels=2, outputs=3)
    module = MatchedStudent(student, [5, 6, 7]).eval()
    image = torch.rand(1, 2, 64, 96)
    with torch.inference_mode():
        scores, grids = module(image, (4, 6))
        assert torch.equal(scores, student.eval()(image))
    assert [tuple(grid.shape) for grid in grids] == [(1, 5, 4, 6), (1, 6, 4, 6), (1, 7, 4, 6)]
    assert [each.in_channels for each in module.project][-1] == token_encoder(student).width
    tokens = MatchedEncoder(token_encoder(student), 9).eval()(image, (2, 3))
    assert tokens.shape == (1, 9, 2, 3)


def test_more_layers_than_the_student_has_are_refused():
    student = build_student("unet-tiny", channels=1, outputs=1)
    with pytest.raises(ConfigError, match="has 4 hidden layers, but 5 of the teacher's"):
        MatchedStudent(student, [3] * 5)
    with pytest.raises(ConfigError, match="no encoder whose layers"):
        MatchedStudent(WithChannels(), [3])


class WithChannels(torch.nn.Conv2d):
    """A plugin's student without an encoder."""

    channels = 1

    def __init__(self):
        super().__init__(1, 1, 1)
