"""Scores on whole fields while a network trains: of partly labelled ones, in what is labelled in each."""

import numpy as np
import torch
from torch import nn

from segdistill.data.labels import Structure
from segdistill.training.entries import Entry
from segdistill.training.validation import judged, mean_dice

LEFT, RIGHT = Structure("left", instances=False), Structure("right", instances=False)


class Same(nn.Module):
    """Says of every structure what it sees: positive scores where the image is bright."""

    def forward(self, image):
        return torch.cat([image - 0.5, image - 0.5], 1)


def entry(name, known, *, right=True):
    """The upper half is bright; both structures lie there, or the right one in the lower half."""
    image = np.zeros((1, 32, 48), np.float32)
    image[0, :16] = 1
    planes = np.zeros((2, 32, 48), np.int32)
    planes[0, :16] = planes[1, : 16 if right else 0] = 1
    if not right:
        planes[1, 16:] = 1
    planes[~np.array(known)] = 0
    return Entry(name, image, planes, np.array(known), np.ones((32, 48), bool))


def test_each_field_is_scored_in_the_structures_that_are_labelled_in_it():
    fields = [entry("a", [True, False]), entry("b", [False, True], right=False), entry("c", [False, False])]
    assert [case[3].tolist() for case in judged(Same(), fields, (LEFT, RIGHT), device="cpu")] == [
        [True, False],
        [False, True],
    ]
    assert mean_dice(Same(), fields, (LEFT, RIGHT), device="cpu") == {"dice.left": 1, "dice.right": 0, "score": 0.5}


def test_a_structure_that_is_labelled_nowhere_has_no_score_and_no_say():
    assert mean_dice(Same(), [entry("a", [True, False])], (LEFT, RIGHT), device="cpu") == {"dice.left": 1, "score": 1}
    assert mean_dice(Same(), [entry("a", [False, False])], (LEFT, RIGHT), device="cpu") == {}
