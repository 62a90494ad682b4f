import numpy as np

from segdistill.data.labels import Structure
from segdistill.inference.instances import DEFAULT_THRESHOLDS, segment
from segdistill.inference.thresholds import tune_objects, tune_thresholds

CELL, VESSEL = Structure("cell", instances=True), Structure("vessel", instances=False)
LABELLED = np.ones(1, bool)


def test_the_foreground_threshold_is_the_one_with_the_best_dice():
    # By hand: the structure has probability 0.45, its surroundings 0.35. Only 0.4 tells them apart.
    label = np.zeros((1, 6, 8), np.int32)
    label[0, 2:4, 2:6] = 1
    maps = np.where(label > 0, 0.45, 0.35).astype(np.float32)
    tuned = tune_thresholds([(maps, label, np.ones((6, 8), bool), LABELLED)], [VESSEL])
    assert tuned == {"vessel": {"foreground": 0.4, "seed": 0.5, "smoothing": 0, "minimum_size": 0}}


def test_the_seed_threshold_is_the_one_that_tells_objects_apart():
    label = np.zeros((1, 7, 11), np.int32)
    label[0, 1:6, 1:5], label[0, 1:6, 6:10] = 1, 2
    maps = np.zeros((2, 7, 11), np.float32)
    maps[0, 1:6, 1:10] = 0.9
    maps[1, 1:6, 5] = 0.25  # a faint boundary: 0.9 × 0.75 = 0.675 is below 0.7 only
    tuned = tune_thresholds([(maps, label, np.ones((7, 11), bool), LABELLED)], [CELL])
    assert tuned["cell"]["seed"] == 0.7


def test_pixels_that_do_not_count_decide_nothing():
    label = np.zeros((1, 6, 8), np.int32)
    label[0, :, :4] = 1
    maps = np.where(label > 0, 0.65, 0.1).astype(np.float32)
    maps[0, :, 6:] = 0.9  # wrong, but not looked at
    counts = np.ones((6, 8), bool)
    counts[:, 6:] = False
    nowhere = (maps, label, np.zeros((6, 8), bool), LABELLED)
    assert tune_thresholds([(maps, label, counts, LABELLED), nowhere], [VESSEL])["vessel"]["foreground"] == 0.5


def test_without_images_the_defaults_stand():
    assert tune_thresholds([], [CELL]) == {"cell": dict(DEFAULT_THRESHOLDS)}


def two_cells(speckle):
    """Two cells that touch, and maps of them in which every other pixel of the boundary is missed or false."""
    label = np.zeros((1, 24, 45), np.int32)
    label[0, 2:22, 2:22], label[0, 2:22, 22:42] = 1, 2
    maps = np.zeros((2, 24, 45), np.float32)
    maps[0] = 0.95 * (label[0] > 0)
    maps[1, 2:22, 20:24] = 0.9
    if speckle:
        noise = np.random.default_rng(0).random((24, 45)) < 0.3
        maps[1] = np.where(noise, 0.9 - maps[1], maps[1])
    return maps, label, np.ones((24, 45), bool), LABELLED


def test_specks_are_smoothed_away_where_that_tells_objects_apart_and_else_not():
    case = two_cells(speckle=True)
    tuned = tune_thresholds([case], [CELL])
    assert tuned["cell"]["smoothing"] > 0
    assert segment(case[0], [CELL], tuned)["cell"].max() == 2
    assert segment(case[0], [CELL], {"cell": {**tuned["cell"], "smoothing": 0, "minimum_size": 0}})["cell"].max() > 2
    assert tune_thresholds([two_cells(speckle=False)], [CELL])["cell"]["smoothing"] == 0


def test_the_least_size_drops_debris_that_nobody_labelled_but_no_cell():
    maps, label, counts, _ = two_cells(speckle=False)
    maps[0, 1, 43] = maps[0, 22, 43] = maps[0, 12, 44] = 0.9
    tuned = tune_thresholds([(maps, label, counts, LABELLED)], [CELL])
    assert 1 < tuned["cell"]["minimum_size"] < 400
    assert segment(maps, [CELL], tuned)["cell"].max() == 2


def test_of_a_teacher_objects_are_tuned_and_the_foreground_is_not():
    maps, label, counts, _ = two_cells(speckle=True)
    maps[0] *= 0.45 / 0.95  # at one half there is nothing: a student would be given another threshold
    assert tune_thresholds([(maps, label, counts, LABELLED)], [CELL])["cell"]["foreground"] == 0.4
    assert tune_objects([(maps, label, counts, LABELLED)], [CELL])["cell"]["foreground"] == 0.5
    speckled = two_cells(speckle=True)
    assert tune_objects([speckled], [CELL])["cell"] == tune_thresholds([speckled], [CELL])["cell"]
    assert tune_objects([], [CELL, VESSEL]) == {name: dict(DEFAULT_THRESHOLDS) for name in ("cell", "vessel")}


def test_a_structure_is_tuned_where_it_is_labelled_and_nowhere_else():
    organ = Structure("organ", instances=False)
    label = np.zeros((2, 6, 8), np.int32)
    label[:, 2:4, 2:6] = 1
    sure, faint = (np.where(label > 0, high, low).astype(np.float32) for high, low in ((0.65, 0.55), (0.45, 0.35)))
    counts = np.ones((6, 8), bool)
    cases = [(sure, label, counts, np.array([True, False])), (faint, label, counts, np.array([False, True]))]
    tuned = tune_thresholds(cases, [VESSEL, organ])
    assert (tuned["vessel"]["foreground"], tuned["organ"]["foreground"]) == (0.6, 0.4)
    assert tune_thresholds(cases[:1], [VESSEL, organ])["organ"] == dict(DEFAULT_THRESHOLDS)
