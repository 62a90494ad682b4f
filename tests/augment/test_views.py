import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdistill.augment import View, draw_views, pad_mirrored, pad_uncounted, window, window_side
from segdistill.errors import ConfigError, ShapeError

SHAPES = st.tuples(st.integers(1, 90), st.integers(1, 120))


def draw(slots, shapes, *, seed=0, step=0, crop=16, **options):
    return draw_views(seed=seed, step=step, slots=slots, shapes=shapes, crop=crop, **options)


@given(shapes=st.lists(SHAPES, min_size=2, max_size=6), seed=st.integers(0, 9), step=st.integers(0, 10**6))
def test_a_view_depends_on_seed_step_and_slot_alone(shapes, seed, step):
    whole = draw(range(len(shapes)), shapes, seed=seed, step=step)
    backwards = [draw([slot], [shapes[slot]], seed=seed, step=step)[0] for slot in reversed(range(len(shapes)))]
    assert whole == tuple(reversed(backwards))


def test_seed_step_and_slot_all_matter():
    views = {
        draw([slot], [(200, 300)], seed=seed, step=step)[0] for seed in (0, 1) for step in (0, 1) for slot in (0, 1)
    }
    assert len(views) == 8


def test_switching_turns_and_flips_off_leaves_the_crops():
    shapes = [(60, 90)] * 20
    for one, other in zip(draw(range(20), shapes), draw(range(20), shapes, turns=False, flips=False), strict=True):
        assert (one.origin, one.scale) == (other.origin, other.scale)
        assert (other.turns, other.flip) == (0, False)


def test_all_turns_flips_places_and_scales_occur():
    views = draw(range(2000), [(19, 23)] * 2000, crop=16, scale=(1.0, 1.0))
    assert {(view.turns, view.flip) for view in views} == {(t, f) for t in range(4) for f in (False, True)}
    # A crop of 16 has 4 places in 19 pixels and 8 in 23.
    assert {view.origin for view in views} == {(y, x) for y in range(4) for x in range(8)}
    scales = np.array([view.scale for view in draw(range(2000), [(90, 99)] * 2000)])
    assert scales.min() < 0.76
    assert scales.max() > 1.24
    assert scales.mean() == pytest.approx(1.0, abs=0.02)


@given(crop=st.integers(1, 300), low=st.floats(0.2, 3.0))
def test_a_window_holds_every_crop_and_is_odd_or_even_with_it(crop, low):
    side = window_side(crop, low)
    assert side - 1 >= (crop - 1) / low
    assert side - 1 < (crop - 1) / low + 2
    assert (side - crop) % 2 == 0


def test_at_scale_one_the_window_is_the_crop():
    assert window_side(128, 1.0) == 128


@given(shape=SHAPES, slot=st.integers(0, 50), crop=st.integers(1, 40))
def test_a_window_lies_in_the_image_and_is_padded_to_the_side(shape, slot, crop):
    (view,) = draw([slot], [shape], crop=crop)
    place = window(view, shape)
    picture = np.arange(shape[0] * shape[1]).reshape(shape)
    read = picture[place.read]
    for part, length, (before, after) in zip(place.read, shape, place.pad, strict=True):
        assert 0 <= part.start < part.stop <= length
        assert part.stop - part.start + before + after == view.side
    assert np.isin(pad_mirrored(read[None], place), picture).all()
    assert pad_mirrored(read[None], place).shape == (1, view.side, view.side)


def test_padding_mirrors_the_picture_and_does_not_count():
    # 2 × 3 pixels in a window of 4 × 5: one pixel more on every side.
    place = window(View(crop=4, side=5, origin=(-1, -1)), (3, 3))
    assert place.pad == ((1, 1), (1, 1))
    assert pad_mirrored(np.arange(9).reshape(3, 3), place).tolist() == [
        [4, 3, 4, 5, 4],
        [1, 0, 1, 2, 1],
        [4, 3, 4, 5, 4],
        [7, 6, 7, 8, 7],
        [4, 3, 4, 5, 4],
    ]
    counted = pad_uncounted(np.ones((3, 3), bool), place)
    assert counted.sum() == 9
    assert counted[1:4, 1:4].all()


def test_one_pixel_fills_its_window():
    (view,) = draw([0], [(1, 1)])
    place = window(view, (1, 1))
    assert (pad_mirrored(np.full((1, 1), 7), place) == 7).all()
    assert pad_uncounted(np.ones((1, 1), bool), place).sum() == 1


@pytest.mark.parametrize(
    "options",
    [{"crop": 0}, {"scale": (0.0, 1.0)}, {"scale": (1.25, 0.75)}, {"scale": (1.0, float("inf"))}],
)
def test_impossible_settings_are_refused_with_an_example(options):
    with pytest.raises(ConfigError, match=r"such as 0\.75 1\.25"):
        draw([0], [(40, 50)], **options)


def test_slots_without_shape_and_images_without_pixels_are_refused():
    with pytest.raises(ShapeError, match="2 slots but 1 image shapes"):
        draw([0, 1], [(40, 50)])
    with pytest.raises(ShapeError, match="0 pixels"):
        draw([0], [(0, 5)])


def test_a_view_of_another_image_is_refused():
    with pytest.raises(ShapeError, match=r"does not touch an image of \(30, 40\)"):
        window(View(crop=8, side=8, origin=(100, 0)), (30, 40))
