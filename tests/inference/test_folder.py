import json

import numpy as np
import pytest
import tifffile

from segdistill.data.labels import Structure
from segdistill.errors import ConfigError, DataError
from segdistill.inference import Options, predict_files
from segdistill.inference.api import predict

CELL, VESSEL = Structure("cell", instances=True), Structure("vessel", instances=False)
CPU = Options(device="cpu")
PLACES = [(10, 12), (30, 40), (11, 60)]


def test_masks_are_right_and_on_the_images_grid(tmp_path, bright, discs, tif, records):
    image = discs(50, 71, PLACES)
    tif(tmp_path / "in" / "a.ome.tif", image, pixel_size=0.25)
    summary = predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU)
    assert (summary.done, summary.skipped, summary.failed) == (("a",), (), {})
    with tifffile.TiffFile(tmp_path / "out" / "a.tif") as file:
        mask = file.asarray()
        assert 'PhysicalSizeX="0.25"' in file.ome_metadata
    assert mask.dtype == np.uint32
    assert mask.max() == 3
    np.testing.assert_array_equal(mask > 0, image > 0)
    [record] = records(tmp_path / "out")
    assert record["structures"] == {"cell": {"objects": 3, "pixels": int((image > 0).sum()), "dropped": 0}}
    assert record["range"] == {"channel0": [0.0, 200.0]}


def test_more_than_65535_objects(tmp_path, bright, monkeypatch, records):
    monkeypatch.setattr("segdistill.inference.blocks._WHOLE", 2**16)  # it is segmented in blocks, as a larger one
    array = np.zeros((600, 1000), np.uint8)
    array[::3, ::3] = 200
    objects = 200 * 334
    assert objects > 65_535
    np.save(tmp_path / "many.npy", array)
    model = bright("channel0")
    predict_files(model, [tmp_path / "many.npy"], tmp_path / "out", options=Options(device="cpu", tile=1024))
    mask = tifffile.imread(tmp_path / "out" / "many.tif")
    assert mask.dtype == np.uint32
    assert len(np.unique(mask)) - 1 == mask.max() == objects
    assert records(tmp_path / "out")[0]["structures"]["cell"]["objects"] == objects


def test_failures_of_earlier_calls_stay_listed(tmp_path, bright, discs, tif, failures):
    (tmp_path / "bad.tif").write_bytes(b"no picture")
    tif(tmp_path / "good.tif", discs(50, 71, PLACES))
    predict_files(bright("channel0"), [tmp_path / "bad.tif"], tmp_path / "out", options=CPU)
    summary = predict_files(bright("channel0"), [tmp_path / "good.tif"], tmp_path / "out", options=CPU)
    assert summary.failed == {}
    assert [path for path, _ in failures(tmp_path / "out")] == [str(tmp_path / "bad.tif")]


def test_what_must_be_converted_fails_with_the_hint_and_the_others_go_on(tmp_path, bright, discs, tif, failures):
    tif(tmp_path / "in" / "good.tif", discs(50, 71, PLACES))
    (tmp_path / "in" / "scan.czi").write_bytes(b"ZISRAWFILE")
    summary = predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU)
    assert summary.done == ("good",)
    [(path, reason)] = failures(tmp_path / "out")
    assert path == str(tmp_path / "in" / "scan.czi")
    assert "convert it with `bioformats2raw scan.czi scan.zarr`" in reason


def test_an_image_that_changed_is_done_again_and_its_old_mask_set_aside(tmp_path, bright, discs, tif, failures):
    tif(tmp_path / "a.tif", discs(50, 71, PLACES))
    predict_files(bright("channel0"), [tmp_path / "a.tif"], tmp_path / "out", options=CPU)
    old = (tmp_path / "out" / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(b"no picture any more")
    predict_files(bright("channel0"), [tmp_path / "a.tif"], tmp_path / "out", options=CPU)
    assert not (tmp_path / "out" / "a.tif").exists()  # the old mask is not taken for a new one
    assert (tmp_path / "out" / "a.tif.outdated").read_bytes() == old
    assert len(failures(tmp_path / "out")) == 1


def test_a_mask_that_was_lost_or_changed_is_made_again(tmp_path, bright, discs, tif):
    for name in ("a", "b", "c"):
        tif(tmp_path / "in" / f"{name}.tif", discs(50, 71, PLACES))
    predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU)
    before = {name: (tmp_path / "out" / f"{name}.tif").read_bytes() for name in "abc"}
    (tmp_path / "out" / "a.tif").unlink()
    (tmp_path / "out" / "b.tif").write_bytes(before["b"][:-1])
    summary = predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU)
    assert (summary.done, summary.skipped) == (("a", "b"), ("c",))
    assert {name: (tmp_path / "out" / f"{name}.tif").read_bytes() for name in "abc"} == before


