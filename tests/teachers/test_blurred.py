"""Blurred labels as a teacher: by hand, what is kept, what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segdistill.data.labels import Structure
from segdistill.errors import ConfigError, DataError
from segdistill.teachers import load_teacher
from segdistill.teachers.contract import Hint
from segdistill.testing import check_teacher

MASK = (Structure("vessel", instances=False),)


def blurred(plane, sigma=1.0, structures=MASK):
    teacher = load_teacher(f"blurred:{sigma}", structures=structures)
    labels = {each.name: plane for each in structures}
    return teacher.maps(np.zeros((0, *plane.shape), np.float32), Hint(labels=labels))


def test_an_edge_becomes_a_gaussian_slope():
    # Left half 1: at the first pixel right of the edge it is the weight of all Gaussian samples from 1 pixel on.
    plane = np.zeros((9, 41), np.int32)
    plane[:, :20] = 1
    weights = np.exp(-(np.arange(-4, 5) ** 2) / 2)
    expected = weights[5:].sum() / weights.sum()
    found = blurred(plane)[0]
    np.testing.assert_allclose(found[:, 20], expected, rtol=1e-5)
    np.testing.assert_allclose(found[:, 0], 1)  # beyond the edge of the image it goes on
    np.testing.assert_allclose(found[:, 40], 0)


@given(seed=st.integers(0, 50), sigma=st.floats(0.3, 5))
@settings(deadline=None, max_examples=20)
def test_maps_are_probabilities_and_a_mirrored_label_gives_mirrored_maps(seed, sigma):
    plane = np.random.default_rng(seed).integers(0, 3, (11, 17)).astype(np.int32)
    cell = (Structure("cell", instances=True),)
    found = blurred(plane, sigma, cell)
    assert found.shape == (2, 11, 17)
    assert found.min() >= 0
    assert found.max() <= 1
    np.testing.assert_allclose(blurred(plane[:, ::-1].copy(), sigma, cell), found[:, :, ::-1], atol=1e-5)


def test_it_keeps_the_contract_of_a_teacher_and_is_an_oracle():
    teacher = load_teacher("blurred:2")
    check_teacher(teacher)
    assert teacher.contract.oracle
    assert load_teacher("blurred:3").contract.weights_sha256 != teacher.contract.weights_sha256


@pytest.mark.parametrize(
    "name", ["blurred:", "blurred:wide", "blurred:0", "blurred:-1", f"blurred:{math.inf}", "blurred:nan"]
)
def test_what_is_no_width_is_refused(name):
    with pytest.raises(ConfigError, match="standard deviation in pixels"):
        load_teacher(name)


def test_prompts_and_images_without_labels_are_refused():
    with pytest.raises(ConfigError, match="takes no prompting grid"):
        load_teacher("blurred:2", prompting="grid")
    with pytest.raises(DataError, match="no label of cell"):
        load_teacher("blurred:2").maps(np.zeros((0, 4, 4), np.float32), Hint())
