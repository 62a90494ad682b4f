import numpy as np
import pytest
import tifffile

from segdistill.data import glimpse as module
from segdistill.data import held
from segdistill.data.datasets import read_dataset
from segdistill.data.glimpse import glimpse, measure_labels
from segdistill.data.survey import survey


def seen_by(dataset, **options):
    """Return the glimpse of the one case of a data set."""
    found = []
    survey(dataset, visit=lambda seen: found.append(glimpse(seen, **options)))
    return found[0]


@pytest.fixture
def data(tmp_path):
    """One image of two channels, 30 × 50, its labels and a mask of what does not count."""
    for folder in ("images", "labels", "ignore"):
        (tmp_path / folder).mkdir()
    array = np.arange(3000, dtype=np.uint16).reshape(2, 30, 50)
    array[1, :3] = 65535
    tifffile.imwrite(tmp_path / "images/a.tif", array, metadata={"axes": "CYX"})
    labels = np.zeros((30, 50), np.uint16)
    labels[2:6, 4:10] = 3
    labels[20:22, 4:6] = labels[25:27, 40:42] = 9
    tifffile.imwrite(tmp_path / "labels/a.tif", labels)
    ignore = np.zeros((30, 50), np.uint8)
    ignore[:, 40:] = 1
    tifffile.imwrite(tmp_path / "ignore/a.tif", ignore)
    return tmp_path


def test_view_and_labels_lie_on_one_grid_of_every_so_manieth_pixel(data):
    dataset = read_dataset(data, channels=("a", "b"), label_kind="instances")
    found = seen_by(dataset, side=20)
    assert found.view.shape == (2, 10, 17)  # every third pixel: 50 / 3 is above 16
    assert found.labels["cell"].shape == found.counts.shape == (10, 17)
    labels = tifffile.imread(data / "labels/a.tif")
    np.testing.assert_array_equal(found.labels["cell"], labels[::3, ::3])
    assert found.counts.sum() == 10 * 14  # columns 0, 3, ... 39
    assert (found.view.min(), found.view.max()) == (0, 1)
    assert found.view[0, 3, 4] > found.view[0, 3, 3]
    assert found.clipped == (0, pytest.approx(0.1))


def test_measures_are_of_the_full_size(data):
    dataset = read_dataset(data, channels=("a", "b"), label_kind="instances")
    measures = seen_by(dataset, side=5).measures["cell"]
    assert measures.pixels == {3: 24, 9: 8}
    assert measures.torn == (9,)
    assert measures.covered == pytest.approx(32 / 1500)


def test_objects_that_touch_by_a_corner_are_whole():
    assert measure_labels(np.array([[5, 0], [0, 5]])).torn == ()
    assert measure_labels(np.array([[5, 0, 5]])).torn == (5,)
    assert measure_labels(np.zeros((2, 3), int)).pixels == {}


def test_a_large_image_is_seen_as_a_small_one_would_be(data, monkeypatch):
    dataset = read_dataset(data, channels=("a", "b"), label_kind="instances")
    whole = seen_by(dataset, side=20)
    monkeypatch.setattr(module, "WHOLE", 100)
    monkeypatch.setattr(held, "WHOLE", 100)
    by_rows = seen_by(dataset, side=20)
    np.testing.assert_array_equal(whole.view, by_rows.view)
    np.testing.assert_array_equal(whole.sample, by_rows.sample)


def test_labels_that_cannot_be_used_are_left_out(data):
    tifffile.imwrite(data / "labels/a.tif", np.zeros((30, 49), np.uint8))
    dataset = read_dataset(data, channels=("a", "b"), label_kind="instances")
    found = seen_by(dataset)
    assert found.labels == found.measures == {}
