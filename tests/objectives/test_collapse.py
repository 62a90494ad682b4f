import numpy as np
import pytest

from segdistill.errors import ShapeError
from segdistill.objectives import collapsed_teachers

NAMES = ("a", "b")


def history(share):
    return np.stack([1 - share, share], axis=1)


def test_a_share_that_sank_and_stayed_low_is_named():
    # Equal shares are 0.5, so low is below 0.05: from row 60 of 100 on.
    share = np.r_[np.full(60, 0.4), np.full(40, 0.01)]
    (found,) = collapsed_teachers(history(share), NAMES)
    assert (found.teacher, found.since, found.uniform) == ("b", 60, 0.5)
    assert found.share == pytest.approx(0.01)
    assert "'b' was lost: from step 60 on its share was 0.01" in str(found)


def test_one_that_came_back_is_not():
    share = np.r_[np.full(60, 0.01), np.full(40, 0.2)]
    assert collapsed_teachers(history(share), NAMES) == ()


@pytest.mark.parametrize(("low", "lost"), [(9, 0), (10, 1)])
def test_it_must_last(low, lost):
    share = np.r_[np.full(100 - low, 0.5), np.full(low, 0.0)]
    assert len(collapsed_teachers(history(share), NAMES)) == lost


def test_the_limit_follows_the_number_of_teachers():
    shares = np.tile([0.94, 0.04, 0.02], (50, 1))  # low is below 0.0333
    assert [each.teacher for each in collapsed_teachers(shares, ("a", "b", "c"))] == ["c"]
    assert [each.teacher for each in collapsed_teachers(shares, ("a", "b", "c"), below=0.2)] == ["b", "c"]


def test_silence_is_no_collapse():
    share = np.full(100, 0.5)
    share[20:] = np.nan
    assert collapsed_teachers(history(share), NAMES) == ()
    assert collapsed_teachers(np.full((100, 2), np.nan), NAMES) == ()


def test_a_floor_of_the_safe_form_is_no_collapse():
    assert collapsed_teachers(history(np.full(100, 0.25)), NAMES) == ()


def test_one_teacher_or_none_or_one_step():
    assert collapsed_teachers(np.ones((9, 1)), ("a",)) == ()
    assert collapsed_teachers(np.ones((0, 2)), NAMES) == ()
    assert collapsed_teachers(np.array([[1.0, 0.0]]), NAMES) == ()


def test_columns_need_names():
    with pytest.raises(ShapeError, match="2 columns, but there are 1"):
        collapsed_teachers(np.ones((9, 2)), ("a",))
