"""More objects than 16 bits can number are in every kind of file; in a process of its own, where no type is checked."""

import csv
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from segdistill.data.labels import read_labels

COUNT = 200 * 334
PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from segdistill.data.geojson_writer import write_geojson
from segdistill.data.imagej_writer import write_rois
from segdistill.data.labels import Structure
from segdistill.data.object_table import write_table
from segdistill.data.objects import find_objects
from segdistill.data.writers import write_labels
from segdistill.data.zarr_writer import write_zarr

folder = Path(sys.argv[1])
labels = np.zeros((600, 1000), np.uint32)
labels[::3, ::3] = np.arange(1, 200 * 334 + 1).reshape(200, 334)
objects = find_objects(Structure("cell", True), [((slice(0, 600), slice(0, 1000)), labels)], labels.shape)
write_labels(folder / "a.tif", labels)
write_zarr(folder / "a.ome.zarr", labels.shape, [labels])
write_geojson(folder / "a.geojson", [objects], image="a")
write_rois(folder / "a.zip", objects)
write_table(folder / "a.csv", [("cell", objects.measured)])
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    subprocess.run([sys.executable, "-c", PROGRAM, str(folder)], check=True)
    return folder


@pytest.mark.parametrize("name", ["a.tif", "a.ome.zarr"])
def test_label_images_have_every_number(written, name):
    assert (np.unique(read_labels(written / name)) == np.arange(COUNT + 1)).all()


def test_geojson_has_every_object_where_it_is(written):
    features = json.loads((written / "a.geojson").read_text(encoding="utf-8"))["features"]
    corners = {feature["properties"]["name"]: feature["geometry"]["coordinates"][0][0] for feature in features}
    assert set(corners) == {f"cell {number}" for number in range(1, COUNT + 1)}
    assert len({feature["id"] for feature in features}) == COUNT
    assert corners[f"cell {2**16 + 1}"] == [3 * (2**16 % 334), 3 * (2**16 // 334)]


def test_rois_have_every_object(written):
    with zipfile.ZipFile(written / "a.zip") as archive:
        assert sorted(archive.namelist()) == sorted(f"cell-{number}.roi" for number in range(1, COUNT + 1))


def test_the_table_has_every_object_where_it_is(written):
    with (written / "a.csv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert [int(row["label"]) for row in rows] == list(range(1, COUNT + 1))
    last = rows[-1]
    assert (last["area_px"], last["top_px"], last["left_px"]) == ("1", str(3 * 199), str(3 * 333))
