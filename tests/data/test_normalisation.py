import json

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from segdistill.data.finite import filled
from segdistill.data.image import Image
from segdistill.data.normalisation import (
    FullRangeRule,
    PercentileRule,
    measure_range,
    normalise,
    rule_from_json,
    rule_to_json,
)
from segdistill.data.readers import open_image
from segdistill.errors import ConfigError, DataError

law = settings(deadline=None, max_examples=50)
rules = st.one_of(
    st.just(FullRangeRule()),
    st.tuples(st.floats(0, 49), st.floats(50, 100)).map(lambda pair: PercentileRule(*pair)),
)


def image(array, *names, source="a.tif"):
    planes = array if array.ndim == 3 else array[None]
    return Image(planes, names or tuple(f"c{index}" for index in range(len(planes))), None, source)


def normalised(array, rule):
    field = image(array)
    low, high = measure_range(field, rule, names=field.channels)
    return normalise(field.array, low, high)


def picture(shape=(37, 53), levels=256):
    return np.random.default_rng(0).integers(0, levels, shape)


def test_by_hand():
    # 0..100: the 10th percentile is 10, the 90th 90, so 50 is halfway and 5 is clipped.
    ramp = image(np.arange(101, dtype=np.uint8).reshape(1, 101))
    low, high = measure_range(ramp, PercentileRule(10.0, 90.0), names=["c0"])
    assert (low.tolist(), high.tolist()) == ([10], [90])
    assert normalise(ramp.array, low, high)[0, 0, [5, 10, 50, 90, 95]].tolist() == [0, 0, 0.5, 1, 1]


def test_full_range_by_hand():
    for dtype, highest in ((np.uint8, 255), (np.uint16, 65535), (np.int16, 32767), (np.float32, 1), (bool, 1)):
        low, high = measure_range(image(np.ones((3, 5), dtype)), FullRangeRule(), names=["c0"])
        assert (low.tolist(), high.tolist()) == ([0], [highest])


SAME_PICTURE = {
    "uint8": lambda a: a.astype(np.uint8),
    "uint12 in uint16": lambda a: (a * 16).astype(np.uint16),
    "uint16": lambda a: (a * 257).astype(np.uint16),
    "big-endian": lambda a: (a * 257).astype(">u2"),
    "int16": lambda a: (a - 200).astype(np.int16),
    "uint32": lambda a: (a * 16_843_009).astype(np.uint32),
    "int64": lambda a: a * 10**12,
    "float16": lambda a: a.astype(np.float16),
    "float 0-1": lambda a: (a / 255).astype(np.float32),
    "float 0-65535": lambda a: (a * 257).astype(np.float64),
}


@pytest.mark.parametrize("kind", SAME_PICTURE)
def test_the_same_picture_in_another_type_is_the_same(kind):
    expected = normalised(picture().astype(np.uint8), PercentileRule())
    assert expected.max() == 1
    assert normalised(SAME_PICTURE[kind](picture()), PercentileRule()) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("rule", [PercentileRule(), FullRangeRule()])
def test_truth_values_are_a_picture_of_two_levels(rule):
    levels = picture(levels=2)
    expected = levels[None].astype(np.float32)
    for dtype, scale in ((bool, 1), (np.uint8, 255), (np.float32, 1)):
        assert (normalised((levels * scale).astype(dtype), rule) == expected).all()


@law
@given(arrays.arrays(st.sampled_from([np.uint8, np.int32, np.uint16]), (2, 3, 5)), rules)
def test_the_result_is_always_0_to_1(array, rule):
    result = normalised(array, rule)
    assert result.dtype == np.float32
    assert result.min() >= 0
    assert result.max() <= 1


@law
@given(arrays.arrays(np.uint16, (1, 4, 7)), st.integers(0, 3), st.integers(0, 6))
def test_a_window_is_normalised_as_in_its_image(array, y, x):
    low, high = measure_range(image(array), PercentileRule(), names=["c0"])
    assert (normalise(array[:, y:, x:], low, high) == normalise(array, low, high)[:, y:, x:]).all()


@pytest.mark.parametrize("value", [0, 7, 65535])
def test_a_constant_channel_becomes_0(value):
    assert not normalised(np.full((3, 5), value, np.uint16), PercentileRule()).any()


def test_a_few_bright_pixels_do_not_vanish():
    # 3 of 10,000 pixels: both percentiles are 0.
    array = np.zeros((100, 100), np.uint16)
    array[50, 20:23] = 900
    assert normalised(array, PercentileRule())[0, 50, 19:24].tolist() == [0, 1, 1, 1, 0]


def test_channels_are_chosen_by_name_and_measured_apart():
    field = image(np.stack([picture(), picture() * 100]).astype(np.uint16), "nucleus", "membrane")
    rule = PercentileRule(0.0, 100.0)
    low, high = measure_range(field, rule, names=["membrane", "blank", "nucleus"])
    assert low.tolist() == [0, 0, 0]
    assert high.tolist() == [25500, 0, 255]
    with pytest.raises(DataError, match=r"a\.tif has no channel 'DAPI'"):
        measure_range(field, rule, names=["DAPI"])


def spotted(value):
    array = picture((7, 11)).astype(np.float32)
    array[3, 4:6] = value
    return image(array, "DAPI")


@pytest.mark.parametrize("rule", [PercentileRule(), FullRangeRule()])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_refused_unless_told(rule, value):
    with pytest.raises(DataError, match=r"a\.tif has pixels that are NaN or infinite: 2 of 77 in channel DAPI"):
        measure_range(spotted(value), rule, names=["DAPI"])


