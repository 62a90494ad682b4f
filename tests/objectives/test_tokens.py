"""Token-wise objectives by hand, and what each does not see."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from segdistill.errors import ConfigError, ShapeError
from segdistill.objectives import (
    hidden_mse,
    token_cosine,
    token_cosine_smooth_l1,
    token_mse,
    token_smooth_l1,
)

all_terms = pytest.mark.parametrize(
    "term", [token_mse, token_cosine, token_smooth_l1, token_cosine_smooth_l1, hidden_mse]
)
seeds = st.integers(0, 2**16)


def token(*values):
    return torch.tensor(values, dtype=torch.float64).reshape(1, -1, 1, 1)


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_token_mse_by_hand():
    # (1 - 4)^2 = 9, (2 - 2)^2 = 0, (3 - 0)^2 = 9: 18 / 3.
    assert token_mse(token(1, 2, 3), token(4, 2, 0)).item() == 6


def test_token_cosine_by_hand():
    # (3, 4) and (4, 3): 24 / 25.
    assert token_cosine(token(3, 4), token(4, 3)).item() == pytest.approx(1 - 24 / 25, abs=1e-6)


def test_token_smooth_l1_by_hand():
    # Beta 2: 1^2 / (2 * 2) = 1/4; |5| - 2/2 = 4: mean 17/8.
    assert token_smooth_l1(token(1, -5), token(0, 0), beta=2.0).item() == pytest.approx(17 / 8)


def test_cosine_and_smooth_l1_by_hand():
    # (2, 0) and (0, 2): cosine 0; both differ by 2: 3/2. 0.9 * 1 + 0.1 * 1.5.
    assert token_cosine_smooth_l1(token(2, 0), token(0, 2)).item() == pytest.approx(1.05, abs=1e-5)


def test_hidden_mse_by_hand():
    # (0, 2) becomes (-1, 1), (5, 1) becomes (1, -1): ((-2)^2 + 2^2) / 2, but for layer norm's 1e-5.
    assert hidden_mse(token(0, 2), token(5, 1)).item() == pytest.approx(4, abs=1e-4)


def test_a_wide_token_weighs_no_more_than_a_narrow_one():
    for term in (token_mse, token_smooth_l1, hidden_mse):
        narrow, wide = ([draw(seed, 1, 2, 1, 1).repeat(1, n, 1, 1) for seed in (1, 2)] for n in (1, 384))
        assert_close(term(*narrow), term(*wide))


@given(seed=seeds, factor=st.floats(0.1, 9))
def test_cosine_is_blind_to_length_and_hidden_to_offset_too(seed, factor):
    student, teacher = draw(seed, 1, 6, 2, 3), draw(seed + 1, 1, 6, 2, 3)
    assert_close(token_cosine(factor * student, teacher), token_cosine(student, teacher), atol=1e-3, rtol=0)
    assert_close(hidden_mse(factor * student + 3, teacher), hidden_mse(student, teacher), atol=0.05, rtol=0.05)
    assert (token_mse(factor * teacher, teacher) > 1e-9).all() or abs(factor - 1) < 0.01


def test_the_cosine_term_alone_cannot_tell_length_and_the_pair_can():
    teacher = draw(0, 1, 6, 2, 3)
    assert token_cosine(3 * teacher, teacher).max() < 1e-5
    assert token_cosine_smooth_l1(3 * teacher, teacher).min() > 1e-3


def test_tokens_of_zeros_are_equal_and_have_gradients():
    student = torch.zeros(1, 4, 2, 3, requires_grad=True)
    value = token_cosine(student, torch.zeros(1, 4, 2, 3))
    assert value.abs().max() < 1e-6
    token_cosine(student, torch.ones(1, 4, 2, 3)).sum().backward()
    assert student.grad is not None
    assert student.grad.isfinite().all()


@all_terms
def test_the_cosine_of_turned_tokens_is_known(term):
    # Against itself turned round: cosine 2; the others as far as they can be for this length.
    tokens = token(math.sqrt(2), -math.sqrt(2))
    assert term(-tokens, tokens).item() > 1.8


@all_terms
def test_grids_and_widths_must_agree(term):
    tokens = torch.zeros(1, 4, 2, 3)
    for other in (torch.zeros(1, 4, 3, 2), torch.zeros(1, 5, 2, 3)):
        with pytest.raises(ShapeError, match=r"student's tokens are \(1, 4, 2, 3\).*Resample"):
            term(tokens, other)


def test_beta_must_be_positive():
    with pytest.raises(ConfigError, match=r"beta is 0"):
        token_smooth_l1(torch.zeros(1, 2, 1, 3), torch.zeros(1, 2, 1, 3), beta=0.0)


def test_one_channel_has_no_layer_norm():
    with pytest.raises(ShapeError, match="width 1"):
        hidden_mse(torch.zeros(1, 1, 2, 3), torch.zeros(1, 1, 2, 3))
