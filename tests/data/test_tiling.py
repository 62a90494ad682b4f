import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import maximum_filter

from segdistill.data.tiling import count_tiles, padded, tiles
from segdistill.errors import ConfigError, ShapeError

law = settings(deadline=None, max_examples=50)
lengths = st.one_of(st.integers(1, 70), st.sampled_from([1, 2, 7, 13, 31, 61, 64, 127]))
cuts = st.tuples(st.integers(5, 40), st.integers(0, 19)).filter(lambda cut: cut[0] > 2 * cut[1] + 3)


def pixels(shape, channels=2):
    return np.random.default_rng(0).integers(0, 60_000, (channels, *shape)).astype(np.uint16)


def cut_and_stitch(image, side, halo, process=lambda tile: tile):
    out = np.zeros_like(image)
    times = np.zeros(image.shape[1:], int)
    for tile in tiles(image.shape[1:], side=side, halo=halo):
        square = process(padded(image[:, *tile.read], tile))
        assert square.shape == (len(image), side, side)
        out[:, *tile.write] = square[:, *tile.keep]
        times[tile.write] += 1
    return out, times


def test_by_hand():
    # Side 8, halo 2: 4 new pixels per tile, and 2 more where the image begins and ends, as no halo is needed there.
    spans = [(t.read[1], t.pad[1], t.keep[1], t.write[1]) for t in tiles((3, 10), side=8, halo=2)]
    assert spans == [
        (slice(0, 8), (0, 0), slice(0, 6), slice(0, 6)),
        (slice(4, 10), (0, 2), slice(2, 6), slice(6, 10)),
    ]
    assert next(tiles((3, 10), side=8, halo=2)).pad[0] == (0, 5)


@pytest.mark.parametrize("shape", [(8, 8), (1, 8), (8, 1), (1, 1), (5, 7)])
def test_an_image_that_fits_one_tile_is_one_tile(shape):
    (tile,) = tiles(shape, side=8, halo=3)
    assert tile.write == (slice(0, shape[0]), slice(0, shape[1]))


@law
@given(lengths, lengths, cuts)
def test_kept_parts_cover_every_pixel_once_and_stitching_undoes_cutting(height, width, cut):
    image = pixels((height, width))
    stitched, times = cut_and_stitch(image, *cut)
    assert (times == 1).all()
    assert (stitched == image).all()
    assert count_tiles((height, width), side=cut[0], halo=cut[1]) == len(
        list(tiles((height, width), side=cut[0], halo=cut[1]))
    )


@law
@given(lengths, lengths, cuts)
def test_every_kept_pixel_sees_its_halo_or_the_end_of_the_image(height, width, cut):
    side, halo = cut
    for tile in tiles((height, width), side=side, halo=halo):
        for length, read, keep, write in zip((height, width), tile.read, tile.keep, tile.write, strict=True):
            assert read.start <= max(0, write.start - halo)
            assert read.stop >= min(length, write.stop + halo)
            assert read.start + keep.start == write.start
            assert read.start + keep.stop == write.stop


@law
@given(lengths, lengths, st.integers(0, 6), st.integers(4, 12))
def test_a_filter_that_reaches_no_farther_than_the_halo_does_not_notice_the_cuts(height, width, halo, core):
    # "mirror" is what padding does at the image's end: the pixel at the end itself is not repeated.
    image = pixels((height, width), channels=1)
    reach = (1, 2 * halo + 1, 2 * halo + 1)
    whole = maximum_filter(image, reach, mode="mirror")
    stitched, _ = cut_and_stitch(image, core + 2 * halo, halo, lambda tile: maximum_filter(tile, reach, mode="mirror"))
    assert (stitched == whole).all()


@law
@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 4), st.integers(0, 2))
def test_a_pooling_grid_lies_in_every_tile_as_in_the_image(height, width, cores, halos):
    stride = 8
    for tile in tiles((height, width), side=stride * (cores + 2 * halos), halo=stride * halos):
        assert tile.read[0].start % stride == 0
        assert tile.read[1].start % stride == 0


def test_tiles_come_row_by_row():
    places = [(tile.write[0].start, tile.write[1].start) for tile in tiles((30, 50), side=16, halo=2)]
    assert places == sorted(places)


def test_tiles_of_a_slide_are_made_one_at_a_time():
    stream = tiles((10**6, 10**6), side=512, halo=64)
    assert next(stream).read == (slice(0, 512), slice(0, 512))


@pytest.mark.parametrize(("side", "halo"), [(8, 4), (8, 5), (0, 0), (8, -1)])
def test_a_halo_that_leaves_nothing_is_refused(side, halo):
    with pytest.raises(ConfigError, match=f"A tile of {side} px with a halo of {halo} px"):
        next(tiles((20, 30), side=side, halo=halo))


def test_an_image_without_pixels_is_refused():
    with pytest.raises(ShapeError, match=r"\(0, 5\)"):
        next(tiles((0, 5), side=8, halo=1))
    with pytest.raises(ShapeError, match=r"\(5, 0\)"):
        count_tiles((5, 0), side=8, halo=1)
