import dataclasses

import numpy as np
import pytest

from segdistill.data.glimpse import Glimpse, measure_labels
from segdistill.data.oddities import better_place, oddities, sided


@pytest.fixture
def cells():
    """An image of twelve bright discs, 60 × 90, and their label image."""
    labels = np.zeros((60, 90), np.int32)
    rows, columns = np.mgrid[:60, :90]
    draw = np.random.default_rng(2)
    for number in range(1, 13):
        y, x = 8 + 15 * ((number - 1) // 4) + draw.integers(0, 6), 8 + 20 * ((number - 1) % 4) + draw.integers(0, 9)
        labels[(rows - y) ** 2 + (columns - x) ** 2 < 30] = number
    view = (labels > 0) * 0.7 + draw.random((60, 90)) * 0.3
    return view[None].astype(np.float32), labels


def seen(name, view, labels, **changes):
    usual = Glimpse(
        name=name,
        channels=("DAPI",),
        view=view,
        sample=view.reshape(1, -1).astype(np.float64),
        normalised=view.reshape(1, -1).astype(np.float64),
        clipped=(0.0,),
        labels={"cell": labels},
        measures={"cell": measure_labels(labels)},
        overlays=(),
        counts=np.ones(labels.shape, bool),
    )
    return dataclasses.replace(usual, **changes)


def test_labels_that_fit_are_not_odd(cells):
    assert oddities([seen("a", *cells)], instances=["cell"]) == {}


@pytest.mark.parametrize(
    ("moved", "words"),
    [
        (lambda labels: labels[:, ::-1], "mirrored left to right"),
        (lambda labels: labels[::-1], "mirrored top to bottom"),
        (lambda labels: labels[::-1, ::-1], "turned by half"),
        (lambda labels: np.roll(labels, (-6, 9), (0, 1)), "shifted by +10 % of its height and −10 % of its width"),
    ],
)
def test_labels_in_the_wrong_place_are_told_with_the_right_one(cells, moved, words):
    view, labels = cells
    assert better_place(view, labels, instances=True) == ""
    assert better_place(view, moved(labels), instances=True) == words
    [reasons] = oddities([seen("a", view, moved(labels))], instances=["cell"]).values()
    assert reasons[0] == f"cell: the labels fit the image better {words}"


def test_axes_exchanged_in_a_square_image(cells):
    view, labels = (np.ascontiguousarray(array[..., :60]) for array in cells)
    assert better_place(view, labels.T, instances=True) == "with x and y exchanged"


def test_cells_that_touch_are_many_all_the_same(cells):
    view, labels = cells
    bridged = np.where((labels == 0) & (np.arange(60)[:, None] % 15 == 10), 99, labels)
    assert better_place(view, bridged[:, ::-1], instances=True) == "mirrored left to right"
    assert better_place(view, bridged[:, ::-1], instances=False) == ""  # four bands and no more


def test_few_pieces_fit_anywhere_and_are_not_judged(cells):
    view, labels = cells
    assert better_place(view, np.where(labels == 3, 3, 0)[:, ::-1], instances=True) == ""


def test_dark_objects_fit_too(cells):
    view, labels = cells
    assert better_place(1 - view, labels, instances=True) == ""
    assert better_place(1 - view, labels[::-1], instances=True) == "mirrored top to bottom"


def test_torn_objects_specks_and_exchanged_background(cells):
    view, labels = cells
    odd = labels.copy()
    odd[0, 0], odd[58, 88], odd[30, 89] = 1, 77, 78  # the last is cut by the edge: most of it may lie beyond
    [reasons] = oddities([seen("a", view, odd)], instances=["cell"]).values()
    assert reasons == [
        "cell: 1 object in several pieces (number 1)",
        "cell: 1 object of 4 pixels or fewer (number 77)",
    ]
    assert oddities([seen("a", view, odd)], instances=[]) == {}  # classes may lie in pieces
    [reasons] = oddities([seen("a", view, np.maximum(labels, 1))], instances=[]).values()
    assert reasons == ["cell: 100% of the image is labelled: background and object may be exchanged"]


def test_labels_on_nothing_cut_light_and_writing(cells):
    view, labels = cells
    found = oddities(
        [
            seen("writing", view, labels, overlays=("text",)),
            seen("bright", view, labels, clipped=(0.25,)),
            seen("nothing", np.zeros_like(view), labels),
        ],
        instances=["cell"],
    )
    assert list(found) == ["nothing", "writing", "bright"]  # the gravest first
    assert found["nothing"] == ["cell: labels on an image of one value"]
    assert found["writing"] == ["seems to be written on: text"]
    assert found["bright"] == ["25% of DAPI has the largest number its type can hold: light was cut off"]


def test_a_case_unlike_the_others(cells):
    view, labels = cells
    alike = [seen(f"a{number}", view, labels) for number in range(8)]
    few = np.where(labels == 5, 5, 0)
    found = oddities([*alike, seen("few", view, few)], instances=["cell"])
    assert list(found) == ["few"]
    assert found["few"][1] == "cell: number of objects is 1, in most images about 12"
    assert oddities([*alike[:6], seen("few", view, few)], instances=["cell"]) == {}  # too few to know what is usual


def test_names_of_sides():
    assert sided(["left kidney", "kidney_R", "Lung.left", "liver", "rib", "lens"]) == (
        "left kidney",
        "kidney_R",
        "Lung.left",
    )
