"""How steady masks are: by hand, the laws, the conventions."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from segdistill.errors import DataError, ShapeError
from segdistill.evaluation.temporal import Labelled, Steadiness, step_dice, temporal_consistency


def row(text):
    return np.array([[letter == "x" for letter in text]])


def clip(labels, predictions, counts=None, numbers=None):
    return temporal_consistency(
        Labelled(
            number,
            row(label),
            None if prediction is None else row(prediction),
            None if counts is None else row(counts[place]),
        )
        for place, (number, label, prediction) in enumerate(
            zip(numbers or range(len(labels)), labels, predictions, strict=True)
        )
    )


def test_by_hand():
    # Labels move by one of two pixels, then rest: Dice 2·1/4 = 1/2, then 1. The prediction does it the other way round.
    # Steps: 1 − |1 − 1/2| = 1/2 and 1 − |1/2 − 1| = 1/2.
    found = clip(["xx..", ".xx.", ".xx."], ["xx..", "xx..", ".xx."])
    assert (found.score, found.prediction, found.label, found.steps) == (0.5, 0.75, 0.75, 2)


def test_real_motion_is_not_held_against_a_prediction_and_standing_still_is():
    labels = ["xx...", ".xx..", "..xx.", "...xx"]
    assert clip(labels, labels).score == 1
    assert clip(labels, ["..xxx"[-5:]] * 4).score == 0.5  # 1 − |1 − 1/2| at each step


def test_flicker_is_held_against_a_prediction():
    still = ["xxxx.."] * 4
    # Predictions of 4 and 2 pixels in turn: Dice 2·2/6 = 2/3 at each step, labels 1.
    assert clip(still, ["xxxx..", "xx....", "xxxx..", "xx...."]).score == pytest.approx(2 / 3)


def test_what_is_wrong_in_the_same_way_in_every_frame_is_steady():
    assert clip(["xx...."] * 3, ["....xx"] * 3).score == 1


def test_empty_masks_are_not_steady():
    assert clip(["xx.", "xx."], ["...", "..."]).score == 0
    assert clip(["...", "..."], ["xx.", "xx."]).score == 0
    assert clip(["xx.", "xx."], [None, "xx."]).score == 0
    assert clip(["...", "..."], [None, None]).score == 0
    # Of one step the prediction vanishes (Dice 0), of the next it is gone; the label does not change.
    assert clip(["xx."] * 3, ["xx.", "...", "..."]).score == 0


def test_where_nothing_is_there_is_no_step():
    assert clip(["...", "..."], ["...", "..."]) is None
    assert clip(["xx."], ["xx."]) is None
    found = clip(["xx.", "xx.", "...", "...", "..."], ["xx.", "xx.", "...", "...", "..."])
    assert (found.score, found.steps) == (1, 2)  # to where both vanish at once, too


def test_frames_that_are_no_neighbours_are_not_compared():
    found = clip(["xx.", ".xx", ".xx"], ["xx.", "xx.", "xx."], numbers=[1, 3, 4])
    assert (found.score, found.steps) == (1, 1)


def test_pixels_must_count_in_both_frames():
    # All that changes lies where one of the two frames does not count.
    found = clip(["xx..", "xx.x"], ["xx..", "xxx."], counts=["xxxx", "xx.."])
    assert (found.score, found.label) == (1, 1)
    assert clip(["xx..", "xx.."], ["xx..", "xx.."], counts=["xx..", "..xx"]) is None


def test_masks_of_several_sizes_and_numbers_in_place_of_masks_are_refused():
    with pytest.raises(ShapeError):
        clip(["xx.", "xx.."], ["xx.", "xx.."])
    with pytest.raises(DataError, match="bool"):
        step_dice(np.ones((2, 3)), np.ones((2, 3)))


masks = arrays.arrays(bool, st.tuples(st.just(6), st.just(2), st.just(5)))


def of(labels, predictions):
    pairs = zip(labels, predictions, strict=True)
    return temporal_consistency(Labelled(number, *pair) for number, pair in enumerate(pairs))


@settings(deadline=None)
@given(masks, masks)
def test_laws(labels, predictions):
    found = of(labels, predictions)
    if found is None:
        assert not labels.any()
        assert not predictions.any()
        return
    assert 0 <= found.score <= 1
    assert of(predictions, labels).score == pytest.approx(found.score)
    assert of(labels[::-1], predictions[::-1]).score == pytest.approx(found.score)
    moved = np.random.default_rng(0).permutation(5)
    assert of(labels[:, :, moved], predictions[:, ::-1][:, :, moved][:, ::-1]).score == pytest.approx(found.score)
    assert labels.any() is np.False_ or of(labels, labels).score == 1


@settings(deadline=None)
@given(masks)
def test_steadiness_is_the_mean_of_what_neighbours_share(frames):
    steadiness = Steadiness()
    for number, mask in enumerate(frames):
        steadiness.add(number, mask)
    steps = [step_dice(*pair) for pair in pairwise(frames)]
    known = [step for step in steps if step is not None]
    assert steadiness.mean == (pytest.approx(np.mean(known)) if known else None)


def test_steadiness_does_not_reach_over_a_gap():
    steadiness = Steadiness()
    for number in (1, 3, 4):
        steadiness.add(number, row("xx." if number < 4 else ".xx"))
    assert steadiness.mean == 0.5
