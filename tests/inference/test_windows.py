import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from segdistill.data.image import Image
from segdistill.data.normalisation import PercentileRule
from segdistill.errors import ConfigError, DataError
from segdistill.inference.halo import measure_reach
from segdistill.inference.maps import predict_maps, stream_maps
from segdistill.inference.windows import View, assembled, plan_windows, view_of
from segdistill.networks import build_student

UNIT = np.ones(1, np.float32)


def view(array):
    return View(Image(array[None].astype(np.float32), ("nucleus",), None, "a test"), ("nucleus",), 0 * UNIT, UNIT)


@settings(deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    stride=st.sampled_from([1, 2, 3, 8]),
    core=st.integers(1, 5),
    halo=st.integers(0, 20),
    extra=st.integers(0, 7),
)
def test_windows_cover_an_image_once_on_the_grid_with_all_the_context_there_is(
    height, width, stride, core, halo, extra
):
    side = 2 * halo + (core + 2) * stride + extra
    covered = np.zeros((height, width), int)
    for one in plan_windows((height, width), side=side, halo=halo, stride=stride):
        covered[one.write] += 1
        for read, keep, write, length in zip(one.read, one.keep, one.write, (height, width), strict=True):
            assert 0 <= read.start < read.stop <= length
            assert read.stop - read.start < side + stride
            assert read.start % stride == 0
            assert read.start + keep.start == write.start
            assert read.start + keep.stop == write.stop
            assert keep.start >= halo or read.start == 0
            assert read.stop - write.stop >= halo or read.stop == length
            assert read.stop % stride == 0 or read.stop == length
    assert (covered == 1).all()


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(1)
    student = build_student("unet-tiny", channels=1, outputs=2).eval()
    nn.init.normal_(student.network.head.weight, std=1.0)  # so that a pixel's neighbourhood matters
    return student


@pytest.mark.parametrize("shape", [(230, 317), (97, 403), (1, 517), (512, 160)])
def test_windows_with_the_exact_halo_equal_the_whole_image_up_to_its_edges(tiny, shape):
    array = np.random.default_rng(0).uniform(size=shape)
    whole = predict_maps(tiny, view(array), outputs=2, tile=max(shape))
    reach = measure_reach(tiny, channels=1)
    assert reach is not None
    cut = predict_maps(tiny, view(array), outputs=2, tile=160, halo=reach, batch=3)
    assert np.abs(cut - whole).max() < 1e-4
    if min(shape) > 160:
        too_little = predict_maps(tiny, view(array), outputs=2, tile=160, halo=8)
        assert np.abs(too_little - whole).max() > 1e-4


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (7, 13), (101, 3)])
def test_maps_have_the_images_size_however_odd(tiny, shape):
    maps = predict_maps(tiny, view(np.ones(shape)), outputs=2, tile=64, halo=16)
    assert maps.shape == (2, *shape)
    assert np.isfinite(maps).all()
    assert maps.min() >= 0
    assert maps.max() <= 1


def test_parts_come_row_by_row_and_make_the_whole(tiny):
    image = view(np.random.default_rng(1).uniform(size=(150, 210)))
    parts = list(stream_maps(tiny, image, tile=96, halo=16, batch=4))
    corners = [(rows.start, columns.start) for (rows, columns), _ in parts]
    assert corners == sorted(corners)
    assert len(corners) > 4
    maps = assembled(parts, outputs=2, shape=(150, 210))
    np.testing.assert_allclose(maps, predict_maps(tiny, image, outputs=2, tile=96, halo=16), atol=1e-4)


def test_a_halo_that_leaves_nothing_is_refused_with_one_that_does():
    with pytest.raises(ConfigError, match=r"leaves nothing to keep.*--tile 192"):
        list(plan_windows((300, 200), side=128, halo=50, stride=32))


def test_a_window_is_normalised_by_its_whole_image():
    # By hand: the image runs from 0 to 100; its left half alone runs from 0 to 50.
    array = np.repeat(np.linspace(0, 100, 11, dtype=np.float32)[None], 4, axis=0)
    seen = view_of(Image(array[None], ("nucleus",), None, "a ramp"), ("nucleus",), PercentileRule(0.0, 100.0))
    np.testing.assert_allclose(seen.read((slice(0, 2), slice(0, 6)))[0, 0], [0, 0.1, 0.2, 0.3, 0.4, 0.5], atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_refused_or_become_the_lowest(value):
    array = np.array([[[2, value, 6, 10]]], np.float32)
    image = Image(array, ("nucleus",), None, "field.tif")
    with pytest.raises(DataError, match=r"field\.tif.*1 of 4 in channel nucleus"):
        view_of(image, ("nucleus",), PercentileRule(0.0, 100.0))
    seen = view_of(image, ("nucleus",), PercentileRule(0.0, 100.0), fill=True)
    np.testing.assert_allclose(seen.read((slice(0, 1), slice(0, 4)))[0, 0], [0, 0, 0.5, 1])


def test_only_an_image_that_is_constant_in_every_channel_is_called_constant():
    array = np.zeros((2, 3, 5), np.uint16)
    array[0] = 7
    image = Image(array, ("nucleus", "membrane"), None, "a test")
    assert view_of(image, ("nucleus", "membrane"), PercentileRule()).constant
    array[1, 0, 0] = 1
    assert not view_of(image, ("nucleus", "membrane"), PercentileRule()).constant
