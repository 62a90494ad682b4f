import json

import pytest

from segdistill.data.geojson import read_geojson
from segdistill.errors import DataError

TRIANGLE = [[0, 0], [4, 0], [4, 4], [0, 0]]


def feature(kind="Polygon", coordinates=(TRIANGLE,), **properties):
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


def read(tmp_path, document):
    path = tmp_path / "a.geojson"
    path.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")
    return read_geojson(path)


@pytest.mark.parametrize("wrap", [lambda one: {"type": "FeatureCollection", "features": [one]}, list, dict])
def test_collections_lists_and_single_features(tmp_path, wrap):
    one = feature()
    (outline,) = read(tmp_path, [one] if wrap is list else wrap(one))
    assert outline.parts[0][0].tolist() == TRIANGLE


def test_a_cell_as_qupath_writes_it_is_its_outer_outline(tmp_path):
    cell = {
        "type": "Feature",
        "id": "6f1d4a52-3c1e-4a55-8d7c-0d3f0a9b7c11",
        "geometry": {"type": "Polygon", "coordinates": [TRIANGLE]},
        "nucleusGeometry": {"type": "Polygon", "coordinates": [[[2, 1], [3, 1], [3, 2], [2, 1]]]},
        "properties": {
            "objectType": "cell",
            "classification": {"name": "Positive", "color": [250, 62, 62]},
            "isLocked": False,
            "measurements": [{"name": "Cell: Area", "value": 8.0}],
        },
    }
    (outline,) = read(tmp_path, {"type": "FeatureCollection", "features": [cell]})
    assert outline.name == "feature 1"
    assert [ring.tolist() for ring in outline.parts[0]] == [TRIANGLE]


def test_an_object_of_several_areas_is_one(tmp_path):
    (outline,) = read(tmp_path, feature("MultiPolygon", [[TRIANGLE], [TRIANGLE, TRIANGLE]]))
    assert [len(part) for part in outline.parts] == [1, 2]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("{", "cannot be read as GeoJSON"),
        ({"images": [], "annotations": []}, "holds no features"),
        ({"type": "Feature", "geometry": None, "properties": {}}, "feature 1 has no geometry"),
        (feature("LineString", TRIANGLE, name="axis"), r"feature 1 \('axis'\) is a LineString"),
        (feature("Point", [1, 1]), "is a Point"),
        (feature(coordinates=[[[0, 0], [1, 1]]]), "three corners"),
        (feature(coordinates=[[["a", 0], [1, 1], [2, 0]]]), "cannot be read"),
        (feature(coordinates=[[[float("nan"), 0], [1, 1], [2, 0]]]), "not finite"),
        (feature(coordinates=[]), "no corners"),
        (feature(classification={"name": "Ignore*"}), r"class Ignore\*, which marks"),
    ],
)
def test_what_is_no_area_is_refused_by_name(tmp_path, document, reason):
    with pytest.raises(DataError, match=rf"a\.geojson.*{reason}"):
        read(tmp_path, document)
