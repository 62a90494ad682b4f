import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path as Line
from scipy import ndimage

from segdistill.data import tracing
from segdistill.data.edges import edges_between
from segdistill.data.outlines import fill
from segdistill.data.rings import areas_of
from segdistill.data.simulate import TissueSettings, simulate_tissue
from segdistill.data.tracing import trace

IMAGES = st.tuples(st.integers(1, 9), st.integers(1, 11)).flatmap(
    lambda shape: arrays(np.int64, shape, elements=st.integers(0, 2))
)


def areas(labels, cuts=()):
    """Trace an image that comes in bands which end at these rows."""
    numbers = np.unique(labels[labels > 0])
    bottoms = np.array([np.flatnonzero((labels == number).any(axis=1))[-1] + 1 for number in numbers], np.int64)
    bands = [band for band in np.split(labels, sorted(cuts)) if len(band)]
    return list(trace(bands, numbers, bottoms))


def filled(found, shape, kind=np.int64):
    """Fill outlines by this package's own rule; refuse a pixel in two parts."""
    labels = np.zeros(shape, kind)
    for area in found:
        for part in area.parts:
            inside = fill([ring.astype(float) for ring in part], shape)
            assert not labels[inside].any()
            labels[inside] = area.label
    return labels


def traced(*rows):
    """Trace one object and return its parts as lists."""
    labels = np.array([[int(character == "#") for character in row] for row in rows])
    (area,) = areas(labels)
    return [[ring.tolist() for ring in part] for part in area.parts]


def test_one_pixel():
    assert traced("..", ".#") == [[[[1, 1], [2, 1], [2, 2], [1, 2]]]]


def test_corners_only_where_the_line_turns():
    assert traced("###", "#..") == [[[[0, 0], [3, 0], [3, 1], [1, 1], [1, 2], [0, 2]]]]


def test_a_hole_is_walked_the_other_way_round():
    outer, hole = traced("###", "#.#", "###")[0]
    assert outer == [[0, 0], [3, 0], [3, 3], [0, 3]]
    assert hole == [[2, 1], [1, 1], [1, 2], [2, 2]]


def test_pixels_that_touch_by_a_corner_are_two_parts():
    assert traced("#.", ".#") == [[[[0, 0], [1, 0], [1, 1], [0, 1]]], [[[1, 1], [2, 1], [2, 2], [1, 2]]]]


def test_holes_that_touch_by_a_corner_are_two_rings():
    (part,) = traced("####", "#.##", "##.#", "####")
    corners = [{tuple(corner) for corner in ring} for ring in part[1:]]
    assert sorted(corners, key=min) == [{(1, 1), (2, 1), (2, 2), (1, 2)}, {(2, 2), (3, 2), (3, 3), (2, 3)}]


def test_a_hole_that_touches_the_border_by_a_corner_is_a_ring_of_its_own():
    # The notch at the upper right meets the hole in (2, 1): one walk would come to it twice.
    (part,) = traced("##.", "#.#", "###")
    assert sorted(len(ring) for ring in part) == [4, 6]


def test_an_island_in_a_hole_is_a_part_and_keeps_its_own_hole():
    rows = ("#######", "#.....#", "#.###.#", "#.#.#.#", "#.###.#", "#.....#", "#######")
    parts = traced(*rows)
    assert [len(part) for part in parts] == [2, 2]
    assert parts[1][1] == [[4, 3], [3, 3], [3, 4], [4, 4]]


@settings(deadline=None, max_examples=100)
@given(labels=IMAGES, cuts=st.lists(st.integers(0, 9), max_size=3))
def test_filling_the_outlines_gives_exactly_the_labels(labels, cuts):
    found = areas(labels, cuts)
    assert len(found) == len(np.unique(labels[labels > 0]))
    np.testing.assert_array_equal(filled(found, labels.shape), labels)


@settings(deadline=None, max_examples=100)
@given(labels=IMAGES)
def test_parts_are_the_pieces_joined_by_sides_and_no_ring_touches_itself(labels):
    for area in areas(labels):
        assert len(area.parts) == ndimage.label(labels == area.label)[1]
        for outer, *holes in area.parts:
            inside = fill([ring.astype(float) for ring in (outer, *holes)], labels.shape)
            assert ndimage.label(inside)[1] == 1
            assert turning(outer) > 0
            assert all(turning(hole) < 0 for hole in holes)
        for ring in (ring for part in area.parts for ring in part):
            assert len({tuple(corner) for corner in ring.tolist()}) == len(ring)
            steps = np.roll(ring, -1, axis=0) - ring
            across = steps[:, 0] != 0
            assert (across ^ (steps[:, 1] != 0)).all()
            assert (across != np.roll(across, 1)).all()


def turning(ring):
    """Twice the area that a ring is around; positive if it is walked from +x to +y, as GeoJSON wants outer rings."""
    (x, y), (next_x, next_y) = ring.T, np.roll(ring, -1, axis=0).T
    return int((x * next_y - next_x * y).sum())


@settings(deadline=None, max_examples=50)
@given(labels=IMAGES, cuts=st.lists(st.integers(0, 9), max_size=4))
def test_cuts_change_no_outline(labels, cuts):
    def described(found):
        return {area.label: [[ring.tolist() for ring in part] for part in area.parts] for area in found}

    assert described(areas(labels, cuts)) == described(areas(labels))


def test_an_object_is_there_as_soon_as_it_has_ended(monkeypatch):
    monkeypatch.setattr(tracing, "_AT_ONCE", 1)  # row by row
    labels = np.array([[1, 0, 2], [0, 0, 2], [0, 3, 2], [0, 0, 2]])
    seen = 0

    def bands():
        nonlocal seen
        for row in labels:
            seen += 1
            yield row[None]

    after = {area.label: seen for area in trace(bands(), np.array([1, 2, 3]), np.array([1, 4, 3]))}
    assert after[1] <= 3  # one row below it, and one that is looked at ahead
    assert after == {1: after[1], 3: 4, 2: 4}


def test_large_numbers_survive():
    labels = np.array([[2**32 - 1, 0, 70_000]])
    assert [area.label for area in areas(labels)] == [70_000, 2**32 - 1]


def test_no_objects_have_no_outlines():
    assert areas(np.zeros((3, 5), np.int64)) == []
    assert list(areas_of(edges_between(np.zeros((2, 5), np.uint32), np.zeros((2, 5), np.uint32), 0))) == []


@pytest.mark.parametrize("holes", [False, True])
def test_an_independent_program_fills_cells_alike(holes):
    cells = simulate_tissue(3, TissueSettings(height=112, width=160)).cells.astype(np.int64)
    if holes:
        cells[np.random.default_rng(0).random(cells.shape) < 0.02] = 0
    found = areas(cells)
    assert len(found) > 20
    rows, columns = np.mgrid[: cells.shape[0], : cells.shape[1]] + 0.5
    centres = np.stack([columns.ravel(), rows.ravel()], axis=1)
    for area in found:
        inside = np.zeros(cells.size, bool)
        for ring in (ring for part in area.parts for ring in part):
            inside ^= Line([*ring.tolist(), ring[0].tolist()], closed=True).contains_points(centres)
        own = (cells == area.label).ravel()
        assert (inside & own).sum() / (inside | own).sum() > 0.99
