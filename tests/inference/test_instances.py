import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.segmentation import watershed

from segdistill.data.labels import Structure
from segdistill.errors import ShapeError
from segdistill.inference.instances import grown, instances, segment, without_small

CELL, VESSEL = Structure("cell", instances=True), Structure("vessel", instances=False)

probability = hnp.arrays(np.float32, (9, 14), elements=st.floats(0, 1, width=16))


def objects(foreground, boundary, *, minimum_size=0):
    return instances(foreground, boundary, foreground_threshold=0.5, seed_threshold=0.5, minimum_size=minimum_size)


def test_two_touching_cells_are_told_apart_by_the_boundary_between_them():
    foreground = np.zeros((5, 9), np.float32)
    foreground[1:4, 1:8] = 0.9
    boundary = np.zeros_like(foreground)
    boundary[1:4, 4] = 0.9
    found = objects(foreground, boundary)
    assert set(found[2, 1:4]) == {1}
    assert set(found[2, 5:8]) == {2}
    assert ((found > 0) == (foreground > 0.5)).all()


@settings(deadline=None)
@given(foreground=probability, boundary=probability)
def test_every_pixel_of_foreground_belongs_to_one_object_that_hangs_together(foreground, boundary):
    found = objects(foreground, boundary)
    np.testing.assert_array_equal(found > 0, foreground > 0.5)
    assert found.dtype == np.uint32
    assert sorted(set(found.ravel()) - {0}) == list(range(1, found.max() + 1))
    for number in range(1, found.max() + 1):
        assert ndimage.label(found == number)[1] == 1


@settings(deadline=None)
@given(
    heights=st.permutations(range(9 * 14)),
    seeds=hnp.arrays(bool, (9, 14), elements=st.booleans()),
    inside=hnp.arrays(bool, (9, 14), elements=st.sampled_from([True, True, True, False])),
)
def test_leaving_out_the_middles_of_seeds_changes_nothing(heights, seeds, inside):
    relief = np.array(heights, np.float32).reshape(9, 14)  # no two places are equally high: there is one answer
    pieces, count = ndimage.label(seeds & inside)
    whole, _ = ndimage.label(inside)
    seedless = inside & ~np.isin(whole, whole[pieces > 0])
    markers = np.where(seedless, whole + count, pieces)
    np.testing.assert_array_equal(grown(relief, seeds, inside), watershed(relief, markers=markers, mask=inside))


@settings(deadline=None)
@given(foreground=probability, boundary=probability, axis=st.sampled_from([0, 1]))
def test_a_mirrored_image_has_as_many_objects(foreground, boundary, axis):
    mirrored = objects(np.flip(foreground, axis).copy(), np.flip(boundary, axis).copy())
    assert mirrored.max() == objects(foreground, boundary).max()


def test_tiny_and_huge_objects_are_kept():
    foreground = np.zeros((40, 60), np.float32)
    foreground[2:38, 2:56] = 0.9  # most of the image
    foreground[5, 58] = 0.9  # one pixel
    found = objects(foreground, np.zeros_like(foreground))
    assert sorted(np.bincount(found.ravel())[1:]) == [1, 36 * 54]
    assert objects(foreground, np.zeros_like(foreground), minimum_size=2).max() == 1


def test_an_object_that_is_all_boundary_is_not_lost():
    foreground = np.zeros((3, 5), np.float32)
    foreground[1, 1:4] = 0.9
    assert objects(foreground, np.ones_like(foreground)).max() == 1


def test_nothing_gives_an_empty_mask():
    empty = np.zeros((3, 5), np.float32)
    assert objects(empty, empty).max() == 0


@settings(deadline=None)
@given(
    labels=hnp.arrays(np.uint32, (6, 7), elements=st.integers(0, 5)),
    minimum_size=st.integers(0, 6),
)
def test_small_objects_go_and_the_others_keep_their_pixels_and_order(labels, minimum_size):
    kept = without_small(labels, minimum_size)
    sizes = np.bincount(labels.ravel(), minlength=6)
    survivors = [number for number in range(1, 6) if sizes[number] >= max(1, minimum_size)]
    wanted = np.zeros_like(labels)
    for new, old in enumerate(survivors, start=1):
        wanted[labels == old] = new
    np.testing.assert_array_equal(kept, wanted)


def test_each_structure_takes_its_own_maps_and_thresholds():
    maps = np.zeros((3, 4, 6), np.float32)
    maps[0, 1:3, 1:5] = 0.6  # vessel
    maps[1, 0, 0] = 0.4  # cell
    masks = segment(maps, [VESSEL, CELL], {"cell": {"foreground": 0.3, "seed": 0.3, "minimum_size": 0}})
    assert masks["vessel"].sum() == 8
    assert masks["cell"].sum() == 1
    assert segment(maps, [VESSEL, CELL], {"vessel": {"foreground": 0.7}})["vessel"].sum() == 0


def test_maps_that_do_not_fit_the_structures_are_refused():
    with pytest.raises(ShapeError, match=r"2 maps.*3 outputs.*vessel, cell, cell\.boundary"):
        segment(np.zeros((2, 3, 5), np.float32), [VESSEL, CELL], {})


def test_smoothing_closes_a_gap_in_a_boundary_and_ignores_a_speck_of_one():
    foreground, boundary = np.full((11, 21), 0.9, np.float32), np.zeros((11, 21), np.float32)
    boundary[:, 9:12] = 1
    boundary[5, 9:12] = 0  # through this row the two halves hang together
    cut = {"foreground_threshold": 0.5, "seed_threshold": 0.6, "minimum_size": 0}
    assert instances(foreground, boundary, **cut).max() == 1
    assert instances(foreground, boundary, **cut, smoothing=1.5).max() == 2
    ring = np.zeros((11, 21), np.float32)
    ring[4:7, 4:7], ring[5, 5] = 1, 0  # one pixel, cut off by a false boundary, would be an object
    assert instances(foreground, ring, **cut).max() == 2
    assert instances(foreground, ring, **cut, smoothing=1.5).max() == 1
