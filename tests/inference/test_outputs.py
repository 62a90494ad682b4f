import csv
import json

import numpy as np
import pytest
import tifffile

from segdistill.data.geojson import read_geojson
from segdistill.data.labels import Structure, read_labels
from segdistill.data.outlines import fill, read_outlines
from segdistill.errors import ConfigError, DataError, UnknownName
from segdistill.files import sha256_path
from segdistill.inference import Options, predict_files, write_outlines
from segdistill.inference.outputs import OUTPUTS

CELL, VESSEL = Structure("cell", instances=True), Structure("vessel", instances=False)
PLACES = [(10, 12), (30, 40), (11, 60)]
ALL = tuple(OUTPUTS)
WRITTEN = {
    "labels": "a.tif",
    "png": "a.png",
    "zarr": "a.ome.zarr",
    "geojson": "a.geojson",
    "rois": "a.rois.zip",
    "table": "a.objects.csv",
}


def options(*outputs, **more):
    return Options(device="cpu", outputs=outputs, **more)


def table(path):
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture
def image(tmp_path, discs, tif):
    """An image of three discs, with a channel that the model does not look at."""
    picture = discs(50, 71, PLACES)
    other = np.random.default_rng(0).integers(0, 255, picture.shape, dtype=np.uint8)
    tif(tmp_path / "in" / "a.ome.tif", np.stack([other, picture]), ["CD3", "DAPI"], pixel_size=0.25)
    return tmp_path / "in"


def test_unasked_label_images_alone_are_written(tmp_path, image, bright):
    predict_files(bright("DAPI"), [image], tmp_path / "out", options=Options(device="cpu"))
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith("a")] == ["a.tif"]


@pytest.mark.parametrize("name", ALL)
def test_each_is_written_alone_and_recorded(tmp_path, image, bright, records, name):
    predict_files(bright("DAPI"), [image], tmp_path / "out", options=options(name))
    out = tmp_path / "out"
    assert [path.name for path in out.iterdir() if path.name.startswith("a")] == [WRITTEN[name]]
    assert records(out)[0]["files"] == {WRITTEN[name]: sha256_path(out / WRITTEN[name])}


def test_all_say_the_same(tmp_path, image, bright, records):
    predict_files(bright("DAPI"), [image], tmp_path / "out", options=options(*ALL))
    out = tmp_path / "out"
    labels = tifffile.imread(out / "a.tif").astype(np.int32)
    assert labels.max() == 3
    for name in ("png", "zarr"):
        np.testing.assert_array_equal(read_labels(out / WRITTEN[name]), labels)
    for name in ("geojson", "rois"):
        np.testing.assert_array_equal(read_outlines(out / WRITTEN[name], labels.shape), labels)
    picture = tifffile.imread(image / "a.ome.tif")
    rows = table(out / WRITTEN["table"])
    assert [int(row["label"]) for row in rows] == [1, 2, 3]
    for row in rows:
        own = labels == int(row["label"])
        assert float(row["area_um2"]) == own.sum() / 16
        for channel, name in enumerate(("CD3", "DAPI")):
            assert float(row[f"mean_{name}"]) == pytest.approx(picture[channel][own].mean())
            assert float(row[f"std_{name}"]) == pytest.approx(picture[channel][own].std())
    assert set(records(out)[0]["files"]) == set(WRITTEN.values())


def test_in_blocks_objects_are_whole(tmp_path, bright, tif, monkeypatch):
    monkeypatch.setattr("segdistill.inference.blocks._WHOLE", 2**14)
    monkeypatch.setattr("segdistill.inference.blocks._SIDE", 128)
    monkeypatch.setattr("segdistill.inference.outputs._MEASURED_AT_ONCE", 2**11)
    monkeypatch.setattr("segdistill.data.tracing._AT_ONCE", 2**11)
    y, x = np.mgrid[:300, :410]
    ring = np.abs(np.hypot(y - 150, x - 200) - 100) < 12  # across many blocks, with a hole
    picture = np.where(ring | (np.hypot(y - 150, x - 200) < 20), 200, 0).astype(np.uint8)
    tif(tmp_path / "in" / "a.tif", picture)
    model = bright("channel0")
    given = options("labels", "geojson", "table", tile=256)
    predict_files(model, [tmp_path / "in"], tmp_path / "out", options=given)
    labels = tifffile.imread(tmp_path / "out" / "a.tif")
    found = read_geojson(tmp_path / "out" / "a.geojson")
    assert len(found) == labels.max() == 2
    assert sorted(len(outline.parts[0]) for outline in found) == [1, 2]
    back = np.zeros(labels.shape, np.int64)
    for outline in found:
        for part in outline.parts:
            back[fill(part, labels.shape)] = int(outline.name.rpartition("cell ")[2].rstrip("')"))
    np.testing.assert_array_equal(back, labels)
    assert [int(row["area_px"]) for row in table(tmp_path / "out" / "a.objects.csv")] == [
        int((labels == number).sum()) for number in (1, 2)
    ]


