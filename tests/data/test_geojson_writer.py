import json
import uuid
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segdistill.data.geojson import read_geojson
from segdistill.data.geojson_writer import write_geojson
from segdistill.data.labels import Structure
from segdistill.data.objects import find_objects
from segdistill.data.outlines import fill, read_outlines
from segdistill.errors import DataError, ShapeError

CELL, VESSEL = Structure("cell", True), Structure("vessel", False)
LABELS = np.array([[2, 2, 2, 0, 5], [2, 0, 2, 0, 0], [2, 2, 2, 0, 5]])


def blocks(labels, *cuts):
    """Return windows and labels, cut at these rows."""
    edges = [0, *cuts, len(labels)]
    columns = slice(0, labels.shape[1])
    return [((slice(top, bottom), columns), labels[top:bottom]) for top, bottom in pairwise(edges)]


def objects(labels, structure=CELL, pixel_size=None):
    return find_objects(structure, blocks(labels), labels.shape, pixel_size=pixel_size)


def document(path):
    return json.loads(path.read_text("utf-8"))


def test_one_feature_per_object_as_qupath_wants_it(tmp_path):
    file = tmp_path / "a.geojson"
    write_geojson(file, [objects(LABELS, pixel_size=0.5)], image="a")
    ring, pieces = document(file)["features"]
    assert ring["type"] == "Feature"
    assert ring["geometry"] == {
        "type": "Polygon",
        "coordinates": [
            [[0, 0], [3, 0], [3, 3], [0, 3], [0, 0]],
            [[2, 1], [1, 1], [1, 2], [2, 2], [2, 1]],
        ],
    }
    assert ring["properties"]["objectType"] == "detection"
    assert ring["properties"]["classification"] == {"name": "cell"}
    assert ring["properties"]["name"] == "cell 2"
    measured = ring["properties"]["measurements"]
    assert measured["area_um2"] == 2  # 8 pixels of a quarter square micrometre
    assert measured["eccentricity"] == 0
    assert measured["equivalent_diameter_um"] == pytest.approx((8 / np.pi) ** 0.5)
    assert pieces["geometry"]["type"] == "MultiPolygon"
    assert pieces["geometry"]["coordinates"] == [
        [[[4, 0], [5, 0], [5, 1], [4, 1], [4, 0]]],
        [[[4, 2], [5, 2], [5, 3], [4, 3], [4, 2]]],
    ]


def test_a_structure_as_a_whole_is_one_annotation(tmp_path):
    file = tmp_path / "a.geojson"
    write_geojson(file, [objects((LABELS > 0).astype(np.int64), VESSEL)], image="a")
    (feature,) = document(file)["features"]
    assert feature["properties"]["objectType"] == "annotation"
    assert feature["properties"]["name"] == "vessel"
    assert feature["properties"]["measurements"]["area_px"] == 10


def test_several_structures_are_classes_of_one_file(tmp_path):
    file = tmp_path / "a.geojson"
    write_geojson(file, [objects(LABELS), objects((LABELS > 0).astype(np.int64), VESSEL)], image="a")
    assert [feature["properties"]["classification"]["name"] for feature in document(file)["features"]] == [
        "cell",
        "cell",
        "vessel",
    ]


def test_identifiers_are_uuids_all_different_and_the_same_again(tmp_path):
    file = tmp_path / "a.geojson"
    labels = np.kron(np.eye(6, dtype=np.int64) * np.arange(1, 7), np.ones((2, 3), np.int64))

    def identifiers(image):
        write_geojson(file, [objects(labels)], image=image)
        return [str(uuid.UUID(feature["id"])) for feature in document(file)["features"]]

    first = identifiers("a")
    before = file.read_bytes()
    assert identifiers("a") == first
    assert file.read_bytes() == before
    assert len({*first, *identifiers("b")}) == 12


def test_no_objects_are_a_collection_of_none(tmp_path):
    file = tmp_path / "a.geojson"
    write_geojson(file, [objects(np.zeros((3, 5), np.int64))], image="a")
    assert document(file) == {"type": "FeatureCollection", "features": []}
    assert not read_outlines(file, (3, 5)).any()


def test_names_are_escaped(tmp_path):
    file = tmp_path / "a.geojson"
    name = 'µ "cell" é\n'
    write_geojson(file, [objects(LABELS, Structure(name, True))], image='"')
    assert document(file)["features"][0]["properties"]["classification"]["name"] == name


@settings(deadline=None, max_examples=60)
@given(labels=arrays(np.int64, (7, 9), elements=st.integers(0, 3)), cut=st.integers(1, 6))
def test_our_reader_gives_exactly_the_labels_back(tmp_path_factory, labels, cut):
    file = tmp_path_factory.mktemp("law") / "a.geojson"
    write_geojson(file, [find_objects(CELL, blocks(labels, cut), labels.shape)], image="a")
    back = np.zeros_like(labels)
    for outline in read_geojson(file):
        number = int(outline.name.rpartition("cell ")[2].rstrip("')"))
        for part in outline.parts:
            back[fill(part, labels.shape)] = number
    np.testing.assert_array_equal(back, labels)


def test_labels_that_are_no_labels_are_refused():
    for wrong in (-1, 2**32):
        with pytest.raises(DataError, match=rf"Labels of cell run from .*{wrong}"):
            objects(np.array([[0, wrong]]))
    with pytest.raises(ShapeError, match="Blocks of the labels of cell must cover 3 × 5"):
        find_objects(CELL, blocks(LABELS)[:0], LABELS.shape)


def test_what_fails_in_the_middle_leaves_the_old_file(tmp_path):
    file = tmp_path / "a.geojson"
    file.write_text("old")

    def failing():
        yield objects(LABELS)
        raise RuntimeError("the second structure failed")

    with pytest.raises(RuntimeError, match="the second structure failed"):
        write_geojson(file, failing(), image="a")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.geojson": "old"}


def test_measured_values_belong_to_their_object(tmp_path):
    file = tmp_path / "a.geojson"
    labels = np.repeat(np.array([[9, 3, 300]]), [1, 2, 3], axis=1)
    write_geojson(file, [objects(labels)], image="a")
    facts = [feature["properties"] for feature in document(file)["features"]]
    areas = sorted((fact["name"], fact["measurements"]["area_px"]) for fact in facts)
    assert areas == [("cell 3", 2), ("cell 300", 3), ("cell 9", 1)]
