import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdistill.data.image import Image
from segdistill.data.inversion import has_bright_background, inverted
from segdistill.data.normalisation import PercentileRule, measure_range, normalise
from segdistill.errors import DataError


def picture(values, dtype=np.uint8, channels=("channel0",)):
    return Image(np.asarray(values, dtype).reshape(len(channels), 2, -1), channels, None, "a.png")


DARK = [0, 10, 20, 30, 20, 250]  # median 20 of 0…250
BRIGHT = [255, 240, 230, 220, 235, 10]  # median 232.5 of 10…255


@pytest.mark.parametrize(
    ("which", "turned"), [("none", (False, False)), ("all", (True, True)), ("bright", (False, True))]
)
def test_which_images_are_turned(which, turned):
    found = [inverted(picture(values), which) for values in (DARK, BRIGHT)]
    assert tuple(image.inverted for image in found) == turned
    for image, values in zip(found, (DARK, BRIGHT), strict=True):
        expected = [255 - value for value in values] if image.inverted else values
        assert image.array.ravel().tolist() == expected
        assert image.array.dtype == np.uint8


def test_a_stained_picture_is_judged_by_its_brightness_and_turned_in_every_colour():
    # White ground, one purple pixel: luma 255 and 0.299·80 + 0.114·120 = 38.
    colours = [[255] * 5 + [80], [255] * 5 + [0], [255] * 5 + [120]]
    image = inverted(picture(colours, channels=("red", "green", "blue")), "bright")
    assert image.inverted
    assert image.array[:, 1, 2].tolist() == [175, 255, 135]
    assert image.array[:, 0, 0].tolist() == [0, 0, 0]


@given(seed=st.integers(0, 2**16), dtype=st.sampled_from(["uint8", "uint16", "int16", "float32"]))
def test_turned_is_mirrored_to_a_network_and_twice_is_once_not(seed, dtype):
    draw = np.random.default_rng(seed)
    image = picture((draw.random((2, 50)) * 200 - (100 if dtype in {"int16", "float32"} else 0)), np.dtype(dtype))
    rule = PercentileRule(0.0, 100.0)
    seen = []
    for each in (image, inverted(image, "all")):
        low, high = measure_range(each, rule, names=["channel0"])
        seen.append(normalise(each.array, low, high))
    np.testing.assert_allclose(seen[1], 1 - seen[0], atol=1e-5)
    twice = inverted(inverted(image, "all"), "all").array
    np.testing.assert_allclose(twice, image.array, atol=1e-4)


def test_an_even_image_has_no_bright_background():
    assert not has_bright_background(picture([7] * 6))


def test_only_pictures_have_a_background():
    with pytest.raises(DataError, match=r"a\.png has no channel 'luma'"):
        inverted(picture([DARK, DARK], channels=("nucleus", "membrane")), "bright")
