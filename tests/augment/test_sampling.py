import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segdistill.augment import View, apply_views, draw_views, pad_mirrored, pad_uncounted, window
from segdistill.errors import DataError, ShapeError


def cut(array, views, pad=pad_mirrored):
    """Return the windows of one picture (c y x) that these views need, as a batch."""
    places = [window(view, array.shape[1:]) for view in views]
    return torch.from_numpy(np.stack([pad(array[:, *place.read], place) for place in places]))


def draw(count, shape, *, crop=16, seed=0, **options):
    return draw_views(seed=seed, step=0, slots=range(count), shapes=[shape] * count, crop=crop, **options)


@pytest.mark.parametrize("nearest", [True, False])
@pytest.mark.parametrize("crop", [15, 16])
def test_flips_and_turns_at_scale_one_are_numpys_to_the_bit(nearest, crop):
    picture = np.random.default_rng(0).random((2, 23, 31)).astype(np.float32)
    views = draw(64, (23, 31), crop=crop, scale=(1.0, 1.0))
    found = apply_views(cut(picture, views), views, nearest=nearest).numpy()
    for view, result in zip(views, found, strict=True):
        (y, x) = view.origin
        expected = picture[:, y : y + crop, x : x + crop]
        expected = np.flip(expected, axis=2) if view.flip else expected
        np.testing.assert_array_equal(result, np.rot90(expected, view.turns, axes=(1, 2)))


def test_scaling_by_hand():
    # Twice as large: pixels half a pixel apart about the middle (2) of 0..4, mixed in between.
    row = torch.tensor([[[[0.0, 1.0, 4.0, 9.0, 16.0]]]]).expand(1, 1, 5, 5)
    view = View(crop=5, side=5, origin=(0, 0), scale=2.0)
    assert apply_views(row, [view], nearest=False)[0, 0, 2].tolist() == [1.0, 2.5, 4.0, 6.5, 9.0]
    # Half as large: every second pixel.
    view = View(crop=3, side=5, origin=(0, 0), scale=0.5)
    assert apply_views(row, [view], nearest=False)[0, 0, 0].tolist() == [0.0, 4.0, 16.0]


@given(seed=st.integers(0, 10**6))
def test_image_labels_and_counts_stay_on_each_other(seed):
    # The picture holds its own coordinates; the labels hold them as one number.
    height, width = 45, 61
    y, x = np.mgrid[:height, :width]
    views = draw(4, (height, width), seed=seed)
    image = apply_views(cut(np.stack([y, x]).astype(np.float64), views), views, nearest=False)
    labels = apply_views(cut((y * width + x)[None], views), views, nearest=True)
    counts = apply_views(cut(np.ones((1, height, width), bool), views, pad_uncounted), views, nearest=True)
    assert counts.all()  # the picture is larger than any crop
    assert (image[:, 0] - labels[:, 0] // width).abs().max() <= 0.5 + 1e-9
    assert (image[:, 1] - labels[:, 0] % width).abs().max() <= 0.5 + 1e-9


@given(seed=st.integers(0, 10**6))
def test_neighbours_lie_one_pixel_apart_divided_by_the_scale(seed):
    y, x = np.mgrid[:45, :61]
    views = draw(3, (45, 61), seed=seed)
    image = apply_views(cut(np.stack([y, x]).astype(np.float64), views), views, nearest=False)
    steps = (image[:, :, 1:, 1:] - image[:, :, :-1, :-1]).abs()
    for view, step in zip(views, steps, strict=True):
        torch.testing.assert_close(step, torch.full_like(step, 1 / view.scale))


def test_the_label_set_never_grows():
    generator = np.random.default_rng(0)
    for _ in range(20):
        shape = tuple(generator.integers(1, 60, 2).tolist())
        # Numbers beyond 2**24, where float32 no longer tells neighbours apart.
        labels = generator.integers(2**30, 2**30 + 50, (1, *shape)).astype(np.int32)
        views = draw(50, shape, seed=int(generator.integers(10**6)))
        found = apply_views(cut(labels, views), views, nearest=True)
        assert found.dtype == torch.int32
        assert set(found.unique().tolist()) <= set(labels.ravel().tolist())


def test_all_of_a_small_image_is_seen_and_what_surrounds_it_does_not_count():
    views = draw(8, (5, 9), crop=16, scale=(1.0, 1.0))
    picture = np.arange(1, 46).reshape(1, 5, 9)
    labels = apply_views(cut(picture, views), views, nearest=True)
    counts = apply_views(cut(np.ones((1, 5, 9), bool), views, pad_uncounted), views, nearest=True)
    for plane, counted in zip(labels, counts, strict=True):
        assert sorted(plane[counted].tolist()) == list(range(1, 46))


@given(seed=st.integers(0, 10**6), parted=st.integers(1, 4))
def test_parts_of_a_batch_are_the_batch(seed, parted):
    picture = np.random.default_rng(seed).random((1, 40, 53)).astype(np.float32)
    views = draw(5, (40, 53), seed=seed)
    maps = cut(picture, views)
    for nearest in (True, False):
        whole = apply_views(maps, views, nearest=nearest)
        parts = [apply_views(maps[p], views[p], nearest=nearest) for p in (slice(parted), slice(parted, None))]
        assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_floating_types_are_kept_and_a_constant_stays_constant(dtype):
    views = draw(4, (40, 53))
    maps = torch.full((4, 1, views[0].side, views[0].side), 0.75, dtype=dtype)
    mixed = apply_views(maps, views, nearest=False)
    assert mixed.dtype == dtype
    assert (mixed == 0.75).all()


def test_a_sample_without_maps_stays_one():
    views = draw(3, (40, 53))
    maps = torch.zeros(3, 0, views[0].side, views[0].side)
    assert apply_views(maps, views, nearest=False).shape == (3, 0, 16, 16)


def test_windows_of_the_wrong_side_or_number_are_refused():
    views = draw(2, (40, 53))
    side = views[0].side
    for shape in ((2, 1, side, side + 1), (3, 1, side, side)):
        with pytest.raises(ShapeError, match=f"2 views of {side} px do not fit"):
            apply_views(torch.zeros(shape), views, nearest=True)


def test_views_of_different_crops_are_refused():
    with pytest.raises(ShapeError, match=r"crops \[8, 16\]"):
        apply_views(torch.zeros(2, 1, 16, 16), [View(16, 16, (0, 0)), View(8, 16, (0, 0))], nearest=True)


def test_labels_are_never_mixed():
    with pytest.raises(DataError, match="nearest=True"):
        apply_views(torch.zeros(1, 1, 8, 8, dtype=torch.int32), [View(8, 8, (0, 0))], nearest=False)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU here")
def test_the_gpu_takes_the_same_pixels():
    views = draw(8, (100, 130), crop=48)
    maps = cut(np.random.default_rng(0).random((2, 100, 130)).astype(np.float32), views)
    assert torch.equal(apply_views(maps.cuda(), views, nearest=True).cpu(), apply_views(maps, views, nearest=True))
    mixed = apply_views(maps.cuda(), views, nearest=False).cpu()
    torch.testing.assert_close(mixed, apply_views(maps, views, nearest=False), rtol=0, atol=1e-6)
