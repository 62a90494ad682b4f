import numpy as np

from segdistill.data.labels import Structure
from segdistill.inference.instances import DEFAULT_THRESHOLDS
from segdistill.inference.thresholds import tune_thresholds

CELL, VESSEL = Structure("cell", instances=True), Structure("vessel", instances=False)


def test_the_foreground_threshold_is_the_one_with_the_best_dice():
    # By hand: the structure has probability 0.45, its surroundings 0.35. Only 0.4 tells them apart.
    label = np.zeros((1, 6, 8), np.int32)
    label[0, 2:4, 2:6] = 1
    maps = np.where(label > 0, 0.45, 0.35).astype(np.float32)
    tuned = tune_thresholds([(maps, label, np.ones((6, 8), bool))], [VESSEL])
    assert tuned == {"vessel": {"foreground": 0.4, "seed": 0.5, "minimum_size": 0}}


def test_the_seed_threshold_is_the_one_that_tells_objects_apart():
    label = np.zeros((1, 7, 11), np.int32)
    label[0, 1:6, 1:5], label[0, 1:6, 6:10] = 1, 2
    maps = np.zeros((2, 7, 11), np.float32)
    maps[0, 1:6, 1:10] = 0.9
    maps[1, 1:6, 5] = 0.25  # a faint boundary: 0.9 × 0.75 = 0.675 is below 0.7 only
    tuned = tune_thresholds([(maps, label, np.ones((7, 11), bool))], [CELL])
    assert tuned["cell"]["seed"] == 0.7


def test_pixels_that_do_not_count_decide_nothing():
    label = np.zeros((1, 6, 8), np.int32)
    label[0, :, :4] = 1
    maps = np.where(label > 0, 0.65, 0.1).astype(np.float32)
    maps[0, :, 6:] = 0.9  # wrong, but not looked at
    counts = np.ones((6, 8), bool)
    counts[:, 6:] = False
    nowhere = (maps, label, np.zeros((6, 8), bool))
    assert tune_thresholds([(maps, label, counts), nowhere], [VESSEL])["vessel"]["foreground"] == 0.5


def test_without_images_the_defaults_stand():
    assert tune_thresholds([], [CELL]) == {"cell": dict(DEFAULT_THRESHOLDS)}
