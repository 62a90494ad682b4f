from itertools import pairwise

import numpy as np
import pytest

from segdistill.evaluation.by_size import Objects, found_by_size, objects_found


def test_by_hand():
    label = np.array([[1, 1, 1, 0, 2, 2, 0, 9]])
    prediction = np.array([[5, 5, 0, 0, 3, 0, 4, 4]])
    # 1: two of three pixels, IoU 2/3. 2: IoU 1/2, which is not above. 9: IoU 1/2.
    objects = objects_found(prediction, label)
    assert objects.size.tolist() == [3, 2, 1]
    assert objects.found.tolist() == [True, False, False]


def test_objects_that_mostly_do_not_count_are_left_out():
    label = np.array([[1, 1, 1, 0, 2, 2, 2, 2]])
    counts = np.array([[True, False, False, True, False, False, True, True]])
    objects = objects_found(np.where(label == 2, 2, 0), label, counts=counts)
    assert objects.size.tolist() == [4]  # whole, though half of it does not count
    assert objects.found.tolist() == [True]


def test_an_object_that_was_found_by_one_that_mostly_does_not_count_was_found():
    label = np.array([[1, 1, 1, 1, 0, 0, 0, 0, 0, 0]])
    counts = np.array([[True] * 4 + [False] * 6])
    objects = objects_found(np.full((1, 10), 5), label, counts=counts)
    assert objects.size.tolist() == [4]
    assert objects.found.tolist() == [True]  # it is the same object as far as anybody may look


def test_classes_hold_every_object_once_and_equal_sizes_stay_together():
    draw = np.random.default_rng(0)
    size = draw.integers(1, 9, 95)
    found = draw.random(95) > 0.5
    classes = found_by_size({"student": [Objects(size[:40], found[:40]), Objects(size[40:], found[40:])]})
    assert sum(each.objects for each in classes) == 95
    assert all(left.high < right.low for left, right in pairwise(classes))
    assert sum(each.found["student"] * each.objects for each in classes) == pytest.approx(found.sum())


def test_too_few_objects_make_no_classes():
    few = Objects(np.arange(1, 20), np.ones(19, bool))
    assert found_by_size({"student": [few]}) == ()
    assert found_by_size({}) == ()
    assert found_by_size({"student": []}) == ()
    same = Objects(np.full(40, 7), np.arange(40) < 10)
    [only] = found_by_size({"student": [same]})
    assert (only.low, only.high, only.objects, only.found) == (7, 7, 40, {"student": 0.25})


def test_no_class_has_fewer_objects_than_say_anything():
    for sizes in ([1] * 19 + [2], [1] + [2] * 30, [1] * 25 + [2] + [3] * 25, [1] * 30 + list(range(2, 12))):
        classes = found_by_size({"student": [Objects(np.array(sizes), np.ones(len(sizes), bool))]})
        assert all(each.objects >= 10 for each in classes)
        assert sum(each.objects for each in classes) == len(sizes)
        assert len(classes) == 1 + (len(sizes) > 31)
