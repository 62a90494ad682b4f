"""Token grids on other grids: the same rule as the network's, and no token that does not count."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segdistill.errors import ShapeError
from segdistill.networks import resample_grid
from segdistill.targets import resample_tokens

seeds = st.integers(0, 2**32 - 1)


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@given(seeds, st.integers(1, 9), st.integers(1, 9))
def test_the_store_resamples_as_the_network_does(seed, height, width):
    tokens = draw(seed, 4, 7, 3)
    wanted = resample_grid(torch.from_numpy(tokens).permute(2, 0, 1)[None], (height, width))
    assert np.allclose(resample_tokens(tokens, (height, width)), wanted[0].permute(1, 2, 0).numpy(), atol=1e-5)


@given(seeds, st.integers(4, 19), st.integers(7, 19))
def test_growing_is_plain_bilinear_interpolation(seed, height, width):
    tokens = draw(seed, 4, 7, 3)
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(tokens).permute(2, 0, 1)[None], (height, width), mode="bilinear", align_corners=False
    )
    assert np.allclose(resample_tokens(tokens, (height, width)), wanted[0].permute(1, 2, 0).numpy(), atol=1e-5)


@given(st.integers(1, 70), st.integers(1, 70))
def test_every_token_counts_and_a_flat_grid_stays_flat(old, new):
    eye = np.eye(old, dtype=np.float32)[None]  # one row; channel n is 1 at token n
    weights = resample_tokens(eye, (1, new))[0]
    assert weights.sum(axis=1) == pytest.approx(np.ones(new), abs=1e-5)
    if new <= old:
        assert (weights.sum(axis=0) > 0).all()


def test_plain_interpolation_would_pass_over_tokens():
    # One object, one token wide, in a row of 64: plain bilinear interpolation to 8 does not see it.
    row = np.zeros((1, 64, 1), np.float32)
    row[0, 9] = 1
    plain = torch.nn.functional.interpolate(torch.from_numpy(row)[None, ..., 0], (8,), mode="linear")
    assert plain.abs().max() == 0
    assert resample_tokens(row, (1, 8)).max() > 0.05


def test_the_same_grid_changes_nothing():
    tokens = draw(0, 1, 5, 3)
    assert np.array_equal(resample_tokens(tokens, (1, 5)), tokens)


def test_a_grid_without_tokens_is_refused():
    with pytest.raises(ShapeError, match="to 0"):
        resample_tokens(draw(0, 2, 3, 4), (0, 3))
