"""A linear probe: it finds what stands in the features, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from segdistill.data.labels import Structure
from segdistill.errors import ConfigError
from segdistill.training.entries import Entry
from segdistill.training.token_probe import ProbeFit, Seen, probe_dice

ORGANS = (Structure("left", instances=False), Structure("right", instances=False))
BRIEF = ProbeFit(steps=60)


def seen(seed, *, says=True, shape=(24, 40), unit=1.0):
    """A field of two rectangles on a grid of 4 pixels; its tokens say where they are, or nothing."""
    draw = np.random.default_rng(seed)
    planes = np.zeros((2, *shape), np.int32)
    planes[0, 4 : 12 + 4 * (seed % 2), 4:16] = 1
    planes[1, 8:20, 20 : 32 + 4 * (seed % 2)] = 3
    cells = (planes > 0).reshape(2, shape[0] // 4, 4, shape[1] // 4, 4).mean((2, 4))
    tokens = draw.normal(size=(*cells.shape[1:], 5))
    if says:
        tokens[..., :2] = np.moveaxis(cells, 0, -1)
    entry = Entry(str(seed), np.zeros((0, *shape), np.float32), planes, np.ones(2, bool), np.ones(shape, bool))
    return Seen(entry, unit * tokens + unit)


def test_what_stands_in_the_features_is_found_whatever_their_unit():
    training, held_out = [seen(number) for number in range(6)], [seen(11), seen(12)]
    found = probe_dice(training, held_out, ORGANS, fit=BRIEF)
    assert set(found) == {"left", "right", "score"}
    assert found["score"] == pytest.approx((found["left"] + found["right"]) / 2)
    assert found["score"] > 0.8
    large = [[seen(int(each.entry.name), unit=1e4) for each in part] for part in (training, held_out)]
    assert probe_dice(*large, ORGANS, fit=BRIEF) == pytest.approx(found, abs=0.02)


def test_what_does_not_stand_in_them_is_not():
    training, held_out = [seen(n, says=False) for n in range(6)], [seen(11, says=False), seen(12, says=False)]
    assert probe_dice(training, held_out, ORGANS, fit=BRIEF)["score"] < 0.5


def test_pixels_that_do_not_count_have_no_say():
    training = [seen(number) for number in range(4)]
    plain = probe_dice(training, [seen(11)], ORGANS, fit=BRIEF)
    spoiled = []
    for each in training:
        counts, planes = each.entry.counts.copy(), each.entry.planes.copy()
        counts[:, 36:], planes[:, :, 36:] = False, 7  # said to be everything, and not counted
        spoiled.append(replace(each, entry=replace(each.entry, counts=counts, planes=planes)))
    blank = []
    for each in spoiled:
        planes = each.entry.planes.copy()
        planes[:, :, 36:] = 0
        blank.append(replace(each, entry=replace(each.entry, planes=planes)))
    assert probe_dice(spoiled, [seen(11)], ORGANS, fit=BRIEF) == probe_dice(blank, [seen(11)], ORGANS, fit=BRIEF)
    assert plain["score"] > 0.8


def test_the_same_again_and_fields_in_part_labelled_are_left_out():
    training, part = [seen(0), seen(1)], seen(2)
    part = replace(part, entry=replace(part.entry, known=np.array([True, False])))
    once = probe_dice(training, [seen(5)], ORGANS, fit=BRIEF)
    assert probe_dice([*training, part], [seen(5), part], ORGANS, fit=BRIEF) == once
    with pytest.raises(ConfigError, match="2 training and 0 held-out ones are labelled in full"):
        probe_dice(training, [part], ORGANS)
