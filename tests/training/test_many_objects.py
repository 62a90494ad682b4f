"""More objects than 16 bits can number, from their file to what a network is to say of them."""

import numpy as np
import pytest
import tifffile
import torch
from scipy.ndimage import maximum_filter, minimum_filter

from segdistill.data.datasets import read_dataset
from segdistill.data.normalisation import PercentileRule
from segdistill.data.sample import read_sample
from segdistill.networks.build import build_student
from segdistill.objectives import DISTILLATION, build_weighting
from segdistill.training.distilling import Distilling, Drawing, Taught
from segdistill.training.entries import make_entry
from segdistill.training.objective import Objective

ROWS, COLUMNS = 260, 280
"""Objects of 3 × 3 pixels, side by side without a gap, one below another with one: 72,800."""


def labels():
    """Return objects in pairs whose numbers differ by 2¹⁶: 1, 65,537, 2, 65,538, ..."""
    pairs = np.arange(1, ROWS * COLUMNS // 2 + 1)[:, None] + (0, 2**16)
    order = pairs.astype(np.uint32).reshape(ROWS, COLUMNS)
    plane = np.kron(order, np.ones((4, 3), np.uint32))
    plane[::4] = 0
    return plane


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    plane = labels()
    for part, array in (("images", (plane % 251).astype(np.uint8)), ("labels", plane)):
        (folder / part).mkdir()
        tifffile.imwrite(folder / part / "field.tif", array)
    dataset = read_dataset(folder, channels=("gray",), axes="yx", label_kind="instances")
    return dataset.structures, read_sample(dataset.cases[0], dataset)


def test_a_sample_has_every_object_under_its_own_number(sample):
    plane = sample[1].planes[0]
    assert len(np.unique(plane)) - 1 == ROWS * COLUMNS > 2**16
    assert (plane == labels()).all()


def test_crops_keep_neighbours_apart_whose_numbers_differ_by_65536(sample):
    structures, field = sample
    objective = Objective(structures, (), False, DISTILLATION["probability_mse"], None)
    module = Taught(build_student("unet-tiny", channels=1, outputs=2), build_weighting("fixed", objective.terms))
    drawing = Drawing(
        seed=0, batch_size=8, labelled_share=1.0, crop=32, scale=(1.0, 1.0), flips=False, turns=False, jitter=None
    )
    entry = make_entry(field, channels=("gray",), rule=PercentileRule())
    problem = Distilling(module, objective, training=[entry], validation=[], drawing=drawing, weight_decay=0.0)
    crops = problem.batch(0, 0, 1)
    label = problem.collate(crops, 0, torch.device("cpu")).label[:, :, 1:-1, 1:-1].numpy()
    for crop, (foreground, boundary) in zip(crops, label, strict=True):
        plane = crop.planes[0].astype(np.int64)  # at scale 1 and unturned: the crop itself
        even = (minimum_filter(plane, 3) == maximum_filter(plane, 3))[1:-1, 1:-1]
        assert (np.diff(plane, axis=1) == 2**16).any()
        np.testing.assert_array_equal(foreground, plane[1:-1, 1:-1] > 0)
        np.testing.assert_array_equal(boundary, (plane[1:-1, 1:-1] > 0) & ~even)
        assert foreground.sum() > boundary.sum() > 0
