"""Between a student's tokens and a teacher's: by hand, token by token, dropped afterwards."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from segdistill.errors import ConfigError, ShapeError
from segdistill.networks import MaskedGenerator, Projection, WithProjections, resample_grid


def test_a_projection_treats_each_token_by_itself():
    torch.manual_seed(0)
    project, tokens = Projection(6, 10), torch.randn(2, 6, 3, 5)
    whole = project(tokens)
    assert whole.shape == (2, 10, 3, 5)
    assert_close(project(tokens[1:, :, 2:, 4:]), whole[1:, :, 2:, 4:])


def test_a_projection_by_hand():
    project = Projection(1, 1, hidden=2)
    first, last = project.layers[0], project.layers[3]
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        first.bias.zero_()
        last.weight.fill_(1.0)
        last.bias.fill_(0.5)
    # 3 becomes (3, -3), normalised (1, -1), GELU 0.8413 and -0.1587: 0.6827 + 0.5.
    assert project(torch.full((1, 1, 1, 1), 3.0)).item() == pytest.approx(1.1827, abs=1e-4)


def test_every_teacher_gets_its_width_under_its_own_name():
    student = WithProjections(nn.Conv2d(2, 6, 4, stride=4), 6, {"sam:a/b.safetensors": 10, "hf:org/model-v1.5": 7})
    found = student(torch.rand(1, 2, 12, 20))
    assert {name: tuple(each.shape) for name, each in found.items()} == {
        "sam:a/b.safetensors": (1, 10, 3, 5),
        "hf:org/model-v1.5": (1, 7, 3, 5),
    }
    sum(each.square().mean() for each in found.values()).backward()
    assert all(weight.grad is not None for weight in student.parameters())


def test_what_stays_is_the_encoder():
    encoder = nn.Conv2d(2, 6, 4, stride=4)
    student = WithProjections(encoder, 6, {"a": 10})
    assert student.encoder is encoder
    kept = {name for name in student.state_dict() if not name.startswith("projections.")}
    assert kept == {"encoder.weight", "encoder.bias"}


def test_a_student_without_teachers_is_refused():
    with pytest.raises(ConfigError, match="needs a teacher"):
        WithProjections(nn.Identity(), 6, {})


def test_a_generator_hides_tokens_while_training_only():
    torch.manual_seed(0)
    generator, tokens = MaskedGenerator(3, 4, hidden=0.75), torch.randn(2, 3, 20, 30)
    seen = []
    generator.restore.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    assert generator(tokens).shape == (2, 4, 20, 30)
    hidden = seen[0] == 0
    assert (hidden == hidden[:, :1]).all()  # whole tokens, not channels
    assert hidden[:, 0].float().mean() == pytest.approx(0.75, abs=0.05)
    generator.eval()
    assert_close(generator(tokens), generator(tokens))
    assert (seen[-1] != 0).all()


def test_hiding_everything_is_refused():
    with pytest.raises(ConfigError, match="hidden is 1"):
        MaskedGenerator(3, 4, hidden=1.0)


def test_resampling_by_hand():
    # Four tokens to two: new cells are two wide, so a triangle reaches two: weights 3/7, 3/7, 1/7 and 0.
    row = torch.tensor([1.0, 2.0, 4.0, 8.0]).reshape(1, 1, 1, 4)
    expected = [(3 * 1 + 3 * 2 + 4) / 7, (2 + 3 * 4 + 3 * 8) / 7]
    assert resample_grid(row, (1, 2)).flatten().tolist() == pytest.approx(expected)


@given(st.integers(1, 9), st.integers(2, 9))
@settings(deadline=None)
def test_resampling_is_torchs_own_where_that_is_right(height, width):
    # Not for one column: see Note [Shrinking a token grid].
    tokens = torch.randn(1, 3, 4, 7)
    wanted = F.interpolate(tokens, (height, width), mode="bilinear", align_corners=False, antialias=True)
    assert_close(resample_grid(tokens, (height, width)), wanted, atol=1e-5, rtol=1e-5)


def test_resampling_to_one_column_is_that_of_one_row_turned():
    tokens = torch.randn(1, 3, 4, 7)
    assert_close(resample_grid(tokens, (2, 1)), resample_grid(tokens.mT, (1, 2)).mT)


def test_gradients_pass_through_resampling():
    tokens = torch.randn(1, 2, 4, 6, requires_grad=True)
    resample_grid(tokens, (2, 3)).sum().backward()
    assert (tokens.grad > 0).all()


def test_resampling_commutes_with_a_linear_map_of_the_channels():
    # So a standardisation may come before or after it.
    tokens, mixing = torch.randn(1, 4, 6, 9), torch.randn(5, 4)
    mixed = torch.einsum("ed,bdyx->beyx", mixing, tokens)
    assert_close(
        resample_grid(mixed, (3, 4)), torch.einsum("ed,bdyx->beyx", mixing, resample_grid(tokens, (3, 4))),
        atol=1e-5, rtol=1e-5,
    )  # fmt: skip


def test_resampling_to_nothing_is_refused():
    with pytest.raises(ShapeError, match="4 cells cannot be brought to 0"):
        resample_grid(torch.zeros(1, 2, 3, 4), (3, 0))
