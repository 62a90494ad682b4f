import numpy as np
import pytest

from segdistill.data.image import Image
from segdistill.export.comparison import Case, Shown, Tiling, compare
from segdistill.inference.instances import segment
from segdistill.inference.windows import View

TILING = Tiling(tile=512, halo=0, stride=1)


def case(maps):
    image = Image(np.zeros((1, *maps.shape[1:]), np.uint8), ("channel0",), None, "a test")
    view = View(image, ("channel0",), np.zeros(1, np.float32), np.ones(1, np.float32))
    return Case(Shown(view, image.array.astype(np.float32), ""), maps, {})


def test_scores_are_of_all_pixels_and_objects_together(card):
    own = card()
    wanted = np.zeros((2, 4, 9), np.float32)
    wanted[0, 1, 1:4] = wanted[0, 1, 6:8] = 0.9  # objects of three and of two pixels
    found = wanted.copy()
    found[0, 1, 6] = 0.3  # the second loses one of its two
    empty = np.zeros((2, 4, 9), np.float32)
    answers = iter([found, empty])
    cases = [case(wanted), case(empty)]
    cases = [Case(each.shown, each.maps, segment(each.maps, own.structures, own.thresholds)) for each in cases]
    equal = compare(lambda *_: next(answers)[None], cases, own, TILING)
    assert equal.dice == {"cell": pytest.approx(2 * 4 / (4 + 5))}
    # One object matches; of the second an IoU of 1/2 is no match: 1 / (1 + 1 false + 1 missed).
    assert equal.average_precision == {"cell": pytest.approx(1 / 3)}
    assert equal.difference == pytest.approx(0.6)
    assert equal.foreground == {"cell": pytest.approx(5 / 72)}
    assert equal.points_lost == pytest.approx(100 * (1 - 1 / 3))


def test_two_empty_sides_agree(card):
    own = card()
    empty = np.zeros((2, 4, 9), np.float32)
    one = case(empty)
    one = Case(one.shown, empty, segment(empty, own.structures, own.thresholds))
    equal = compare(lambda *_: empty[None], [one], own, TILING)
    assert (equal.points_lost, equal.difference) == (0.0, 0.0)
