import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import find_contours

from segdistill.data.outlines import fill, is_outlines, read_outlines
from segdistill.errors import DataError


def square(left, top, right, bottom):
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]


def polygon(*rings, **properties):
    return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": list(rings)}, "properties": properties}


def write(path, *features):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}), "utf-8")
    return path


@pytest.fixture
def file(tmp_path):
    return tmp_path / "a.geojson"


def test_pixels_of_whole_squares(file):
    write(file, polygon(square(1, 0, 3, 2)), polygon(square(3, 1, 5, 2)))
    assert read_outlines(file, (3, 5)).tolist() == [[0, 1, 1, 0, 0], [0, 1, 1, 2, 2], [0, 0, 0, 0, 0]]


def test_a_pixel_belongs_where_its_centre_lies(file):
    write(file, polygon(square(0.4, 0, 1.6, 1)), polygon(square(2.6, 0, 3.4, 1), square(0, 1, 1, 2)))
    assert read_outlines(file, (2, 4)).tolist() == [[1, 1, 0, 0], [2, 0, 0, 0]]


def test_a_ring_in_a_ring_is_a_hole(file):
    write(file, polygon(square(0, 0, 3, 3), square(1, 1, 2, 2)))
    assert read_outlines(file, (3, 3)).tolist() == [[1, 1, 1], [1, 0, 1], [1, 1, 1]]


def test_of_two_that_overlap_the_later_has_the_pixel(file):
    write(file, polygon(square(0, 0, 2, 1)), polygon(square(1, 0, 3, 1)))
    assert read_outlines(file, (1, 3)).tolist() == [[1, 2, 2]]


def test_what_reaches_beyond_the_image_is_cut(file):
    write(file, polygon(square(-5, -5, 1, 1)), polygon(square(2, 0, 90, 90)))
    assert read_outlines(file, (2, 3)).tolist() == [[1, 0, 2], [0, 0, 2]]


def test_a_file_without_objects_says_that_nothing_is_there(file):
    assert read_outlines(write(file), (2, 3)).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_an_object_outside_the_image_is_refused_by_name(file):
    write(file, polygon(square(0, 0, 1, 1)), polygon(square(10, 0, 12, 1), name="Tumour"))
    with pytest.raises(DataError, match=r"a\.geojson: feature 2 \('Tumour'\) covers no pixel.*x 10 to 12.*3 × 2"):
        read_outlines(file, (2, 3))


def test_an_object_smaller_than_a_pixel_is_refused(file):
    write(file, polygon(square(0.6, 0.6, 0.9, 0.9)))
    with pytest.raises(DataError, match="feature 1 covers no pixel"):
        read_outlines(file, (2, 3))


def test_objects_in_a_region_are_refused_whichever_comes_first(file):
    region, cell, other = polygon(square(0, 0, 4, 4)), polygon(square(1, 1, 2, 2)), polygon(square(0, 0, 1, 1))
    for features in ((region, other, cell), (other, cell, region)):
        write(file, *features)
        with pytest.raises(DataError, match=r"feature \d lies within others such as feature \d"):
            read_outlines(file, (4, 4))


def test_which_files_are_outlines(tmp_path):
    assert [is_outlines(tmp_path / name) for name in ("a.GeoJSON", "a.roi", "a.zip", "a.json")] == [True] * 3 + [False]


NUMBERS = st.floats(-3, 12, allow_nan=False).map(lambda number: round(number * 4) / 4)
"""On quarters of a pixel, so that centres lie on edges now and then."""


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=3, max_size=9), NUMBERS, NUMBERS)
def test_areas_that_share_edges_share_no_pixel_and_leave_none(corners, x, y):
    """Triangles from any point to the edges of a ring make up the ring, by the even-odd rule."""
    ring, centre = np.array(corners, float), np.array([x, y], float)
    whole = fill([ring], (9, 8))
    parts = np.zeros((9, 8), int)
    for first, second in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        parts += fill([np.array([centre, first, second])], (9, 8))
    assert (parts % 2 == whole).all()


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=3, max_size=9), st.integers(0, 8))
def test_where_a_ring_begins_and_which_way_it_goes_does_not_matter(corners, turn):
    ring = np.array(corners, float)
    assert (fill([ring], (9, 8)) == fill([np.roll(ring, turn, axis=0)], (9, 8))).all()
    assert (fill([ring], (9, 8)) == fill([ring[::-1]], (9, 8))).all()


@given(st.floats(1, 8), st.floats(1, 8), st.floats(0.5, 9))
def test_a_disc_has_the_pixels_whose_centres_are_near(x, y, radius):
    angles = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    inside = fill([np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)], (9, 10))
    rows, columns = np.mgrid[:9, :10] + 0.5
    distance = np.hypot(columns - x, rows - y)
    assert inside[distance < radius * 0.999].all()
    assert not inside[distance > radius * 1.001].any()


@given(st.integers(0, 2**32 - 1))
def test_the_contours_of_objects_give_the_objects_back(seed):
    """Touching objects of any form, with holes and in pieces, outlined as programs do and read again."""
    noise = np.random.default_rng(seed).random((12, 17))
    labels = np.where(noise > 0.25, np.arange(17) // 4 + 1, 0)
    outlines = []
    for number in range(1, 6):
        padded = np.pad(labels == number, 1).astype(float)
        outlines.append([ring[:, ::-1] - 0.5 for ring in find_contours(padded, 0.5, fully_connected="high")])
    again = np.zeros_like(labels)
    for number, rings in enumerate(outlines, start=1):
        again[fill(rings, labels.shape)] = number
    assert (again == labels).all()
