"""The student's view of recorded views: what lies where, whatever the shape."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdistill.errors import ConfigError
from segdistill.targets import View, drawn_views
from segdistill.training.pictures import make_pictures


def made(image, **options):
    return make_pictures("a", image, "key", **({"views": [View()], "side": 32, "stride": 8} | options))


def test_an_image_that_needs_no_scaling_by_hand():
    # 16 x 32 pixels at side 32: two rows of four tokens, below them the last row again.
    image = np.random.default_rng(0).random((2, 16, 32), dtype=np.float32)
    (picture,) = made(image)
    assert picture.cells == (2, 4)
    assert picture.pixels.shape == (2, 32, 32)
    np.testing.assert_allclose(picture.pixels[:, :16], image, atol=1e-6)
    np.testing.assert_array_equal(picture.pixels[:, 16:], np.repeat(picture.pixels[:, 15:16], 16, axis=1))


def test_each_view_is_that_of_the_teacher():
    # What the left half looks like, mirrored: the same pixels as those of view_of, enlarged.
    image = np.zeros((1, 32, 64), np.float32)
    image[0, :, 8:16] = 1  # a stripe in the left half, an eighth of the width from the left
    whole, part = made(image, views=[View(), View(window=(0.0, 0.0, 1.0, 0.5), mirrored=True)])
    assert (whole.key.view, part.key.view) == (0, 1)
    assert (whole.cells, part.cells) == ((2, 4), (4, 4))
    assert whole.pixels[0, :16].mean(axis=0).argmax() in range(4, 8)
    stripe = part.pixels[0].mean(axis=0)
    np.testing.assert_array_equal(stripe > 0.5, (np.arange(32) >= 16) & (np.arange(32) < 24))


@given(height=st.integers(1, 90), width=st.integers(1, 90), seed=st.integers(0, 99))
def test_whatever_the_shape_tokens_lie_on_the_square(height, width, seed):
    for picture in made(np.ones((1, height, width), np.float32), views=drawn_views(3, seed=seed)):
        assert picture.pixels.shape == (1, 32, 32)
        assert max(picture.cells) == 4
        assert min(picture.cells) >= 1
        np.testing.assert_allclose(picture.pixels, 1, atol=1e-5)


def test_a_side_that_is_no_multiple_of_the_stride_is_refused():
    with pytest.raises(ConfigError, match=r"36 pixels, which is no multiple of its stride of 8. Choose a size such as"):
        made(np.zeros((1, 4, 4), np.float32), side=36)