def test_a_record_torn_by_a_kill_is_passed_over_and_ended(tmp_path, bright, discs, tif):
    for name in ("a", "b"):
        tif(tmp_path / "in" / f"{name}.tif", discs(50, 71, PLACES))
    predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU)
    log = tmp_path / "out" / "predictions.jsonl"
    log.write_bytes(log.read_bytes()[:-40])
    assert predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU).done == ("b",)
    assert predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU).skipped == ("a", "b")


def test_more_images_may_come_later_and_equal_names_never_share_a_mask(tmp_path, bright, discs, tif):
    tif(tmp_path / "plate1" / "A01.tif", discs(50, 71, PLACES))
    tif(tmp_path / "plate2" / "A01.tif", discs(50, 71, PLACES[:1]))
    predict_files(bright("channel0"), [tmp_path / "plate1"], tmp_path / "out", options=CPU)
    summary = predict_files(bright("channel0"), [tmp_path / "plate2"], tmp_path / "out", options=CPU)
    assert summary.done == ("A01.tif",)
    assert tifffile.imread(tmp_path / "out" / "A01.tif").max() == 3
    assert tifffile.imread(tmp_path / "out" / "A01.tif.tif").max() == 1
    both = predict_files(bright("channel0"), [tmp_path / "plate1", tmp_path / "plate2"], tmp_path / "out", options=CPU)
    assert both.skipped == ("A01", "A01.tif")


def test_another_model_or_other_options_are_refused(tmp_path, bright, discs, tif):
    tif(tmp_path / "a.tif", discs(50, 71, PLACES))
    predict_files(bright("channel0"), [tmp_path / "a.tif"], tmp_path / "out", options=CPU)
    for model, options, words in [
        (bright("channel0", weights_sha256="0" * 64), CPU, r"model\.weights_sha256"),
        (
            bright("channel0", thresholds={"cell": {"foreground": 0.4, "seed": 0.5, "minimum_size": 0}}),
            CPU,
            r"model\.thresholds\.cell\.foreground: not set there, 0\.4 here",
        ),
        (bright("channel0"), Options(device="cpu", tile=256), "tile: 512 there, 256 here"),
        (bright("channel0"), Options(device="cpu", probabilities=True), "probabilities: False there, True here"),
    ]:
        with pytest.raises(ConfigError, match=words):
            predict_files(model, [tmp_path / "a.tif"], tmp_path / "out", options=options)


def test_a_folder_of_something_else_is_refused(tmp_path, bright, discs, tif):
    tif(tmp_path / "in" / "a.tif", discs(50, 71, PLACES))
    with pytest.raises(ConfigError, match=r"holds no run \(a\.tif\)"):
        predict_files(bright("channel0"), [tmp_path / "in" / "a.tif"], tmp_path / "in", options=CPU)


def test_nothing_is_written_beside_the_images(tmp_path, bright, discs, tif):
    tif(tmp_path / "in" / "a.tif", discs(50, 71, PLACES))
    (tmp_path / "in" / "broken.tif").write_bytes(b"no picture")
    (tmp_path / "in").chmod(0o555)
    before = {path: path.stat().st_mtime_ns for path in [tmp_path / "in", *(tmp_path / "in").iterdir()]}
    summary = predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU)
    (tmp_path / "in").chmod(0o755)
    assert len(summary.done) == len(summary.failed) == 1
    assert {path: path.stat().st_mtime_ns for path in [tmp_path / "in", *(tmp_path / "in").iterdir()]} == before


def test_several_structures_have_a_folder_each_and_the_network_runs_once(tmp_path, bright, monkeypatch):
    class Two(type(bright().module)):
        calls = 0

        def forward(self, image):
            Two.calls += image.shape[2] * image.shape[3]
            scores = super().forward(image)
            return scores[:, [0, 1, 0]]

    monkeypatch.setattr("segdistill.inference.blocks._WHOLE", 2**14)
    monkeypatch.setattr("segdistill.inference.blocks._SIDE", 128)
    array = np.random.default_rng(0).integers(0, 200, (300, 410)).astype(np.uint8)
    np.save(tmp_path / "large.npy", array)
    model = bright("channel0", structures=(CELL, VESSEL), module=Two())
    options = Options(device="cpu", tile=256, probabilities=True)
    predict_files(model, [tmp_path / "large.npy"], tmp_path / "out", options=options)
    assert Two.calls < 1.4 * array.size
    vessel = tifffile.imread(tmp_path / "out" / "vessel" / "large.tif")
    np.testing.assert_array_equal(vessel > 0, array > 199 / 2)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out" / "cell" / "large.tif") > 0, vessel > 0)
    maps = tifffile.imread(tmp_path / "out" / "large.probabilities.ome.tif")
    assert maps.shape == (3, 300, 410)
    np.testing.assert_array_equal(maps[2] > 0.5, vessel > 0)


