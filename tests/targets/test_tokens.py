"""Token targets: an encoder without maps, views that are looked at and never made, quality, statistics."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdistill.errors import ConfigError
from segdistill.objectives import moments_of
from segdistill.targets import (
    View,
    create_store,
    drawn_views,
    fill_targets,
    image_key,
    new_header,
    open_store,
    plan_targets,
    token_moments,
    verify_targets,
)
from segdistill.targets.quantise import store_tokens, token_cosine, token_cosines
from segdistill.targets.view import view_of


class Encoder:
    """Features and no maps: of each cell of 4 x 4 pixels its mean, times a vector, plus where it lies."""

    def __init__(self, contract, gain=1.0):
        self.contract = contract
        self.gain = gain

    def maps(self, image, hint=None):  # noqa: ARG002
        return np.zeros((0, *image.shape[1:]), np.float32)

    def tokens(self, image, names):
        cells = image.mean(axis=0)[::4, ::4].astype(np.float32)
        down = np.linspace(0, 1, len(cells), dtype=np.float32)[:, None, None]
        grid = self.gain * cells[..., None] * np.array([1, -2, 3, 4, -5], np.float32) + down
        return {name: np.ascontiguousarray(grid) for name in names}


@pytest.fixture
def encoder(make_teacher):
    return Encoder(make_teacher(outputs=(), tokens={"embedding": (4, 5)}).contract)


@pytest.fixture
def make_store(tmp_path, encoder):
    def make(**options):
        header = new_header(encoder.contract, tokens=("embedding",), **options)
        return create_store(tmp_path / f"store{len(list(tmp_path.iterdir()))}", header)

    return make


@pytest.fixture
def tokens_filling(filling, encoder):
    return replace(filling, teachers=[encoder])


@pytest.mark.parametrize(("storage", "error"), [("float16", 2e-3), ("int8", 0.03)])
def test_an_encoder_is_stored_on_its_own_grid(make_store, tokens_filling, encoder, samples, storage, error):
    store = make_store(tokens_as=storage)
    estimate = plan_targets(store, tokens_filling)
    summary = fill_targets(store, tokens_filling)
    assert (summary.made, summary.kept, summary.failed) == (6, 1, ())
    assert estimate.size == 6 * 6 * 9 * {"float16": 10, "int8": 9}[storage]
    sample = samples["field2"]
    found = open_store(store.folder).tokens((image_key(sample.image), 0), "embedding")
    wanted = encoder.tokens(sample.image.array.astype(np.float32) / 255, ("embedding",))["embedding"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=error)
    assert store.maps((image_key(sample.image), 0)) == {}


def test_the_cosine_is_shown_as_lowest_and_as_mean(make_store, tokens_filling):
    byte, half = (fill_targets(make_store(tokens_as=each), tokens_filling) for each in ("int8", "float16"))
    assert 0.999 < byte.cosine < byte.mean_cosine < 1
    assert byte.mean_cosine < half.mean_cosine <= 1 + 1e-9
    again = make_store(tokens_as="int8")
    fill_targets(again, tokens_filling)
    assert fill_targets(again, tokens_filling).mean_cosine == byte.mean_cosine  # of kept records too


def test_a_store_of_maps_has_a_cosine_of_one(store, filling):
    summary = fill_targets(store, filling)
    assert summary.cosine == summary.mean_cosine == 1


@given(seed=st.integers(0, 2**32 - 1))
def test_the_lowest_cosine_is_that_of_a_token(seed):
    tokens = np.random.default_rng(seed).normal(size=(3, 4, 9)).astype(np.float32)
    stored = store_tokens(tokens, "int8")
    every = token_cosines(tokens, stored)
    assert every.shape == (3, 4)
    assert token_cosine(tokens, stored) == every.min() <= every.mean()


def test_each_view_is_looked_at_and_not_made_of_another(make_store, tokens_filling, encoder, samples):
    # The features know what is up: turned features are not those of the turned image.
    views = drawn_views(4, seed=5)
    store = make_store(views=views, tokens_as="float16")
    fill_targets(store, tokens_filling)
    sample = samples["field1"]
    pixels = sample.image.array.astype(np.float32) / 255
    for number, view in enumerate(open_store(store.folder).header.views):
        found = store.tokens((image_key(sample.image), number), "embedding")
        wanted = encoder.tokens(view_of(pixels, view), ("embedding",))["embedding"]
        np.testing.assert_allclose(found, wanted, atol=2e-3)
    turned = make_store(views=(View(), View(turns=1)), tokens_as="float16")
    fill_targets(turned, tokens_filling)
    whole, looked = (turned.tokens((image_key(sample.image), number), "embedding") for number in range(2))
    assert looked.shape == (9, 6, 5)
    assert np.abs(np.rot90(whole) - looked).max() > 0.1


@given(count=st.integers(1, 9), seed=st.integers(0, 99), least=st.floats(0.05, 1))
def test_drawn_views_are_possible_and_the_same_again(count, seed, least):
    views = drawn_views(count, seed=seed, least=least)
    assert len(views) == count
    assert views[0].is_whole
    assert views == drawn_views(count + 3, seed=seed, least=least)[:count]
    assert all(view.window[2] >= least - 1 / 1024 for view in views)


def test_drawn_views_keep_what_must_be_kept():
    views = drawn_views(60, mirrored=False, turned=False)
    assert not any(view.mirrored or view.turns for view in views)
    free = drawn_views(60)
    assert {view.turns for view in free} == {0, 1, 2, 3}
    assert {view.mirrored for view in free} == {True, False}
    assert len(set(free)) == 60


@pytest.mark.parametrize("wrong", [{"count": 0}, {"count": 2, "least": 0.0}, {"count": 2, "least": 1.5}])
def test_impossible_numbers_of_views_are_refused(wrong):
    with pytest.raises(ConfigError, match="not possible"):
        drawn_views(**wrong)


def test_tokens_are_verified_too(make_store, tokens_filling, encoder, samples):
    store = make_store()
    fill_targets(store, tokens_filling)
    assert verify_targets(store, tokens_filling, share=1.0).sound
    other = Encoder(encoder.contract, gain=-1.0)
    found = verify_targets(store, replace(tokens_filling, teachers=[other]), share=1.0)
    assert len(found.differing) == len(samples)
    assert found.largest > 0.1


def test_statistics_are_of_all_views_of_the_cases_that_are_named(make_store, tokens_filling, samples):
    store = make_store(views=drawn_views(3), tokens_as="float16")
    fill_targets(store, tokens_filling)
    train = ["field0", "field4"]
    found = token_moments(store, "embedding", [*train, "failed before"])
    grids = [
        store.tokens((image_key(samples[case].image), view), "embedding").reshape(-1, 5)
        for case in train
        for view in range(3)
    ]
    wanted = moments_of(np.concatenate(grids))
    assert found.count == wanted.count
    np.testing.assert_allclose(found.mean, wanted.mean)
    np.testing.assert_allclose(found.covariance, wanted.covariance)
    assert token_moments(store, "embedding", []).count == 0


def test_an_encoder_without_tokens_would_leave_an_empty_store(encoder):
    with pytest.raises(ConfigError, match=r"gives features \(embedding\) and no maps, so there is nothing to store"):
        new_header(encoder.contract)


def test_tokens_that_are_not_there_are_refused(make_store, store):
    with pytest.raises(ConfigError, match=r"no tokens called 'hidden.3'. It holds: embedding"):
        make_store().tokens(("ab", 0), "hidden.3")
    with pytest.raises(ConfigError, match=r"no tokens called 'embedding'. It holds: none"):
        token_moments(store, "embedding", ["field0"])
