import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from segdistill.engine import weighted_mean
from segdistill.engine.reducer import add_up


def randn(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_weighted_mean_by_hand():
    # (1 * 4 + 3 * 8) / (1 + 3) = 7
    assert weighted_mean(torch.tensor([4.0, 8.0]), torch.tensor([1.0, 3.0])).item() == 7


@given(seed=st.integers(0, 99), cut=st.integers(0, 4))
def test_parts_of_a_batch_add_up_to_the_whole(seed, cut):
    # Gradient accumulation must not change the loss, however unevenly pixels are weighed.
    value, weight = randn(2, 4, 8, 6, seed=seed)
    weight = weight.clamp_min(0)
    parts = [slice(None, cut), slice(cut, None)]
    added = add_up([{"a": weighted_mean(value[p], weight[p], total=weight.sum())} for p in parts])["a"]
    assert_close(added, weighted_mean(value, weight))


def test_no_weight_gives_zero_and_a_gradient_of_zero():
    value = torch.ones(2, 3, requires_grad=True)
    mean = weighted_mean(value, torch.zeros(2, 3))
    mean.backward()
    assert mean.item() == 0
    assert value.grad is not None
    assert value.grad.tolist() == [[0, 0, 0], [0, 0, 0]]


@given(seed=st.integers(0, 99), factor=st.floats(0.01, 100))
def test_scaling_all_weights_changes_nothing(seed, factor):
    value, weight = randn(2, 3, 7, seed=seed).double()
    weight = weight.abs()
    assert_close(weighted_mean(value, weight * factor), weighted_mean(value, weight))
