"""Standardised targets: what their covariance becomes, that it can be undone, and what cannot be standardised."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdistill.errors import DataError, ShapeError, UnknownName
from segdistill.objectives import (
    STANDARDISATIONS,
    Moments,
    load_standardisation,
    moments_of,
    save_standardisation,
    standardisation,
)

seeds = st.integers(0, 2**32 - 1)
every = pytest.mark.parametrize("name", STANDARDISATIONS)


def random_moments(seed, width, rank=None):
    """Moments of correlated channels of very unlike size, of a rank that may be less than the width."""
    draw = np.random.default_rng(seed)
    mixing = draw.normal(size=(width, rank or width)) * draw.gamma(0.5, 4, size=(1, rank or width))
    return Moments(1000, draw.normal(size=width) * 5, 1000 * mixing @ mixing.T)


def covariance_after(standard, moments):
    rotated = moments.covariance
    if standard.rotation is not None:
        rotated = standard.rotation @ rotated @ standard.rotation.T
    return rotated / np.outer(standard.scale, standard.scale)


def assert_phi_s(moments):
    standard = standardisation("phi-s", moments)
    covariance = moments.covariance
    width = len(covariance)
    np.testing.assert_allclose(np.diag(covariance_after(standard, moments)), 1, rtol=0, atol=1e-9)
    np.testing.assert_allclose(standard.rotation @ standard.rotation.T, np.eye(width), atol=1e-11)
    assert np.ptp(standard.scale) == 0
    assert standard.scale[0] ** 2 == pytest.approx(np.trace(covariance) / width)
    tokens = np.random.default_rng(0).normal(size=(2, 3, width)) * 7
    np.testing.assert_allclose(standard.inverse(standard(tokens)), tokens, rtol=0, atol=1e-9)


@given(seed=seeds, width=st.integers(1, 64))
def test_phi_s_is_exact_for_every_width(seed, width):
    assert_phi_s(random_moments(seed, width))


@pytest.mark.parametrize("width", [384, 768, 1024, 1280])
def test_phi_s_is_exact_for_the_widths_of_teachers(width):
    assert_phi_s(random_moments(width, width))


@given(seed=seeds, width=st.integers(2, 40))
def test_phi_s_needs_no_full_rank(seed, width):
    assert_phi_s(random_moments(seed, width, rank=(width + 1) // 2))


def test_phi_s_of_real_tokens():
    draw = np.random.default_rng(1)
    tokens = (draw.normal(size=(40, 50, 6)) @ draw.normal(size=(6, 6)) + 3).astype(np.float32)
    after = moments_of(standardisation("phi-s", moments_of(tokens))(tokens))
    np.testing.assert_allclose(after.mean, 0, atol=1e-5)
    np.testing.assert_allclose(np.diag(after.covariance), 1, atol=1e-5)
    assert not np.allclose(after.covariance, np.eye(6), atol=0.05)  # it is no whitening


@given(seed=seeds)
def test_phi_s_changes_no_ratio_of_distances_and_by_channel_does(seed):
    moments = random_moments(seed, 8)
    a, b, c = np.random.default_rng(seed).normal(size=(3, 8))

    def ratio(name):
        x, y, z = (standardisation(name, moments)(each) for each in (a, b, c))
        return np.linalg.norm(x - y) / np.linalg.norm(y - z)

    assert ratio("phi-s") == pytest.approx(ratio("none"))
    assert ratio("channel") != pytest.approx(ratio("none"), rel=1e-9)


def test_the_unit_of_a_teacher_does_not_matter():
    # Features ten times larger give the same targets: no teacher wins by its scale.
    draw = np.random.default_rng(2)
    tokens = draw.normal(size=(30, 5)) @ draw.normal(size=(5, 5))
    for name in ("channel", "phi-s"):
        one, ten = (standardisation(name, moments_of(each))(each) for each in (tokens, 10 * tokens))
        np.testing.assert_allclose(one, ten, atol=1e-9)


def test_by_channel_by_hand():
    # Means 2 and 20, deviations 1 and 10.
    standard = standardisation("channel", moments_of(np.array([[1.0, 10.0], [3.0, 30.0]])))
    assert standard(np.array([[3.0, 10.0]])).tolist() == [[1, -1]]


def test_none_changes_nothing():
    tokens = np.random.default_rng(0).normal(size=(2, 3, 4))
    assert np.array_equal(standardisation("none", moments_of(tokens))(tokens), tokens)


@every
def test_half_precision_comes_back_in_single(name):
    tokens = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float16)
    standard = standardisation(name, moments_of(tokens))
    assert standard(tokens).dtype == standard.inverse(tokens).dtype == np.float32


@every
def test_a_standardisation_is_kept_to_the_bit(name, tmp_path):
    standard = standardisation(name, random_moments(0, 6))
    path = tmp_path / "standard.safetensors"
    save_standardisation(path, standard)
    again = load_standardisation(path)
    tokens = np.random.default_rng(0).normal(size=(2, 3, 6))
    assert again.name == name
    assert np.array_equal(again(tokens), standard(tokens))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="holds no standardisation"):
        load_standardisation(path)


# what cannot be standardised


def test_a_constant_channel_is_named():
    tokens = np.random.default_rng(0).normal(size=(50, 4))
    tokens[:, 2] = 0.1
    moments = moments_of(tokens)
    with pytest.raises(DataError, match=r"1 of 4 channels are the same in all 50 tokens \(2\).*Use phi-s"):
        standardisation("channel", moments)
    assert_phi_s(moments)


def test_many_constant_channels_are_counted():
    tokens = np.zeros((9, 20))
    tokens[:, 19] = np.arange(9)
    with pytest.raises(DataError, match=r"19 of 20 channels .*\(0, 1, 2, 3, 4, 5, 6, 7 and 11 more\)"):
        standardisation("channel", moments_of(tokens))


@pytest.mark.parametrize("name", ["channel", "phi-s"])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_tokens_that_never_vary_are_refused(name, value):
    with pytest.raises(DataError, match=r"the same"):
        standardisation(name, moments_of(np.full((77, 3), value)))


@pytest.mark.parametrize("name", ["channel", "phi-s"])
def test_one_token_has_no_variance(name):
    with pytest.raises(DataError, match="statistics of 1 tokens"):
        standardisation(name, moments_of(np.ones((1, 3))))


def test_a_small_variation_on_a_large_mean_is_one():
    moments = moments_of(1e3 + 1e-3 * np.random.default_rng(0).normal(size=(99, 4)))
    assert_phi_s(moments)


def test_another_teachers_tokens_are_refused():
    standard = standardisation("phi-s", random_moments(0, 6))
    with pytest.raises(ShapeError, match=r"\(2, 5\).*6 channels"):
        standard(np.zeros((2, 5)))


def test_an_unknown_name_comes_with_the_nearest():
    with pytest.raises(UnknownName, match=r"Did you mean 'phi-s'"):
        standardisation("phis", random_moments(0, 6))
