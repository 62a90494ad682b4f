"""The nearest window: found where it was cut, however it is turned; strangers are far."""

import numpy as np
import pytest

from segdistill.synthesis.copies import (
    distances_between,
    make_library,
    nearest,
    turned,
    turned_back,
    turns_of,
)

ALL = turns_of(flips=True, turns=True)


def pictures(count, shapes, seed=0):
    draw = np.random.default_rng(seed)
    return [draw.random((2, *shapes[place % len(shapes)])).astype(np.float32) for place in range(count)]


@pytest.mark.parametrize("turn", ALL)
def test_a_window_is_found_where_it_was_cut(turn):
    others = pictures(4, [(64, 96), (70, 64)])
    library = make_library(others, side=64, turns=ALL)
    window = others[2][:, :, 18:82]  # 64 × 64 of 64 × 96
    found = nearest(turned_back(window, turn), library)
    assert (found.index, found.origin, found.turn) == (2, (0, 18), turn)
    assert found.distance < 0.2  # the filter of fine structure sees other surroundings at the window's border
    assert np.array_equal(turned(turned_back(window, turn), turn), window)


def test_it_is_not_looked_for_in_turns_that_the_model_was_not_shown():
    others = pictures(3, [(64, 64)])
    library = make_library(others, side=64, turns=turns_of(flips=True, turns=False))
    assert nearest(others[1][..., ::-1], library).distance < 1e-3
    assert nearest(np.rot90(others[1], axes=(1, 2)), library).distance > 0.5


def test_strangers_flat_pictures_and_small_ones():
    others = [*pictures(3, [(64, 80)]), np.zeros((2, 64, 64), np.float32), np.ones((2, 20, 30), np.float32)]
    library = make_library(others, side=64, turns=ALL)
    assert 0.5 < nearest(pictures(1, [(64, 64)], seed=9)[0], library).distance < 1
    assert nearest(np.ones((2, 64, 64), np.float32), library).distance == 1


def test_images_of_one_group_are_not_compared():
    same = pictures(1, [(64, 64)])[0]
    others = [same, same.copy(), *pictures(2, [(64, 64)], seed=4)]
    library = make_library(others, side=64, turns=ALL)
    apart = distances_between(others, library, ["a", "b", "c", "d"])
    together = distances_between(others, library, ["a", "a", "c", "d"])
    assert apart[:2].max() < 1e-3
    assert together.min() > 0.5
    assert distances_between(others, library, ["a"] * 4).shape == (0,)
