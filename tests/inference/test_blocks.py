from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from segdistill.data.labels import Structure
from segdistill.errors import ShapeError
from segdistill.evaluation.instances import match, panoptic_quality
from segdistill.inference.blocks import BlockSegmenter
from segdistill.inference.instances import find_seeds, segment

CELL, VESSEL = Structure("cell", instances=True), Structure("vessel", instances=False)


def parts(maps, rows=16, columns=24):
    """The maps as a network would give them: row by row."""
    _, height, width = maps.shape
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            window = slice(top, min(top + rows, height)), slice(left, min(left + columns, width))
            yield window, maps[:, window[0], window[1]]


def in_blocks(maps, structures=(CELL,), thresholds=None, **options):
    """Return name to (labels, objects, dropped, pixels)."""
    with BlockSegmenter(maps.shape[1:], structures, thresholds or {}, **options) as segmenter:
        for part in parts(maps):
            segmenter.add(*part)
        return {
            name: (mask.whole(), mask.objects, mask.dropped, mask.pixels) for name, mask in segmenter.finish().items()
        }


@pytest.mark.parametrize("block", [61, 100, 128])
def test_dense_cells_across_blocks_are_those_of_the_uncut_image(dense, block):
    maps = dense(310, 423)
    whole = segment(maps, [CELL], {})["cell"]
    cut, count, dropped, pixels = in_blocks(maps, block=block, margin=64)["cell"]
    assert whole.max() > 200
    assert (count, dropped, pixels) == (whole.max(), 0, np.count_nonzero(whole))
    assert cut.max() == count
    assert panoptic_quality(match(cut, whole)) >= 0.999


def test_one_block_gives_the_very_same_mask(dense):
    maps = dense(90, 131)
    np.testing.assert_array_equal(in_blocks(maps)["cell"][0], segment(maps, [CELL], {})["cell"])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), block=st.integers(12, 40), margin=st.integers(1, 30))
def test_objects_that_are_all_seed_come_out_exactly_whatever_the_blocks(seed, block, margin):
    # Blobs of any size and shape that do not touch: each comes out whole, and no two under one number.
    generator = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(generator.normal(size=(47, 64)), generator.uniform(1, 4))
    maps = np.stack([np.where(smooth > 0, 0.9, 0.1), np.zeros_like(smooth)]).astype(np.float32)
    whole = segment(maps, [CELL], {})["cell"]
    cut, count, _, _ = in_blocks(maps, block=block, margin=margin)["cell"]
    assert count == cut.max() == whole.max()
    assert len({*zip(cut.ravel().tolist(), whole.ravel().tolist(), strict=True)}) == count + bool((whole == 0).any())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), block=st.integers(12, 40), smoothing=st.sampled_from([0.7, 1.0, 2.5]))
def test_smoothed_seeds_are_those_of_the_uncut_image_to_the_pixel(seed, block, smoothing):
    # Noise all over: whether a pixel is a seed depends on pixels of other blocks.
    generator = np.random.default_rng(seed)
    maps = generator.random((2, 47, 64)).astype(np.float32)
    maps[0] = 0.6 + 0.4 * maps[0]
    cut = {"cell": {"smoothing": smoothing, "seed": 0.42}}
    wanted = find_seeds(maps, [CELL], cut)["cell"]
    found = np.zeros_like(wanted)

    class Watching(BlockSegmenter):
        def _segment_band(self):
            canvas = self._canvases["cell"]
            add = canvas.add

            def watched(mask, seeds, place):
                found[place.seen] |= seeds
                np.testing.assert_array_equal(seeds, wanted[place.seen])
                add(mask, seeds, place)

            canvas.add = watched
            super()._segment_band()
            canvas.add = add

    with Watching(maps.shape[1:], [CELL], cut, block=block, margin=5) as segmenter:
        for part in parts(maps):
            segmenter.add(*part)
        objects = segmenter.finish()["cell"].objects
    np.testing.assert_array_equal(found, wanted)
    if wanted.any():
        assert objects == segment(maps, [CELL], cut)["cell"].max()