def test_a_structures_name_cannot_lead_out_of_the_folder(tmp_path, bright, discs, tif):
    tif(tmp_path / "a.tif", discs(50, 71, PLACES))
    model = bright("channel0", structures=(Structure("..", instances=False), VESSEL), module=None)
    predict_files(model, [tmp_path / "a.tif"], tmp_path / "deep" / "out", options=CPU)
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"out"}


def test_a_halo_that_leaves_nothing_is_refused_before_anything_is_made(tmp_path, bright, discs, tif):
    tif(tmp_path / "a.tif", discs(50, 71, PLACES))
    with pytest.raises(ConfigError, match="leaves nothing to keep"):
        predict_files(
            bright("channel0"), [tmp_path / "a.tif"], tmp_path / "out", options=Options(device="cpu", halo=256)
        )
    assert not (tmp_path / "out").exists()


def test_a_model_of_before_is_used_with_its_smaller_exact_halo_and_its_folder_goes_on(tmp_path, bright, discs, tif):
    tif(tmp_path / "a.tif", discs(50, 71, PLACES))
    told = []
    model = bright("channel0", halo={"exact": 8, "fast": 64})
    predict_files(model, [tmp_path / "a.tif"], tmp_path / "out", options=CPU, notice=told.append)
    assert told[0].startswith("Halo 8 px, the fast one; exact: 8 px.")
    settings = json.loads((tmp_path / "out" / "settings.json").read_text(encoding="utf-8"))
    assert settings["halo"] == 64  # as folders have it that were begun before
    again = predict_files(model, [tmp_path / "a.tif"], tmp_path / "out", options=CPU)
    assert (again.done, again.skipped) == ((), ("a",))


def test_the_first_line_says_which_halo_is_used_and_what_it_costs(tmp_path, bright, discs, tif):
    tif(tmp_path / "a.tif", discs(50, 71, PLACES))
    model = bright("channel0", halo={"exact": None, "fast": 8, "agreement": 0.9876, "tile": 256})
    told = []
    predict_files(model, [tmp_path / "a.tif"], tmp_path / "out", options=CPU, notice=told.append)
    assert told[0].startswith("Halo 8 px, the fast one; exact: none")
    assert "Dice 0.9876 with those of uncut images (validation images, windows of 256 px)" in told[0]
    assert sum(line.startswith("Halo") for line in told) == 1


def test_one_array_in_memory(bright, discs):
    image = discs(50, 71, PLACES)
    model = bright("nucleus")
    masks = predict(model, image)
    assert masks["cell"].max() == 3
    both = np.stack([np.zeros_like(image), image])
    np.testing.assert_array_equal(predict(model, both, channels=["membrane", "nucleus"])["cell"], masks["cell"])
    with pytest.raises(ConfigError, match=r"2 channels.*takes nucleus"):
        predict(model, both)
    with pytest.raises(DataError, match="no channel 'nucleus'"):
        predict(model, both, channels=["membrane", "actin"])


def test_one_file_in_memory_is_what_the_folder_gets(tmp_path, bright, discs, tif):
    tif(tmp_path / "a.tif", discs(50, 71, PLACES), pixel_size=0.5)
    model = bright("channel0", pixel_size=0.5)
    predict_files(model, [tmp_path / "a.tif"], tmp_path / "out", options=CPU)
    np.testing.assert_array_equal(
        predict(model, tmp_path / "a.tif")["cell"], tifffile.imread(tmp_path / "out" / "a.tif")
    )


def test_the_callers_model_stays_as_it_is(bright, discs):
    model = bright("nucleus")
    model.module.train()
    predict(model, discs(50, 71, PLACES))
    assert model.module.training


def test_one_file_per_channel(tmp_path, bright, discs, tif, failures):
    image = discs(50, 71, PLACES)
    for name, channel, array in (("A01", "dapi", image), ("A01", "light", image * 0), ("A02", "light", image)):
        tif(tmp_path / "in" / f"{name}_{channel}.tif", array)
    options = Options(device="cpu", pattern="{name}_{channel}.tif")
    (tmp_path / "in" / "overview.png").write_bytes(b"")
    told = []
    summary = predict_files(bright("dapi"), [tmp_path / "in"], tmp_path / "out", options=options, notice=told.append)
    assert summary.done == ("A01",)
    assert any("left aside" in line and line.endswith("overview.png.") for line in told)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out" / "A01.tif") > 0, image > 0)
    [(failed, reason)] = failures(tmp_path / "out")
    assert failed == str(tmp_path / "in" / "A02")
    assert "has no channel 'dapi'" in reason
    again = predict_files(bright("dapi"), [tmp_path / "in"], tmp_path / "out", options=options)
    assert again.skipped == ("A01",)
    tif(tmp_path / "in" / "A01_dapi.tif", discs(50, 71, PLACES[:1]))
    assert predict_files(bright("dapi"), [tmp_path / "in"], tmp_path / "out", options=options).done == ("A01",)
    files = {"dapi": tmp_path / "in" / "A01_dapi.tif"}
    assert predict(bright("dapi"), files)["cell"].max() == 1
