import csv
import json

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from segdistill.data.labels import Structure
from segdistill.errors import ConfigError, DataError
from segdistill.inference import Options, predict_files
from segdistill.inference.api import predict

CELL, VESSEL = Structure("cell", instances=True), Structure("vessel", instances=False)
CPU = Options(device="cpu")
PLACES = [(10, 12), (30, 40), (11, 60)]


def png(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(array).save(path)
    return path


def tif(path, array, names=None, pixel_size=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"axes": "CYX" if array.ndim == 3 else "YX"}
    if names:
        metadata["Channel"] = {"Name": list(names)}
    if pixel_size:
        metadata |= {"PhysicalSizeX": pixel_size, "PhysicalSizeY": pixel_size}
    tifffile.imwrite(path, array, ome=True, photometric="minisblack", metadata=metadata)
    return path


def failures(out):
    with (out / "failed.csv").open(newline="", encoding="utf-8") as handle:
        return list(csv.reader(handle))[1:]


def records(out):
    return [json.loads(line) for line in (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]


def test_masks_are_right_and_on_the_images_grid(tmp_path, bright, discs):
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


TYPES = [
    ("uint8", lambda x: x.astype(np.uint8)),
    ("uint16", lambda x: x.astype(np.uint16) * 257),
    ("12 bits in uint16", lambda x: x.astype(np.uint16) * 16),
    ("int16", lambda x: x.astype(np.int16) - 100),
    ("uint32", lambda x: x.astype(np.uint32) * 100_000),
    ("float32 to 1", lambda x: (x / 255).astype(np.float32)),
    ("float32 to 65535", lambda x: (x * 257).astype(np.float32)),
    ("float64", lambda x: x / 7),
    ("big-endian", lambda x: x.astype(">u2")),
]


def test_one_picture_in_every_type_gives_one_mask(tmp_path, bright):
    picture = np.clip(np.random.default_rng(0).normal(120, 60, (41, 67)), 0, 250).round()
    for number, (_, convert) in enumerate(TYPES):
        tif(tmp_path / "in" / f"{number}.tif", convert(picture))
    assert predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU).failed == {}
    masks = [tifffile.imread(tmp_path / "out" / f"{number}.tif") for number in range(len(TYPES))]
    assert masks[0].max() > 20
    for (name, _), mask in zip(TYPES, masks, strict=True):
        np.testing.assert_array_equal(mask, masks[0], err_msg=name)
    assert all(record["range"] for record in records(tmp_path / "out"))


def test_a_black_and_white_picture_gives_the_mask_of_the_grey_one(tmp_path, bright, discs):
    image = discs(50, 71, PLACES)
    tif(tmp_path / "in" / "grey.tif", image)
    np.save(tmp_path / "in" / "bool.npy", image > 0)
    assert predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU).failed == {}
    np.testing.assert_array_equal(
        tifffile.imread(tmp_path / "out" / "bool.tif"), tifffile.imread(tmp_path / "out" / "grey.tif")
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (300, 1), (7, 13)])
def test_odd_shapes(tmp_path, bright, shape):
    array = np.random.default_rng(1).integers(0, 200, shape).astype(np.uint8)
    tif(tmp_path / "a.tif", array)
    options = Options(device="cpu", tile=64)
    assert predict_files(bright("channel0"), [tmp_path / "a.tif"], tmp_path / "out", options=options).failed == {}
    assert tifffile.imread(tmp_path / "out" / "a.tif").reshape(shape).shape == shape


def test_an_image_without_pixels_fails_alone(tmp_path, bright):
    np.save(tmp_path / "empty.npy", np.zeros((0, 5), np.uint8))
    summary = predict_files(bright("channel0"), [tmp_path / "empty.npy"], tmp_path / "out", options=CPU)
    assert list(summary.failed) == [str(tmp_path / "empty.npy")]
    assert "no pixels" in failures(tmp_path / "out")[0][1]


@pytest.mark.parametrize("value", [0, 77])
def test_a_blank_image_is_marked_empty_and_is_no_error(tmp_path, bright, value):
    class Untouched(type(bright().module)):
        def forward(self, _):
            raise AssertionError("nothing is to be seen, so nothing is to be computed")

    tif(tmp_path / "blank.tif", np.full((60, 900), value, np.uint16))
    told = []
    model = bright("channel0", module=Untouched())
    predict_files(model, [tmp_path / "blank.tif"], tmp_path / "out", options=CPU, notice=told.append)
    assert told[-1].endswith("empty")
    assert records(tmp_path / "out")[0]["empty"] is True
    assert tifffile.imread(tmp_path / "out" / "blank.tif").shape == (60, 900)
    assert not tifffile.imread(tmp_path / "out" / "blank.tif").any()


