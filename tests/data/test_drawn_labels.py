"""Outlines in the place of label images: in folders, samples, surveys and glimpses."""

import json

import numpy as np
import pytest
import tifffile

from segdistill.data.datasets import read_dataset
from segdistill.data.glimpse import glimpse
from segdistill.data.labels import read_labels
from segdistill.data.sample import read_sample
from segdistill.data.survey import survey
from segdistill.errors import ConfigError, DataError

EXPECTED = [[0, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 1, 1, 0, 2]]


def square(left, top, right, bottom):
    corners = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [corners]}, "properties": {}}


@pytest.fixture
def folder(tmp_path):
    """An image of 3 × 5 pixels (y × x) with two objects."""
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    tifffile.imwrite(tmp_path / "images/a.tif", np.arange(15, dtype=np.uint8).reshape(3, 5))
    features = [square(1, 1, 3, 3), square(4, 2, 5, 3)]
    (tmp_path / "labels/a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return tmp_path


def test_they_are_instances_without_being_asked(folder):
    dataset = read_dataset(folder)
    assert dataset.label_sets[0].kind == "instances"
    assert any("1 of 1 label files are outlines" in note for note in dataset.notes)
    assert read_sample(dataset.cases[0], dataset).planes[0].tolist() == EXPECTED


def test_together_they_are_a_binary_structure(folder):
    dataset = read_dataset(folder, label_kind="binary", structure="lesion")
    assert (read_sample(dataset.cases[0], dataset).planes[0] == (np.array(EXPECTED) > 0)).all()


@pytest.mark.parametrize("kind", ["classes", "bits"])
def test_they_are_no_classes(folder, kind):
    with pytest.raises(ConfigError, match=f"of kind {kind}, but 1 of its 1 files are outlines"):
        read_dataset(folder, label_kind=kind)


def test_one_named_after_the_file_of_its_image_is_paired(folder):
    (folder / "labels/a.geojson").rename(folder / "labels/a.tif.geojson")
    assert list(read_dataset(folder).cases[0].labels) == ["cell"]


def test_beside_a_label_image_of_the_same_stem_they_are_refused(folder):
    tifffile.imwrite(folder / "labels/a.tif", np.zeros((3, 5), np.uint8))
    with pytest.raises(DataError, match=r"several files of one stem: a\.geojson and a\.tif"):
        read_dataset(folder)


def test_among_the_images_they_are_left_aside(folder):
    (folder / "labels/a.geojson").rename(folder / "images/a.geojson")
    dataset = read_dataset(folder)
    assert not dataset.label_sets
    assert any("1 file left aside: a.geojson" in note for note in dataset.notes)


def test_regions_to_ignore_may_be_drawn(folder):
    (folder / "ignore").mkdir()
    (folder / "ignore/a.geojson").write_text(json.dumps([square(0, 0, 5, 1)]))
    dataset = read_dataset(folder)
    assert read_sample(dataset.cases[0], dataset).counts.tolist() == [[False] * 5, [True] * 5, [True] * 5]


def test_a_survey_measures_them_and_names_what_is_wrong(folder):
    dataset = read_dataset(folder, label_kind="instances")
    found = survey(dataset)
    assert not found.faults
    assert (found.label_sets[0].kind, found.label_sets[0].labels[0].values) == ("instances", 2)
    seen = []
    survey(dataset, visit=lambda each: seen.append(glimpse(each)))
    assert seen[0].measures["cell"].pixels == {1: 4, 2: 1}
    (folder / "labels/a.geojson").write_text(json.dumps([square(40, 40, 50, 50)]))
    (fault,) = survey(dataset).faults
    assert "feature 1 covers no pixel" in fault


def test_a_survey_of_an_unreadable_image_names_the_image_alone(folder):
    (folder / "images/a.tif").write_bytes(b"II*\x00")
    (fault,) = survey(read_dataset(folder, label_kind="instances")).faults
    assert "a.tif" in fault


def test_without_an_image_they_are_refused(folder):
    with pytest.raises(DataError, match=r"a\.geojson holds outlines, which have no size of their own"):
        read_labels(folder / "labels/a.geojson")
