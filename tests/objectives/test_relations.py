"""Objectives between images' inner relations: by hand, of any width, blind to rotations."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from segdistill.errors import ConfigError, ShapeError
from segdistill.objectives import attention_map, gram, pairwise

all_terms = pytest.mark.parametrize("term", [gram, pairwise, attention_map])
seeds = st.integers(0, 2**16)


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def row(*tokens):
    """One row of tokens of width 2."""
    return torch.tensor(tokens, dtype=torch.float64).T[None, :, None]


def test_gram_by_hand():
    # Student's tokens are at right angles, the teacher's the same: of 4 pairs 2 differ by 1: mean 1/2.
    student, teacher = row((1.0, 0.0), (0.0, 2.0)), row((3.0, 0.0), (1.0, 0.0))
    assert gram(student, teacher, torch.ones(1, 1, 2)).item() == pytest.approx(0.5, abs=1e-5)
    # The second counts half: weights 1/9 (2 of 2/3 * 1/3 differ): 2 * 2/9.
    assert gram(student, teacher, torch.tensor([[[1.0, 0.5]]])).item() == pytest.approx(4 / 9, abs=1e-5)


def test_pairwise_by_hand():
    # Nodes of two tokens: the student's are (1, 1)/2 and (-1, -1)/2, cosine -1; the teacher's are the same, cosine 1.
    student = row((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))
    teacher = row((1.0, 0.0), (1.0, 0.0), (1.0, 0.0), (1.0, 0.0))
    assert pairwise(student, teacher, torch.ones(1, 1, 4)).item() == pytest.approx(4 * 2 / 4, abs=1e-4)


def test_a_node_averages_what_counts():
    # Of each node only the first token counts: the others may be anything.
    student = row((1.0, 0.0), (9.0, 9.0), (0.0, 1.0), (9.0, -9.0))
    counts = torch.tensor([[[1.0, 0.0, 1.0, 0.0]]])
    teacher = row((1.0, 0.0), (0.0, 0.0), (0.0, 1.0), (0.0, 0.0))
    assert pairwise(student, teacher, counts).item() == pytest.approx(0, abs=1e-9)


def test_attention_map_by_hand():
    # Mean squares (3, 4), of length 5: (0.6, 0.8); the teacher's (0, 1): 0.6^2 + 0.2^2.
    student = torch.tensor([3.0, 4.0], dtype=torch.float64).sqrt().reshape(1, 1, 1, 2)
    teacher = torch.tensor([0.0, 7.0], dtype=torch.float64).reshape(1, 1, 1, 2)
    assert attention_map(student, teacher, torch.ones(1, 1, 2)).item() == pytest.approx(0.36 + 0.04)


@given(seed=seeds)
def test_a_rotation_of_the_channels_changes_no_relation(seed):
    tokens, counts = draw(seed, 1, 5, 3, 4), torch.ones(1, 3, 4)
    rotation = torch.linalg.qr(draw(seed + 1, 5, 5)).Q
    turned = torch.einsum("de,beyx->bdyx", rotation, tokens)
    for term in (gram, pairwise, attention_map):
        assert term(turned, tokens, counts).item() < 1e-9


@all_terms
def test_widths_may_differ(term):
    tokens = draw(0, 2, 5, 3, 4)
    wider = torch.cat([tokens, torch.zeros(2, 7, 3, 4)], dim=1)
    assert_close(term(wider, tokens, torch.ones(2, 3, 4)), torch.zeros(2, dtype=torch.float64), atol=1e-6, rtol=0)


@all_terms
def test_images_are_on_their_own(term):
    student, teacher, counts = draw(0, 2, 5, 3, 4), draw(1, 2, 6, 3, 4), torch.ones(2, 3, 4)
    alone = torch.cat([term(student[i : i + 1], teacher[i : i + 1], counts[i : i + 1]) for i in range(2)])
    assert_close(term(student, teacher, counts), alone)


@all_terms
def test_grids_must_agree(term):
    with pytest.raises(ShapeError, match=r"\(1, 2, 3, 4\).*\(1, 2, 4, 3\)"):
        term(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 4, 3), torch.ones(1, 3, 4))
    with pytest.raises(ShapeError, match="counts"):
        term(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 4), torch.ones(1, 4, 3))


def test_a_node_has_a_token():
    with pytest.raises(ConfigError, match="0 × 0 tokens"):
        pairwise(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 4), torch.ones(1, 3, 4), node=0)
