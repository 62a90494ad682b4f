"""Agreement with other tools on ordinary cases: blobs inside the image, both masks with something in them.

The other tools are optional test extras; where one is missing its tests are skipped, and the same scores
are tested by hand elsewhere. What differs on purpose (the edge of the image, empty masks, an IoU that
equals the threshold) is left out of the cases here.
"""

import warnings

import numpy as np
import pytest
from skimage.metrics import adapted_rand_error, hausdorff_distance
from skimage.morphology import disk
from skimage.segmentation import relabel_sequential

from segdistill.evaluation import (
    THRESHOLDS,
    Ruler,
    average_precision,
    dice,
    f1,
    hd95,
    iou,
    match,
    mean_surface_distance,
    measure_surfaces,
    normalised_surface_dice,
    panoptic_quality,
    precision,
    recall,
)
from segdistill.evaluation.pairs import count_pairs

SEEDS = range(6)


def ids(seed: int, *, jitter: int = 0) -> np.ndarray:
    """Return some 30 discs that do not touch, none near the edge; jitter moves and resizes them."""
    draw = np.random.default_rng(seed)
    change = np.random.default_rng(seed + 1000)
    image = np.zeros((150, 180), np.int32)
    for number in range(30):
        y, x = 15 + 24 * (number // 6), 15 + 28 * (number % 6)
        radius = int(draw.integers(4, 9))
        if jitter:
            y, x = y + int(change.integers(-jitter, jitter + 1)), x + int(change.integers(-jitter, jitter + 1))
            radius = max(2, radius + int(change.integers(-1, 2)))
            if change.random() < 0.1:
                continue
        square = image[y - radius : y + radius + 1, x - radius : x + radius + 1]
        square[disk(radius) > 0] = number + 1
    return image


def pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    return ids(seed, jitter=3), ids(seed)


@pytest.fixture(scope="module")
def monai():
    """Return MONAI's module of metrics; it cannot take the place of by-hand tests and may be missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("monai", reason="MONAI is an optional test extra")
        from monai import metrics
    return metrics


@pytest.fixture(scope="module")
def surface_distance():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("surface_distance", reason="surface-distance is an optional test extra")


@pytest.fixture(scope="module")
def stardist():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("stardist.matching", reason="StarDist is an optional test extra")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("size", [None, 0.5])
def test_distances_are_those_of_monai(monai, seed, size):
    torch = pytest.importorskip("torch")
    masks = [each > 0 for each in pair(seed)]
    tensors = [torch.from_numpy(each)[None, None].float() for each in masks]
    found = measure_surfaces(*masks, ruler=Ruler(size))
    options = {"include_background": True, "spacing": size}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        percentile = monai.compute_hausdorff_distance(*tensors, percentile=95, **options)
        mean = monai.compute_average_surface_distance(*tensors, symmetric=True, **options)
        share = monai.compute_surface_dice(*tensors, class_thresholds=[1.0], **options)
    assert hd95(found) == pytest.approx(percentile.item(), rel=1e-5)
    assert mean_surface_distance(found) == pytest.approx(mean.item(), rel=1e-5)
    assert normalised_surface_dice(found, 1.0) == pytest.approx(share.item(), rel=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_overlap_is_that_of_monai(monai, seed):
    torch = pytest.importorskip("torch")
    masks = [each > 0 for each in pair(seed)]
    tensors = [torch.from_numpy(each)[None, None].float() for each in masks]
    assert dice(*masks) == pytest.approx(monai.compute_dice(*tensors).item(), rel=1e-5)
    assert iou(*masks) == pytest.approx(monai.compute_iou(*tensors).item(), rel=1e-5)
    confusion = monai.get_confusion_matrix(*tensors)
    for name, score in (("precision", precision(*masks)), ("sensitivity", recall(*masks))):
        assert score == pytest.approx(monai.compute_confusion_matrix_metric(name, confusion).item(), rel=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_panoptic_quality_is_that_of_monai(monai, seed):
    torch = pytest.importorskip("torch")
    prediction, label = (relabel_sequential(each)[0] for each in pair(seed))
    found = monai.compute_panoptic_quality(
        torch.from_numpy(prediction.astype(np.int64)), torch.from_numpy(label.astype(np.int64)), metric_name="pq"
    )
    assert panoptic_quality(match(prediction, label)) == pytest.approx(float(found), rel=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
def test_distances_are_near_those_of_surface_distance(surface_distance, seed):
    # It puts contours through pixel corners and weighs them by length, so that its distances may differ by a pixel's
    # diagonal at most, and its mean by a good part of a pixel less.
    prediction, label = (each > 0 for each in pair(seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = surface_distance.compute_surface_distances(label, prediction, (0.5, 0.5))
        percentile = surface_distance.compute_robust_hausdorff(theirs, 95)
        means = surface_distance.compute_average_surface_distance(theirs)
        share = surface_distance.compute_surface_dice_at_tolerance(theirs, 1.0)
    found = measure_surfaces(prediction, label, ruler=Ruler(0.5))
    assert hd95(found) == pytest.approx(percentile, abs=0.5 * 2**0.5)
    assert mean_surface_distance(found) == pytest.approx(np.mean(means), abs=0.5 / 2)
    assert normalised_surface_dice(found, 1.0) == pytest.approx(share, abs=0.1)


@pytest.mark.parametrize("seed", SEEDS)
def test_objects_are_scored_as_by_stardist(stardist, seed):
    prediction, label = pair(seed)
    found = match(prediction, label)
    for threshold in THRESHOLDS:
        theirs = stardist.matching(label, prediction, thresh=threshold + 1e-6)  # there a match may equal it
        assert average_precision(found, threshold) == pytest.approx(theirs.accuracy)
        assert f1(found, threshold) == pytest.approx(theirs.f1)
    theirs = stardist.matching(label, prediction, thresh=0.5 + 1e-6)
    assert panoptic_quality(found) == pytest.approx(theirs.panoptic_quality)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_largest_distance_is_that_of_scikit_image(seed):
    # It measures between all pixels of the sets that it is given: here the contours.
    prediction, label = (each > 0 for each in pair(seed))
    found = measure_surfaces(prediction, label)
    edges = [each & ~_eroded(each) for each in (prediction, label)]
    assert max(found.to_label.max(), found.to_prediction.max()) == pytest.approx(hausdorff_distance(*edges))


@pytest.mark.parametrize("seed", SEEDS)
def test_pairs_are_those_of_scikit_image(seed):
    # The adapted Rand error is a function of the pair counts alone.
    prediction, label = pair(seed)
    table = count_pairs(prediction, label)
    labelled = table.label > 0
    joint = float((table.pixels[labelled] ** 2.0).sum())
    sums = [
        float((np.bincount(side[labelled], weights=table.pixels[labelled]) ** 2).sum())
        for side in (table.label, table.prediction)
    ]
    error, precise, recalled = adapted_rand_error(label, prediction)
    pixels = int(table.pixels[labelled].sum())
    ours = [(joint - pixels) / (total - pixels) for total in sums]
    assert ours == pytest.approx([precise, recalled])
    assert 1 - 2 * ours[0] * ours[1] / sum(ours) == pytest.approx(error)


def _eroded(mask: np.ndarray) -> np.ndarray:
    inner = mask.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            inner &= np.roll(mask, step, axis)
    return inner