def test_dense_cells_with_noisy_maps_across_blocks_are_those_of_the_uncut_image(dense):
    maps = dense(310, 423)
    maps[1] = np.clip(maps[1] + np.random.default_rng(1).normal(0, 0.25, maps[1].shape), 0, 1)
    cut = {"cell": {"smoothing": 2.0, "seed": 0.6}}
    whole = segment(maps, [CELL], cut)["cell"]
    blocks, count, _, _ = in_blocks(maps, thresholds=cut, block=100, margin=64)["cell"]
    assert whole.max() > 200
    assert count == whole.max()
    assert panoptic_quality(match(blocks, whole)) >= 0.999


def thin(left, right):
    """A thin line, all boundary, with a seed (or none) at either end."""
    maps = np.zeros((2, 21, 200), np.float32)
    maps[:, 10, 5:195] = 0.9
    for there, columns in ((left, slice(5, 12)), (right, slice(188, 195))):
        if there:
            maps[0, 7:14, columns], maps[1, 7:14, columns] = 0.9, 0.0
    return maps


@pytest.mark.parametrize(("left", "right", "wanted"), [(0, 0, 1), (1, 0, 1), (0, 1, 1), (1, 1, 2)])
def test_what_lies_far_from_its_seed_joins_it_but_never_joins_two(left, right, wanted):
    labels, count, _, _ = in_blocks(thin(left, right), block=24, margin=8)["cell"]
    assert count == wanted == segment(thin(left, right), [CELL], {})["cell"].max()
    np.testing.assert_array_equal(labels > 0, thin(left, right)[0] > 0.5)


def test_an_object_larger_than_any_block_is_one_object():
    maps = np.zeros((2, 150, 210), np.float32)
    maps[0, 3:147, 3:200] = 0.9
    maps[0, 60:80, 203:208] = 0.9
    labels, count, _, _ = in_blocks(maps, block=32, margin=16)["cell"]
    assert count == 2
    assert sorted(np.bincount(labels.ravel())[1:]) == [100, 144 * 197]


def test_sizes_are_those_of_whole_objects_and_what_is_dropped_is_counted():
    maps = np.zeros((2, 40, 60), np.float32)
    maps[0, 10:12, 5:55] = 0.9  # 100 px across the blocks
    maps[0, 30:33, 20:23] = 0.9  # 9 px, on a corner of four of them
    cut = {"cell": {"foreground": 0.5, "seed": 0.5, "minimum_size": 50}}
    labels, count, dropped, pixels = in_blocks(maps, thresholds=cut, block=21, margin=12)["cell"]
    assert (count, dropped, pixels) == (1, 1, 100)
    assert np.count_nonzero(labels) == 100


def test_more_objects_than_16_bits_hold():
    maps = np.zeros((2, 530, 545), np.float32)
    maps[0, ::2, ::2] = 0.9  # 265 × 273 objects of one pixel
    labels, count, _, _ = in_blocks(maps, block=128, margin=16)["cell"]
    assert count == 265 * 273 == labels.max() == len(np.unique(labels)) - 1
    assert labels.dtype == np.uint32


def test_a_mask_without_objects_is_exact(dense):
    maps = np.concatenate([dense(75, 110), dense(75, 110, seed=3)[1:]])
    labels, count, _, pixels = in_blocks(maps, (CELL, VESSEL), block=20, margin=8)["vessel"]
    np.testing.assert_array_equal(labels, maps[2] > 0.5)
    assert count is None
    assert pixels == np.count_nonzero(maps[2] > 0.5)


def test_numbers_run_from_the_top(dense):
    maps = dense(120, 170)
    labels = in_blocks(maps, block=50, margin=40)["cell"][0]
    tops = [place[0].start for place in ndimage.find_objects(labels)]
    assert all(later + 50 + 40 > earlier for earlier, later in pairwise(tops))


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (7, 13)])
def test_odd_shapes(shape):
    maps = np.stack([np.full(shape, 0.9), np.zeros(shape)]).astype(np.float32)
    labels, count, _, _ = in_blocks(maps, block=32, margin=16)["cell"]
    assert labels.shape == shape
    assert count == 1


def test_missing_parts_are_told():
    with BlockSegmenter((40, 50), [CELL], {}) as segmenter:
        segmenter.add((slice(0, 20), slice(0, 50)), np.zeros((2, 20, 50), np.float32))
        with pytest.raises(ShapeError, match="20 of 40 rows"):
            segmenter.finish()