def test_several_structures(tmp_path, image, bright):
    class Two(type(bright().module)):
        def forward(self, image):
            return super().forward(image)[:, [0, 1, 0]]

    model = bright("DAPI", structures=(CELL, VESSEL), module=Two())
    predict_files(model, [image], tmp_path / "out", options=options(*ALL))
    out = tmp_path / "out"
    for structure in ("cell", "vessel"):  # as label images are
        for name in ("labels", "png", "zarr", "rois"):
            assert (out / structure / WRITTEN[name]).exists()
    facts = [each["properties"] for each in json.loads((out / "a.geojson").read_text())["features"]]
    assert [(fact["objectType"], fact["classification"]["name"]) for fact in facts] == [
        *[("detection", "cell")] * 3,
        ("annotation", "vessel"),
    ]
    assert [row["structure"] for row in table(out / "a.objects.csv")] == ["cell", "cell", "cell", "vessel"]


def test_outlines_are_on_the_images_grid_whatever_the_model_saw(tmp_path, image, bright):
    model = bright("DAPI", pixel_size=0.5)
    given = options("labels", "geojson", "table", pixel_size="resample")
    predict_files(model, [image], tmp_path / "out", options=given)
    labels = tifffile.imread(tmp_path / "out" / "a.tif")
    assert labels.shape == (50, 71)
    np.testing.assert_array_equal(read_outlines(tmp_path / "out" / "a.geojson", labels.shape), labels)
    areas = [float(row["area_um2"]) for row in table(tmp_path / "out" / "a.objects.csv")]
    assert areas == [(labels == number).sum() / 16 for number in range(1, labels.max() + 1)]


def test_an_empty_image_has_all_files(tmp_path, bright, tif):
    tif(tmp_path / "in" / "a.tif", np.zeros((50, 71), np.uint8))
    predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=options(*ALL))
    assert all((tmp_path / "out" / name).exists() for name in WRITTEN.values())
    assert json.loads((tmp_path / "out" / "a.geojson").read_text())["features"] == []
    assert table(tmp_path / "out" / "a.objects.csv") == []


def test_what_was_lost_or_changed_is_made_again(tmp_path, image, bright):
    out, model, given = tmp_path / "out", bright("DAPI"), options(*ALL)
    predict_files(model, [image], out, options=given)
    before = {name: sha256_path(out / name) for name in WRITTEN.values()}
    chunk = next((out / "a.ome.zarr" / "0" / "c").rglob("0"))
    for damage in (
        (out / "a.geojson").unlink,
        lambda: (out / "a.objects.csv").write_text("label"),
        (chunk / "0" if chunk.is_dir() else chunk).unlink,
    ):
        assert predict_files(model, [image], out, options=given).skipped == ("a",)
        damage()
        assert predict_files(model, [image], out, options=given).done == ("a",)
        assert {name: sha256_path(out / name) for name in WRITTEN.values()} == before


def test_files_of_an_image_that_changed_are_set_aside(tmp_path, image, bright, discs, tif):
    out, model, given = tmp_path / "out", bright("DAPI"), options("zarr", "geojson")
    for places in (PLACES, PLACES[:2], PLACES[:1]):
        tif(image / "a.ome.tif", discs(50, 71, places)[None], ["DAPI"])
        predict_files(model, [image], out, options=given)
        assert read_labels(out / "a.ome.zarr").max() == len(places)
    assert read_labels(out / "a.ome.zarr.outdated").max() == 2
    assert len(json.loads((out / "a.geojson.outdated").read_text())["features"]) == 2


