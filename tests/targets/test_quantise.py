import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdistill.targets import load_maps, load_tokens
from segdistill.targets.quantise import map_error, store_maps, store_tokens, token_cosine

seeds = st.integers(0, 2**32 - 1)


@given(seeds)
def test_the_error_of_maps_is_what_the_docstring_says(seed):
    maps = np.random.default_rng(seed).random((2, 5, 9), dtype=np.float32)
    for storage, bound in (("uint8", 1 / 510), ("float16", 1 / 4096)):
        stored = store_maps(maps, storage)
        assert map_error(maps, stored) <= bound + 1e-7
        assert load_maps(stored).dtype == np.float32


def test_ends_are_exact():
    ends = np.array([[[0.0, 1.0]]], np.float32)
    assert (
        load_maps(store_maps(ends, "uint8")).tolist() == load_maps(store_maps(ends, "float16")).tolist() == [[[0, 1]]]
    )


def test_int8_tokens_by_hand():
    # The largest is 2, so a step is 2/127: 1 becomes 63.5 steps, stored as 64.
    stored = store_tokens(np.array([[[2.0, -2.0, 1.0]]]), "int8")
    assert stored["values"].tolist() == [[[127, -127, 64]]]
    assert load_tokens(stored)[0, 0].tolist() == pytest.approx([2, -2, 128 / 127])


@given(seeds, st.integers(1, 768))
def test_int8_keeps_the_direction_of_tokens(seed, width):
    tokens = np.random.default_rng(seed).normal(size=(3, 4, width)).astype(np.float32)
    assert token_cosine(tokens, store_tokens(tokens, "int8")) > 0.999
    assert token_cosine(tokens, store_tokens(tokens, "float16")) > 0.999999


def test_tokens_of_zeros_stay_zeros():
    tokens = np.zeros((2, 3, 4), np.float32)
    stored = store_tokens(tokens, "int8")
    assert load_tokens(stored).tolist() == tokens.tolist()
    assert token_cosine(tokens, stored) == 1