def test_salt_noise_is_not_taken_for_blank(tmp_path, bright):
    array = np.zeros((60, 90), np.uint8)
    array[5, 7] = 255
    tif(tmp_path / "salt.tif", array)
    predict_files(bright("channel0"), [tmp_path / "salt.tif"], tmp_path / "out", options=CPU)
    assert records(tmp_path / "out")[0]["structures"]["cell"]["objects"] == 1


def test_more_than_65535_objects(tmp_path, bright):
    array = np.zeros((2048, 2100), np.uint8)  # above 2**22 pixels: segmented in blocks
    array[::5, ::9] = 200
    objects = 410 * 234
    assert objects > 65_535
    np.save(tmp_path / "many.npy", array)
    model = bright("channel0")
    predict_files(model, [tmp_path / "many.npy"], tmp_path / "out", options=Options(device="cpu", tile=1024))
    mask = tifffile.imread(tmp_path / "out" / "many.tif")
    assert mask.dtype == np.uint32
    assert len(np.unique(mask)) - 1 == mask.max() == objects
    assert records(tmp_path / "out")[0]["structures"]["cell"]["objects"] == objects


def test_channels_in_another_order_give_the_same_masks(tmp_path, bright, discs):
    nucleus, membrane = discs(50, 71, PLACES), discs(50, 71, [(25, 25)])
    tif(tmp_path / "a.tif", np.stack([nucleus, membrane]), ("nucleus", "membrane"))
    tif(tmp_path / "b.tif", np.stack([membrane, nucleus]), ("membrane", "nucleus"))
    images = [tmp_path / "a.tif", tmp_path / "b.tif"]
    predict_files(bright("nucleus", "membrane"), images, tmp_path / "out", options=CPU)
    assert (tmp_path / "out" / "a.tif").read_bytes()[:100] == (tmp_path / "out" / "b.tif").read_bytes()[:100]
    a, b = (tifffile.imread(tmp_path / "out" / name) for name in ("a.tif", "b.tif"))
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(a > 0, nucleus > 0)


def test_a_missing_channel_is_refused_and_those_found_are_named(tmp_path, bright, discs):
    tif(tmp_path / "a.tif", np.stack([discs(20, 30, [(5, 5)])] * 2), ("DAPI", "membrane"))
    png(tmp_path / "rgb.png", np.zeros((20, 30, 3), np.uint8))
    summary = predict_files(
        bright("nucleus"), [tmp_path / "a.tif", tmp_path / "rgb.png"], tmp_path / "out", options=CPU
    )
    assert len(summary.failed) == 2
    reasons = {path.rpartition("/")[2]: reason for path, reason in failures(tmp_path / "out")}
    assert "no channel 'nucleus'" in reasons["a.tif"]
    assert "DAPI, membrane" in reasons["a.tif"]
    assert "red, green, blue" in reasons["rgb.png"]


def test_a_damaged_image_among_good_ones_is_listed_and_the_others_are_done(tmp_path, bright, discs):
    for name in ("a", "c", "=d"):
        tif(tmp_path / "in" / f"{name}.tif", discs(50, 71, PLACES))
    whole = (tmp_path / "in" / "a.tif").read_bytes()
    (tmp_path / "in" / "b.tif").write_bytes(whole[: len(whole) * 6 // 10])
    (tmp_path / "in" / "e.tif").write_bytes(b"")
    np.save(tmp_path / "in" / "f.npy", np.array([[1.0, np.nan, 2.0]]))
    summary = predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU)
    assert summary.done == ("=d", "a", "c")
    assert [path.rpartition("/")[2] for path, _ in failures(tmp_path / "out")] == ["b.tif", "e.tif", "f.npy"]
    assert set(summary.failed) == {path for path, _ in failures(tmp_path / "out")}
    assert not (tmp_path / "out" / "b.tif").exists()
    # Once mended it is done, and failed no more; what was done is not done again.
    (tmp_path / "in" / "b.tif").write_bytes(whole)
    summary = predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU)
    assert (summary.done, summary.skipped) == (("b",), ("=d", "a", "c"))
    assert len(failures(tmp_path / "out")) == 2


def test_failures_of_earlier_calls_stay_listed(tmp_path, bright, discs):
    (tmp_path / "bad.tif").write_bytes(b"no picture")
    tif(tmp_path / "good.tif", discs(50, 71, PLACES))
    predict_files(bright("channel0"), [tmp_path / "bad.tif"], tmp_path / "out", options=CPU)
    summary = predict_files(bright("channel0"), [tmp_path / "good.tif"], tmp_path / "out", options=CPU)
    assert summary.failed == {}
    assert [path for path, _ in failures(tmp_path / "out")] == [str(tmp_path / "bad.tif")]


