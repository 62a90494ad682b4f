import numpy as np
import pytest
from PIL import Image, ImageDraw

from segdistill.data.overlays import find_overlays

GREY, COLOUR = ("channel0",), ("red", "green", "blue")


@pytest.fixture
def speckle():
    """An ultrasound-like picture."""
    return np.random.default_rng(0).gamma(2.0, 18.0, (1, 120, 200)).clip(0, 200).astype(np.uint8)


def written(picture, text):
    """Write large letters into a picture."""
    plane = Image.fromarray(picture[0])
    ImageDraw.Draw(plane).text((20, 90), text, fill=255, font_size=20)
    return np.asarray(plane)[None]


def test_text_is_found_and_speckle_is_not_text(speckle):
    [found] = find_overlays(written(speckle, "BREAST"), GREY)
    assert found.endswith("bright characters in a row")
    assert find_overlays(speckle, GREY) == ()


def test_coloured_marks_in_a_grey_picture(speckle):
    picture = np.repeat(speckle, 3, axis=0)
    assert find_overlays(picture, COLOUR) == ()
    picture[:, 50, 40:80] = np.array([250, 240, 20], np.uint8)[:, None]
    assert find_overlays(picture, COLOUR) == ("coloured marks (40 pixels) in a grey picture",)


def test_crosses_of_calipers(speckle):
    for y, x in ((30, 40), (60, 150)):
        speckle[0, y - 9 : y + 10, x - 9 : x + 10] = 20
        speckle[0, y - 6 : y + 7, x] = speckle[0, y, x - 6 : x + 7] = 255
    assert find_overlays(speckle, GREY) == ("2 bright crosses",)


def test_pictures_in_colour_other_types_and_named_channels_are_left_alone(speckle):
    text = written(speckle, "BREAST")
    assert find_overlays(text, ("DAPI",)) == ()
    assert find_overlays(text.astype(np.uint16), GREY) == ()
    stained = np.random.default_rng(1).integers(0, 255, (3, 60, 80)).astype(np.uint8)
    assert find_overlays(stained, COLOUR) == ()
