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


def cross(picture, y, x, *, arm=6):
    """Draw a caliper on dark ground."""
    picture[0, y - 9 : y + 10, x - 9 : x + 10] = 20
    picture[0, y - arm : y + arm + 1, x] = picture[0, y, x - arm : x + arm + 1] = 255


def test_crosses_with_digits_that_touch_them(speckle):
    for y, x in ((30, 40), (60, 150)):
        cross(speckle, y, x)
        speckle[0, y + 1 : y + 9, x + 1 : x + 5] = 255  # a digit in one corner, joined to both strokes
    assert find_overlays(speckle, GREY) == ("2 bright crosses",)


def test_crosses_that_reach_the_edge_or_a_little_beyond(speckle):
    speckle[0, :20, :60] = 20
    speckle[0, :12, 6] = speckle[0, 5, :13] = 255  # both strokes begin at the edge
    speckle[0, :12, 40] = speckle[0, 5, 34:47] = 255
    assert find_overlays(speckle, GREY) == ("2 bright crosses",)


def test_what_is_no_cross(speckle):
    cross(speckle, 30, 40)
    assert find_overlays(speckle, GREY) == ()  # one alone may be anything
    speckle[0, 51:70, 141:160] = 20
    speckle[0, 54:67, 144:157] = 255  # a square has runs as long, and no empty corner
    assert find_overlays(speckle, GREY) == ()
    cross(speckle, 60, 150)
    speckle[0, 61:69, 151:155] = speckle[0, 52:59, 151:155] = 255  # two corners full
    assert find_overlays(speckle, GREY) == ()


def test_slanting_crosses(speckle):
    for y, x in ((30, 40), (60, 150)):
        speckle[0, y - 9 : y + 10, x - 9 : x + 10] = 20
        for step in range(-6, 7):
            speckle[0, y + step, x + step] = speckle[0, y + step, x - step] = 255
    assert find_overlays(speckle, GREY) == ("2 bright crosses",)


@pytest.mark.parametrize(("lower", "words"), [(1, ("3 bright characters in a row",)), (2, ())])
def test_a_character_may_reach_a_pixel_lower(lower, words):
    picture = np.zeros((1, 40, 60), np.uint8)
    for place, left in enumerate((10, 20, 30)):
        picture[0, 10 : 22 + (lower if place == 1 else 0), left : left + 4] = 255
    assert find_overlays(picture, GREY) == words