def test_an_image_that_changed_is_done_again_and_its_old_mask_set_aside(tmp_path, bright, discs):
    tif(tmp_path / "a.tif", discs(50, 71, PLACES))
    predict_files(bright("channel0"), [tmp_path / "a.tif"], tmp_path / "out", options=CPU)
    old = (tmp_path / "out" / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(b"no picture any more")
    predict_files(bright("channel0"), [tmp_path / "a.tif"], tmp_path / "out", options=CPU)
    assert not (tmp_path / "out" / "a.tif").exists()  # the old mask is not taken for a new one
    assert (tmp_path / "out" / "a.tif.outdated").read_bytes() == old
    assert len(failures(tmp_path / "out")) == 1


def test_a_mask_that_was_lost_or_changed_is_made_again(tmp_path, bright, discs):
    for name in ("a", "b", "c"):
        tif(tmp_path / "in" / f"{name}.tif", discs(50, 71, PLACES))
    predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU)
    before = {name: (tmp_path / "out" / f"{name}.tif").read_bytes() for name in "abc"}
    (tmp_path / "out" / "a.tif").unlink()
    (tmp_path / "out" / "b.tif").write_bytes(before["b"][:-1])
    summary = predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU)
    assert (summary.done, summary.skipped) == (("a", "b"), ("c",))
    assert {name: (tmp_path / "out" / f"{name}.tif").read_bytes() for name in "abc"} == before


def test_a_record_torn_by_a_kill_is_passed_over_and_ended(tmp_path, bright, discs):
    for name in ("a", "b"):
        tif(tmp_path / "in" / f"{name}.tif", discs(50, 71, PLACES))
    predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU)
    log = tmp_path / "out" / "predictions.jsonl"
    log.write_bytes(log.read_bytes()[:-40])
    assert predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU).done == ("b",)
    assert predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU).skipped == ("a", "b")


def test_more_images_may_come_later_and_equal_names_never_share_a_mask(tmp_path, bright, discs):
    tif(tmp_path / "plate1" / "A01.tif", discs(50, 71, PLACES))
    tif(tmp_path / "plate2" / "A01.tif", discs(50, 71, PLACES[:1]))
    predict_files(bright("channel0"), [tmp_path / "plate1"], tmp_path / "out", options=CPU)
    summary = predict_files(bright("channel0"), [tmp_path / "plate2"], tmp_path / "out", options=CPU)
    assert summary.done == ("A01.tif",)
    assert tifffile.imread(tmp_path / "out" / "A01.tif").max() == 3
    assert tifffile.imread(tmp_path / "out" / "A01.tif.tif").max() == 1
    both = predict_files(bright("channel0"), [tmp_path / "plate1", tmp_path / "plate2"], tmp_path / "out", options=CPU)
    assert both.skipped == ("A01", "A01.tif")


def test_another_model_or_other_options_are_refused(tmp_path, bright, discs):
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


def test_a_folder_of_something_else_is_refused(tmp_path, bright, discs):
    tif(tmp_path / "in" / "a.tif", discs(50, 71, PLACES))
    with pytest.raises(ConfigError, match=r"holds no run \(a\.tif\)"):
        predict_files(bright("channel0"), [tmp_path / "in" / "a.tif"], tmp_path / "in", options=CPU)


def test_nothing_is_written_beside_the_images(tmp_path, bright, discs):
    tif(tmp_path / "in" / "a.tif", discs(50, 71, PLACES))
    (tmp_path / "in" / "broken.tif").write_bytes(b"no picture")
    (tmp_path / "in").chmod(0o555)
    before = {path: path.stat().st_mtime_ns for path in [tmp_path / "in", *(tmp_path / "in").iterdir()]}
    summary = predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU)
    (tmp_path / "in").chmod(0o755)
    assert len(summary.done) == len(summary.failed) == 1
    assert {path: path.stat().st_mtime_ns for path in [tmp_path / "in", *(tmp_path / "in").iterdir()]} == before