def test_folders_begun_before_there_was_a_choice_are_continued(tmp_path, image, bright):
    out, model = tmp_path / "out", bright("DAPI")
    predict_files(model, [image], out, options=Options(device="cpu"))
    record = out / "settings.json"
    settings = json.loads(record.read_text())
    assert settings.pop("outputs") == ["labels"]
    record.write_text(json.dumps(settings))  # as it was then
    assert predict_files(model, [image], out, options=options("labels")).skipped == ("a",)
    with pytest.raises(ConfigError, match=r"outputs: \['labels'\] there, \['labels', 'geojson'\] here"):
        predict_files(model, [image], out, options=options("geojson", "labels"))


def test_the_order_of_names_means_nothing(tmp_path, image, bright):
    out, model = tmp_path / "out", bright("DAPI")
    predict_files(model, [image], out, options=options("table", "geojson"))
    assert predict_files(model, [image], out, options=options("geojson", "table", "table")).skipped == ("a",)


def test_unknown_names_and_no_names_are_refused_before_anything_is_made(tmp_path, image, bright):
    with pytest.raises(UnknownName, match=r"no output called 'geojsn'\. Did you mean 'geojson'\?"):
        predict_files(bright("DAPI"), [image], tmp_path / "out", options=options("labels", "geojsn"))
    with pytest.raises(ConfigError, match="No output is asked for"):
        predict_files(bright("DAPI"), [image], tmp_path / "out", options=options())
    assert not (tmp_path / "out").exists()


def test_maps_alone_can_be_asked_for(tmp_path, image, bright, records):
    predict_files(bright("DAPI"), [image], tmp_path / "out", options=options(probabilities=True))
    assert list(records(tmp_path / "out")[0]["files"]) == ["a.probabilities.ome.tif"]


def test_png_is_refused_above_65535_objects_and_nothing_else_is_written(tmp_path, bright, failures):
    array = np.zeros((600, 1000), np.uint8)
    array[::3, ::3] = 200  # 200 × 334 objects
    np.save(tmp_path / "a.npy", array)
    given = options("labels", "png", tile=1024)
    summary = predict_files(bright("channel0"), [tmp_path / "a.npy"], tmp_path / "out", options=given)
    assert summary.done == ()
    [(_, reason)] = failures(tmp_path / "out")
    assert "66,800 objects (cell), but a PNG holds numbers up to 65,535. Use --outputs labels" in reason
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith("a")] == []


def test_a_table_has_all_channels_where_each_has_a_file(tmp_path, bright, discs, tif):
    for channel in ("dapi", "cd3"):
        tif(tmp_path / "in" / f"a_{channel}.tif", discs(50, 71, PLACES, value=200 if channel == "dapi" else 50))
    given = options("table", pattern="{name}_{channel}.tif")
    predict_files(bright("dapi"), [tmp_path / "in"], tmp_path / "out", options=given)
    assert [(row["mean_dapi"], row["mean_cd3"]) for row in table(tmp_path / "out" / "a.objects.csv")] == [
        ("200", "50")
    ] * 3


def test_an_image_called_as_a_file_of_ours(tmp_path, bright, discs, tif):
    for name in ("failed", "a", "a.objects"):
        tif(tmp_path / "in" / f"{name}.tif", discs(50, 71, PLACES))
    out = tmp_path / "out"
    predict_files(bright("channel0"), [tmp_path / "in"], out, options=options("table"))
    assert (out / "failed.csv").read_text().startswith("image,reason")
    for name in ("failed", "a", "a.objects"):
        assert len(table(out / f"{name}.objects.csv")) == 3


def test_outlines_of_an_array(tmp_path):
    labels = np.array([[0, 3, 3], [70_000, 0, 3]], np.uint32)
    for name in ("a.geojson", "a.zip"):
        write_outlines(tmp_path / name, labels, structure="cell", pixel_size=0.5)
        assert read_outlines(tmp_path / name, labels.shape).tolist() == [[0, 1, 1], [2, 0, 1]]
    with pytest.raises(DataError, match=r"a\.shp: \.shp is no format of theirs\. Use \.geojson or \.zip"):
        write_outlines(tmp_path / "a.shp", labels)
    with pytest.raises(DataError, match=r"nothing to write to .*shape is \(0, 3\)"):
        write_outlines(tmp_path / "a.zip", labels[:0])
    with pytest.raises(DataError, match="run from -1 to 0"):
        write_outlines(tmp_path / "a.zip", np.array([[0, -1]]))
