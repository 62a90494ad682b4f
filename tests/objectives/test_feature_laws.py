"""What every term between features must obey: the laws of the other objectives, for tokens."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from segdistill.engine.reducer import weighted_mean
from segdistill.errors import ShapeError, UnknownName
from segdistill.objectives import FEATURE_TERMS, feature_term

GRID = (4, 3, 5)  # images, rows, columns
WIDTH, OTHER = 6, 9

every = pytest.mark.parametrize("name", FEATURE_TERMS)
POOLED = {"pairwise"}
token_wise = pytest.mark.parametrize("name", sorted(set(FEATURE_TERMS) - POOLED))
seeds = st.integers(0, 2**16)


def inputs(name, *, seed, width=WIDTH):
    """Return student, teacher and uneven counts, some images without any."""
    generator = torch.Generator().manual_seed(seed)
    images, *grid = GRID
    theirs = width if FEATURE_TERMS[name].projected else OTHER
    student = torch.randn(images, width, *grid, generator=generator, dtype=torch.float64)
    teacher = torch.randn(images, theirs, *grid, generator=generator, dtype=torch.float64)
    counts = torch.rand(GRID, generator=generator, dtype=torch.float64)
    counts = counts * (counts > 0.3) * (torch.rand(images, 1, 1, generator=generator) > 0.2)
    return student, teacher, counts


def reduced(name, student, teacher, counts):
    term = feature_term(name)
    return weighted_mean(term(student, teacher, counts), term.weigh(counts))


@every
def test_the_map_has_its_weights(name):
    student, teacher, counts = inputs(name, seed=0)
    term = feature_term(name)
    assert term(student, teacher, counts).shape == term.weigh(counts).shape


@every
@given(seed=seeds)
@settings(max_examples=10)
def test_zero_at_equality_and_nowhere_less(name, seed):
    student, teacher, counts = inputs(name, seed=seed)
    assert reduced(name, student, student.clone(), counts).abs() < 1e-9
    assert (feature_term(name)(student, teacher, counts) >= 0).all()


@every
def test_more_than_zero_elsewhere(name):
    student, teacher, _ = inputs(name, seed=3)
    assert reduced(name, student, teacher, torch.ones(GRID)) > 1e-3


@every
def test_sized_terms_see_length_and_the_others_do_not(name):
    student, _, _ = inputs(name, seed=4)
    longer = reduced(name, 3 * student, student, torch.ones(GRID))
    assert (longer > 1e-2) == feature_term(name).sized


@every
def test_gradient_reaches_the_student_only(name):
    student, teacher, _ = inputs(name, seed=1)
    student.requires_grad_()
    teacher.requires_grad_()
    reduced(name, student, teacher, torch.ones(GRID)).backward()
    assert student.grad is not None
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None


@every
def test_what_does_not_count_does_not_matter(name):
    student, teacher, counts = inputs(name, seed=5)
    nowhere = (counts == 0)[:, None]
    student.requires_grad_()
    value = reduced(name, student, teacher, counts)
    value.backward()
    assert (student.grad * nowhere).abs().max() == 0
    assert_close(reduced(name, student + 100 * nowhere, teacher - 50 * nowhere, counts), value)


@every
@given(seed=seeds, cut=st.integers(0, GRID[0]))
@settings(max_examples=10)
def test_parts_of_a_batch_add_up_to_the_whole(name, seed, cut):
    student, teacher, counts = inputs(name, seed=seed)
    term = feature_term(name)
    total = term.weigh(counts).sum()
    added = sum(
        weighted_mean(term(student[p], teacher[p], counts[p]), term.weigh(counts[p]), total=total)
        for p in (slice(None, cut), slice(cut, None))
    )
    assert_close(added, reduced(name, student, teacher, counts))


@token_wise
@given(seed=seeds)
@settings(max_examples=10)
def test_permuting_the_tokens_of_all_changes_nothing(name, seed):
    student, teacher, counts = inputs(name, seed=seed)
    order = torch.randperm(GRID[1] * GRID[2], generator=torch.Generator().manual_seed(seed))
    moved = [each.flatten(-2)[..., order].reshape(each.shape) for each in (student, teacher, counts)]
    assert_close(reduced(name, *moved), reduced(name, student, teacher, counts))


def test_nodes_are_not_token_wise():
    # Otherwise leaving pairwise out of the law above would hide something.
    student, teacher, _ = inputs("pairwise", seed=0)
    counts = torch.ones(GRID)
    moved = [each.flatten(-2).roll(1, -1).reshape(each.shape) for each in (student, teacher)]
    assert not torch.allclose(reduced("pairwise", *moved, counts), reduced("pairwise", student, teacher, counts))


@every
@pytest.mark.parametrize("ours", [0.0, 80.0])
@pytest.mark.parametrize("theirs", [0.0, 80.0])
@pytest.mark.parametrize("count", [0.0, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["float32", "float16"])
def test_finite_on_flat_grids(name, ours, theirs, count, dtype):
    student, teacher, counts = inputs(name, seed=0)
    student = torch.full_like(student, ours, dtype=dtype).requires_grad_()
    value = reduced(
        name, student, torch.full_like(teacher, theirs, dtype=dtype), torch.full_like(counts, count, dtype=dtype)
    )
    value.backward()
    assert value.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()
    assert count or value == 0


@every
@given(seed=seeds)
@settings(max_examples=10)
def test_half_precision_is_within_a_hundredth_of_double(name, seed):
    student, teacher, counts = inputs(name, seed=seed, width=24)
    half = reduced(name, student.half(), teacher.half(), counts.half())
    assert half.dtype == torch.float32
    assert_close(half.double(), reduced(name, student, teacher, counts), atol=1e-2, rtol=1e-2)


@every
def test_what_must_be_projected_says_so(name):
    student, _, counts = inputs(name, seed=0)
    teacher = torch.zeros(GRID[0], OTHER, *GRID[1:], dtype=torch.float64)
    if not feature_term(name).projected:
        assert feature_term(name)(student, teacher, counts).isfinite().all()
        return
    with pytest.raises(ShapeError, match="project the student's width"):
        feature_term(name)(student, teacher, counts)


def test_an_unknown_term_comes_with_the_nearest():
    with pytest.raises(UnknownName, match=r"feature term called 'token_cosin'. Did you mean 'token_cosine'"):
        feature_term("token_cosin")
