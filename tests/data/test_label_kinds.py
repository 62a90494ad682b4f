import numpy as np
import pytest

from segdistill.data.label_kinds import infer_kind
from segdistill.errors import ConfigError


def squares(count, *, width=40):
    """Return an image of so many single squares, numbered from 1."""
    labels = np.zeros((width, 3 * count), np.int32)
    for index in range(count):
        labels[4:6, 3 * index : 3 * index + 2] = index + 1
    return labels


def test_one_value_is_binary_whatever_it_is():
    for value in (1, 255, 7):
        assert infer_kind([np.array([[0, value, value], [0, 0, value]])]) == "binary"


def test_one_value_in_every_file_is_binary_though_some_are_empty():
    assert infer_kind([np.zeros((3, 5), int), np.array([[0, 255]])]) == "binary"


def test_nothing_anywhere_is_binary():
    assert infer_kind([np.zeros((3, 5), int)]) == "binary"


def test_many_single_objects_are_instances():
    assert infer_kind([squares(33)]) == "instances"


def test_few_objects_counted_from_one_in_every_image_are_instances():
    assert infer_kind([squares(5), squares(8), np.zeros((4, 6), int)]) == "instances"


def test_more_than_65535_objects_are_instances():
    assert infer_kind([np.arange(70_225).reshape(265, 265)]) == "instances"


@pytest.mark.parametrize(
    "arrays",
    [
        [np.array([[0, 1, 2, 3]])],  # three classes, two bits or three objects
        [squares(8)],  # one image does not show that the count differs
        [squares(3), squares(2)],
        [np.array([[0, 1, 2, 4, 5, 6, 8, 9, 12]])],  # organs that overlap
        [np.random.default_rng(0).integers(0, 20, (40, 50))],  # classes in pieces
        [np.random.default_rng(0).integers(0, 250, (40, 50))],  # a mask with smoothed edges, or a photograph
    ],
)
def test_what_could_be_several_kinds_is_asked_for(arrays):
    with pytest.raises(ConfigError, match=r"--label-kind classes, --label-kind bits or --label-kind instances"):
        infer_kind(arrays)


def test_the_question_shows_the_values():
    with pytest.raises(ConfigError, match=r"hold the values 1, 4, 5, 6:"):
        infer_kind([np.array([[0, 1]]), np.array([[4, 5, 6]])])


def test_arrays_are_taken_one_at_a_time():
    alive = []

    def stream():
        for count in (5, 9):
            alive.append(count)
            yield squares(count)

    assert infer_kind(stream()) == "instances"
    assert alive == [5, 9]
