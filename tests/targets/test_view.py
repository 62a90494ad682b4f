from dataclasses import asdict

import numpy as np
import pytest

from segdistill.errors import ConfigError
from segdistill.targets.view import View, view_from_json, view_of

PICTURE = np.arange(2 * 4 * 6).reshape(2, 4, 6)


def test_the_plain_view_is_the_image():
    assert np.array_equal(view_of(PICTURE, View()), PICTURE)


def test_a_view_by_hand():
    # Rows 2..3 and columns 3..5, mirrored, one quarter turn counter-clockwise: three rows of two.
    view = View(window=(0.5, 0.5, 0.5, 0.5), mirrored=True, turns=1)
    part = PICTURE[0, 2:, 3:][:, ::-1]  # [[17, 16, 15], [23, 22, 21]]
    assert view_of(PICTURE, view)[0].tolist() == [[15, 21], [16, 22], [17, 23]]
    assert part.tolist() == [[17, 16, 15], [23, 22, 21]]


def test_four_turns_are_none():
    once = View(turns=1)
    turned = PICTURE
    for _ in range(4):
        turned = view_of(turned, once)
    assert np.array_equal(turned, PICTURE)


def test_a_tiny_window_shows_a_pixel():
    assert view_of(PICTURE, View(window=(0.999, 0.0, 0.001, 0.001))).shape == (2, 1, 1)


@pytest.mark.parametrize("wrong", [{"window": (0.5, 0.0, 0.6, 1.0)}, {"window": (0.0, 0.0, 0.0, 1.0)}, {"turns": 4}])
def test_impossible_views_are_refused(wrong):
    with pytest.raises(ConfigError, match=r"inside the image"):
        View(**wrong)


def test_a_view_survives_json():
    view = View(window=(0.25, 0.0, 0.5, 1.0), mirrored=True, turns=3)
    assert view_from_json(asdict(view)) == view


def test_what_a_view_shows_of_one_pixel_can_be_taken_by_torch():
    # NumPy takes a mirrored row of one pixel for contiguous, though its stride is negative.
    for view in (View(mirrored=True), View(turns=1), View(turns=2)):
        seen = np.ascontiguousarray(view_of(np.ones((1, 1, 1), np.float32), view))
        assert all(stride > 0 for stride in seen.strides)