@pytest.mark.parametrize("exact", [True, False])
def test_an_image_has_one_range_whether_it_is_filled_before_or_not(monkeypatch, exact):
    if not exact:  # then only some blocks are measured, and none of them holds the lowest number
        monkeypatch.setattr("segdistill.data.normalisation._EXACT", 2 * 512**2)
    array = np.random.default_rng(0).gamma(2, 50, (1, 512, 2048)).astype(np.float32)
    array[0, :, :1000] = np.nan
    array[0, 3, 1100] = -7
    rule = PercentileRule(1.0, 99.0)
    ranges = [
        measure_range(image(each[0], "DAPI"), rule, names=["DAPI"], ignore_non_finite=True)
        for each in (array, filled(array))
    ]
    np.testing.assert_array_equal(*ranges)
    assert ranges[0][0] == -7


def test_pixels_that_are_not_finite_count_as_the_lowest():
    rule = PercentileRule(0.0, 100.0)
    finite = picture((7, 11)).astype(np.float32).reshape(-1)
    finite = np.delete(finite, [3 * 11 + 4, 3 * 11 + 5])
    low, high = measure_range(spotted(np.nan), rule, names=["DAPI"], ignore_non_finite=True)
    assert (low[0], high[0]) == (finite.min(), finite.max())
    nothing = image(np.full((3, 5), np.nan), "DAPI")
    assert measure_range(nothing, rule, names=["DAPI"], ignore_non_finite=True)[1].tolist() == [0]


def test_floats_beyond_1_have_no_full_range():
    with pytest.raises(DataError, match=r"a\.tif holds float32 numbers from 0 to 255.*percentile rule"):
        measure_range(image(picture().astype(np.float32)), FullRangeRule(), names=["c0"])


def test_a_difference_lost_in_32_bits_is_refused():
    array = 2**31 + picture(levels=2).astype(np.uint32)
    with pytest.raises(DataError, match="too large for so small a difference"):
        measure_range(image(array), PercentileRule(), names=["c0"])


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    """Return a TIFF of 5,000 × 4,000 pixels whose brightness rises from left to right."""
    path = tmp_path_factory.mktemp("slide") / "slide.tif"
    ramp = np.broadcast_to(np.linspace(0, 60_000, 4000).astype(np.uint16), (5000, 4000))
    tifffile.imwrite(path, ramp, tile=(512, 512), compression="zlib", metadata={"axes": "YX"})
    return path


def test_large_images_are_measured_in_blocks_that_are_always_the_same(slide):
    rule = PercentileRule(1.0, 99.0)
    with open_image(slide) as source:
        assert source.shape[1] * source.shape[2] > 2**24
        low, high = measure_range(source, rule, names=source.channels)
        again = measure_range(source, rule, names=source.channels)
        memory = image(source.read(), *source.channels)
    assert (again[0] == low, again[1] == high) == (True, True)
    assert low[0] == pytest.approx(600, abs=600)
    assert high[0] == pytest.approx(59_400, abs=600)
    assert measure_range(memory, rule, names=memory.channels) == (low, high)


class Counting:
    """An opened image of any size that counts the pixels read of it."""

    pixel_size, dtype, source = None, np.dtype(np.uint8), "slide"

    def __init__(self, channels, height, width):
        self.channels = tuple(f"c{index}" for index in range(channels))
        self.shape = (channels, height, width)
        self.largest = self.total = 0

    def read(self, window=None):
        height, width = (part.stop - part.start for part in window)
        self.largest = max(self.largest, self.shape[0] * height * width)
        self.total += height * width
        return np.broadcast_to(np.arange(width, dtype=np.uint8), (self.shape[0], height, width))

    def close(self): ...
    def __enter__(self): ...
    def __exit__(self, *_): ...


@pytest.mark.parametrize("shape", [(100_000, 70_000), (1, 50_000_000), (50_000_000, 600)])
def test_only_blocks_of_a_large_image_are_read(shape):
    source = Counting(1, *shape)
    low, high = measure_range(source, PercentileRule(0.0, 100.0), names=["c0", "blank"])
    assert (low.tolist(), high.tolist()) == ([0, 0], [255, 0])
    assert source.largest <= 512 * 512
    assert source.total <= 2**24


def test_of_many_channels_only_those_wanted_are_kept_in_memory():
    source = Counting(40, 3000, 4000)
    measure_range(source, PercentileRule(), names=["c7"])
    assert source.largest <= 4 * 2**24
    assert source.total == 3000 * 4000


def test_a_large_image_that_looks_empty_is_read_to_its_end():
    array = np.zeros((1, 4200, 4100), np.uint8)
    array[0, 2100, 2200] = 200  # of 9 rows of blocks 8 are sampled, and this is in the row left out
    low, high = measure_range(image(array), PercentileRule(), names=["c0"])
    assert (low[0], high[0]) == (0, 200)


@law
@given(rules)
def test_rules_survive_json(rule):
    assert rule_from_json(json.loads(json.dumps(rule_to_json(rule)))) == rule


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"rule": "z-score"},
        {"rule": "percentile", "lower": "0"},
        {"rule": "percentile", "middle": 50},
        {"rule": "full-range", "lower": 0},
        {"rule": ["percentile"]},
    ],
)
def test_unknown_rules_are_refused(value):
    with pytest.raises(ConfigError, match="no normalisation rule"):
        rule_from_json(value)


@pytest.mark.parametrize(
    ("lower", "upper"), [(50.0, 50.0), (99.0, 1.0), (-1.0, 99.0), (0.0, 101.0), (float("nan"), 99.0)]
)
def test_percentiles_must_rise_within_0_and_100(lower, upper):
    with pytest.raises(ConfigError, match="percentiles are"):
        PercentileRule(lower, upper)
