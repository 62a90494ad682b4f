"""One range for all frames of a clip: exact where it may be, even of long clips, whatever frames are damaged."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segdistill.data import clip_range
from segdistill.data.clip_range import measure_clip_range
from segdistill.data.held import Held
from segdistill.data.normalisation import PercentileRule, measure_range
from segdistill.errors import DataError

CHANNELS = ("nucleus", "membrane")


def opens(frames, channels=CHANNELS):
    return [partial(Held, frame, channels, None, f"frame {number}") for number, frame in enumerate(frames)]


def clip(seed, count=4, dtype=np.uint16):
    return np.random.default_rng(seed).integers(0, 5000, (count, 2, 7, 11)).astype(dtype)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 99), st.integers(1, 5), st.sampled_from([np.uint8, np.uint16, np.float32]))
def test_the_range_is_that_of_all_frames_laid_side_by_side(seed, count, dtype):
    frames = clip(seed, count, dtype)
    rule = PercentileRule(1.0, 97.0)
    found = measure_clip_range(opens(frames), rule, names=["membrane", "blank"])
    whole = Held(np.concatenate(frames, axis=2), CHANNELS, None, "all")
    np.testing.assert_array_equal(found, measure_range(whole, rule, names=["membrane", "blank"]))


def test_of_a_long_clip_pixels_from_everywhere_are_measured(monkeypatch):
    monkeypatch.setattr(clip_range, "_MOST", 400)
    frames = np.arange(40 * 7 * 10, dtype=np.float32).reshape(40, 1, 7, 10)
    (low,), (high,) = measure_clip_range(opens(frames, ("grey",)), PercentileRule(10.0, 90.0), names=["grey"])
    assert low == pytest.approx(280, abs=20)
    assert high == pytest.approx(2520, abs=20)


def test_a_few_bright_pixels_do_not_vanish():
    frames = np.full((3, 1, 50, 70), 7, np.uint8)
    frames[1, 0, 3, 4] = 90
    low, high = measure_clip_range(opens(frames, ("grey",)), PercentileRule(), names=["grey"])
    assert (low, high) == (7, 90)


def test_damaged_frames_are_passed_over_and_a_clip_of_nothing_else_is_refused():
    frames = clip(0, dtype=np.float32)
    frames[1, 0, 0, 0] = np.nan
    kept = measure_clip_range(opens(frames[[0, 2, 3]]), PercentileRule(), names=["nucleus"])
    np.testing.assert_array_equal(measure_clip_range(opens(frames), PercentileRule(), names=["nucleus"]), kept)
    filled = measure_clip_range(opens(frames), PercentileRule(0.0, 100.0), names=["nucleus"], ignore_non_finite=True)
    np.testing.assert_array_equal(filled, [[np.nanmin(frames[:, 0])], [np.nanmax(frames[:, 0])]])
    with pytest.raises(DataError, match=r"frame 0.*no channel 'actin'"):
        measure_clip_range(opens(frames), PercentileRule(), names=["actin"])