def test_several_structures_have_a_folder_each_and_the_network_runs_once(tmp_path, bright, dense):
    class Two(type(bright().module)):
        calls = 0

        def forward(self, image):
            Two.calls += image.shape[2] * image.shape[3]
            scores = super().forward(image)
            return scores[:, [0, 1, 0]]

    array = np.random.default_rng(0).integers(0, 200, (2100, 2050)).astype(np.uint8)
    np.save(tmp_path / "large.npy", array)
    model = bright("channel0", structures=(CELL, VESSEL), module=Two())
    options = Options(device="cpu", tile=2048, probabilities=True)
    predict_files(model, [tmp_path / "large.npy"], tmp_path / "out", options=options)
    assert Two.calls < 1.4 * array.size
    vessel = tifffile.imread(tmp_path / "out" / "vessel" / "large.tif")
    np.testing.assert_array_equal(vessel > 0, array > 199 / 2)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out" / "cell" / "large.tif") > 0, vessel > 0)
    maps = tifffile.imread(tmp_path / "out" / "large.probabilities.ome.tif")
    assert maps.shape == (3, 2100, 2050)
    np.testing.assert_array_equal(maps[2] > 0.5, vessel > 0)


def test_a_structures_name_cannot_lead_out_of_the_folder(tmp_path, bright, discs):
    tif(tmp_path / "a.tif", discs(50, 71, PLACES))
    model = bright("channel0", structures=(Structure("..", instances=False), VESSEL), module=None)
    predict_files(model, [tmp_path / "a.tif"], tmp_path / "deep" / "out", options=CPU)
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"out"}


@pytest.mark.parametrize(("pixel_size", "wanted"), [(0.5, (50, 71)), (0.25, (50, 71)), (1.0, (50, 71))])
def test_resampled_images_get_masks_on_their_own_grid(tmp_path, bright, discs, pixel_size, wanted):
    image = discs(50, 71, PLACES, radius=6)
    tif(tmp_path / "a.tif", image, pixel_size=pixel_size)
    model = bright("channel0", pixel_size=0.5)
    options = Options(device="cpu", pixel_size="resample", probabilities=True)
    predict_files(model, [tmp_path / "a.tif"], tmp_path / "out", options=options)
    mask = tifffile.imread(tmp_path / "out" / "a.tif")
    assert mask.shape == wanted
    assert mask.max() == 3
    agree = 2 * np.sum((mask > 0) & (image > 0)) / (np.sum(mask > 0) + np.sum(image > 0))
    assert agree > 0.9
    assert tifffile.imread(tmp_path / "out" / "a.probabilities.ome.tif").shape == (2, *wanted)
    assert records(tmp_path / "out")[0]["scaled"] == pixel_size / 0.5


def test_another_pixel_size_is_refused_unless_it_is_to_be_ignored(tmp_path, bright, discs):
    tif(tmp_path / "half.tif", discs(50, 71, PLACES), pixel_size=0.25)
    tif(tmp_path / "nearly.tif", discs(50, 71, PLACES), pixel_size=0.53)
    tif(tmp_path / "unknown.tif", discs(50, 71, PLACES))
    images, model = (
        [tmp_path / f"{name}.tif" for name in ("half", "nearly", "unknown")],
        bright("channel0", pixel_size=0.5),
    )
    refused = predict_files(model, images, tmp_path / "refuse", options=CPU)
    assert refused.done == ("nearly", "unknown")
    assert "0.25 µm" in refused.failed[str(images[0])]
    assert "--pixel-size" in refused.failed[str(images[0])]
    ignored = predict_files(model, images, tmp_path / "ignore", options=Options(device="cpu", pixel_size="ignore"))
    assert ignored.done == ("half", "nearly", "unknown")
    resampled = predict_files(
        model, images, tmp_path / "resample", options=Options(device="cpu", pixel_size="resample")
    )
    assert list(resampled.failed) == [str(images[2])]


def test_pixels_that_are_no_numbers_are_refused_or_filled(tmp_path, bright, discs):
    image = discs(50, 71, PLACES).astype(np.float32)
    image[20, 20] = np.nan
    np.save(tmp_path / "a.npy", image)
    refused = predict_files(bright("channel0"), [tmp_path / "a.npy"], tmp_path / "refuse", options=CPU)
    assert "1 of 3,550" in next(iter(refused.failed.values()))
    options = Options(device="cpu", fill_non_finite=True)
    predict_files(bright("channel0"), [tmp_path / "a.npy"], tmp_path / "fill", options=options)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "fill" / "a.tif") > 0, np.nan_to_num(image) > 0)


def test_a_halo_that_leaves_nothing_is_refused_before_anything_is_made(tmp_path, bright, discs):
    tif(tmp_path / "a.tif", discs(50, 71, PLACES))
    with pytest.raises(ConfigError, match="leaves nothing to keep"):
        predict_files(
            bright("channel0"), [tmp_path / "a.tif"], tmp_path / "out", options=Options(device="cpu", halo=256)
        )
    assert not (tmp_path / "out").exists()


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


def test_one_file_in_memory_is_what_the_folder_gets(tmp_path, bright, discs):
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
