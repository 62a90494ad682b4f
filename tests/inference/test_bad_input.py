"""Images of every kind, size and type: each is segmented, or refused alone and listed."""

import numpy as np
import pytest
import tifffile

from segdistill.data.labels import Structure
from segdistill.errors import EnvironmentFault
from segdistill.inference import Options, predict_files

CELL, VESSEL = Structure("cell", instances=True), Structure("vessel", instances=False)
CPU = Options(device="cpu")
PLACES = [(10, 12), (30, 40), (11, 60)]


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


def test_one_picture_in_every_type_gives_one_mask(tmp_path, bright, tif, records):
    picture = np.clip(np.random.default_rng(0).normal(120, 60, (41, 67)), 0, 250).round()
    for number, (_, convert) in enumerate(TYPES):
        tif(tmp_path / "in" / f"{number}.tif", convert(picture))
    assert predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU).failed == {}
    masks = [tifffile.imread(tmp_path / "out" / f"{number}.tif") for number in range(len(TYPES))]
    assert masks[0].max() > 20
    for (name, _), mask in zip(TYPES, masks, strict=True):
        np.testing.assert_array_equal(mask, masks[0], err_msg=name)
    assert all(record["range"] for record in records(tmp_path / "out"))


def test_a_black_and_white_picture_gives_the_mask_of_the_grey_one(tmp_path, bright, discs, tif):
    image = discs(50, 71, PLACES)
    tif(tmp_path / "in" / "grey.tif", image)
    np.save(tmp_path / "in" / "bool.npy", image > 0)
    assert predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU).failed == {}
    np.testing.assert_array_equal(
        tifffile.imread(tmp_path / "out" / "bool.tif"), tifffile.imread(tmp_path / "out" / "grey.tif")
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (300, 1), (7, 13)])
def test_odd_shapes(tmp_path, bright, shape, tif):
    array = np.random.default_rng(1).integers(0, 200, shape).astype(np.uint8)
    tif(tmp_path / "a.tif", array)
    options = Options(device="cpu", tile=64)
    assert predict_files(bright("channel0"), [tmp_path / "a.tif"], tmp_path / "out", options=options).failed == {}
    assert tifffile.imread(tmp_path / "out" / "a.tif").reshape(shape).shape == shape


def test_an_image_without_pixels_fails_alone(tmp_path, bright, failures):
    np.save(tmp_path / "empty.npy", np.zeros((0, 5), np.uint8))
    summary = predict_files(bright("channel0"), [tmp_path / "empty.npy"], tmp_path / "out", options=CPU)
    assert list(summary.failed) == [str(tmp_path / "empty.npy")]
    assert "no pixels" in failures(tmp_path / "out")[0][1]


@pytest.mark.parametrize("value", [0, 77])
def test_a_blank_image_is_marked_empty_and_is_no_error(tmp_path, bright, value, tif, records):
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


def test_salt_noise_is_not_taken_for_blank(tmp_path, bright, tif, records):
    array = np.zeros((60, 90), np.uint8)
    array[5, 7] = 255
    tif(tmp_path / "salt.tif", array)
    predict_files(bright("channel0"), [tmp_path / "salt.tif"], tmp_path / "out", options=CPU)
    assert records(tmp_path / "out")[0]["structures"]["cell"]["objects"] == 1


def test_channels_in_another_order_give_the_same_masks(tmp_path, bright, discs, tif):
    nucleus, membrane = discs(50, 71, PLACES), discs(50, 71, [(25, 25)])
    tif(tmp_path / "a.tif", np.stack([nucleus, membrane]), ("nucleus", "membrane"))
    tif(tmp_path / "b.tif", np.stack([membrane, nucleus]), ("membrane", "nucleus"))
    images = [tmp_path / "a.tif", tmp_path / "b.tif"]
    predict_files(bright("nucleus", "membrane"), images, tmp_path / "out", options=CPU)
    assert (tmp_path / "out" / "a.tif").read_bytes()[:100] == (tmp_path / "out" / "b.tif").read_bytes()[:100]
    a, b = (tifffile.imread(tmp_path / "out" / name) for name in ("a.tif", "b.tif"))
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(a > 0, nucleus > 0)


def test_names_that_put_a_files_own_elsewhere_are_refused_file_by_file(tmp_path, bright, discs, tif, failures):
    nucleus, membrane = discs(50, 71, PLACES), discs(50, 71, [(25, 25)])
    tif(tmp_path / "a.tif", np.stack([nucleus, membrane]), ("nucleus", "membrane"))
    tif(tmp_path / "b.tif", np.stack([membrane, nucleus]), ("membrane", "nucleus"))
    options = Options(device="cpu", channels=("nucleus", "membrane"))
    images = [tmp_path / "a.tif", tmp_path / "b.tif"]
    assert predict_files(bright("nucleus", "membrane"), images, tmp_path / "out", options=options).done == ("a",)
    ((path, reason),) = failures(tmp_path / "out")
    assert path.endswith("b.tif")
    assert "names its channels itself: membrane, nucleus" in reason


def test_other_names_in_place_of_the_files_are_told_once(tmp_path, bright, discs, tif, records):
    pixels = np.stack([discs(50, 71, PLACES), discs(50, 71, [(25, 25)])])
    for name, channels in (("a", None), ("b", ("DAPI", "actin")), ("c", ("DAPI", "ER"))):
        tif(tmp_path / "in" / f"{name}.tif", pixels, channels)
    told = []
    options = Options(device="cpu", channels=("nucleus", "membrane"))
    predict_files(
        bright("nucleus", "membrane"), [tmp_path / "in"], tmp_path / "out", options=options, notice=told.append
    )
    (line,) = [line for line in told if "--channels" in line]
    assert "2 of 3 images: b, whose file says DAPI, actin, has nucleus, membrane." in line
    assert "stated_channels" not in records(tmp_path / "out")[0]


def test_a_missing_channel_is_refused_and_those_found_are_named(tmp_path, bright, discs, tif, png, failures):
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


def test_a_damaged_image_among_good_ones_is_listed_and_the_others_are_done(tmp_path, bright, discs, tif, failures):
    for name in ("a", "c", "=d"):
        tif(tmp_path / "in" / f"{name}.tif", discs(50, 71, PLACES))
    whole = (tmp_path / "in" / "a.tif").read_bytes()
    (tmp_path / "in" / "b.tif").write_bytes(whole[: len(whole) * 6 // 10])
    (tmp_path / "in" / "e.tif").write_bytes(b"")
    np.save(tmp_path / "in" / "f.npy", np.array([[1.0, np.nan, 2.0]]))
    with (tmp_path / "in" / "g.npy").open("wb") as handle:  # claims 10 GB and holds none
        np.lib.format.write_array_header_1_0(
            handle, {"descr": "|u1", "fortran_order": False, "shape": (100_000, 100_000)}
        )
    summary = predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU)
    assert summary.done == ("=d", "a", "c")
    assert [path.rpartition("/")[2] for path, _ in failures(tmp_path / "out")] == ["b.tif", "e.tif", "f.npy", "g.npy"]
    assert set(summary.failed) == {path for path, _ in failures(tmp_path / "out")}
    assert not (tmp_path / "out" / "b.tif").exists()
    # Once mended it is done, and failed no more; what was done is not done again.
    (tmp_path / "in" / "b.tif").write_bytes(whole)
    summary = predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU)
    assert (summary.done, summary.skipped) == (("b",), ("=d", "a", "c"))
    assert len(failures(tmp_path / "out")) == 3


@pytest.mark.parametrize("pixel_size", [0.5, 0.25, 1.0])
def test_resampled_images_get_masks_on_their_own_grid(tmp_path, bright, discs, pixel_size, tif, records):
    image = discs(50, 71, PLACES, radius=6)
    tif(tmp_path / "a.tif", image, pixel_size=pixel_size)
    model = bright("channel0", pixel_size=0.5)
    options = Options(device="cpu", pixel_size="resample", probabilities=True)
    predict_files(model, [tmp_path / "a.tif"], tmp_path / "out", options=options)
    mask = tifffile.imread(tmp_path / "out" / "a.tif")
    assert mask.shape == image.shape
    assert mask.max() == 3
    agree = 2 * np.sum((mask > 0) & (image > 0)) / (np.sum(mask > 0) + np.sum(image > 0))
    assert agree > 0.9
    assert tifffile.imread(tmp_path / "out" / "a.probabilities.ome.tif").shape == (2, *image.shape)
    assert records(tmp_path / "out")[0]["scaled"] == pixel_size / 0.5


def test_another_pixel_size_is_refused_unless_it_is_to_be_ignored(tmp_path, bright, discs, tif):
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


def test_an_image_of_nothing_but_nan_is_empty_when_filled(tmp_path, bright, records):
    np.save(tmp_path / "a.npy", np.full((30, 41), np.nan, np.float32))
    options = Options(device="cpu", fill_non_finite=True)
    assert predict_files(bright("channel0"), [tmp_path / "a.npy"], tmp_path / "out", options=options).failed == {}
    assert records(tmp_path / "out")[0]["empty"] is True


def test_odd_names_and_deep_folders(tmp_path, bright, discs, tif):
    deep = tmp_path.joinpath("in", *["a folder of a rather long name"] * 8)
    for name in ("sp ace", "ünï", "'\"quotes", "🔬", "semi;colon", "per%cent", "x" * 200):
        tif(deep / f"{name}.TIF", discs(50, 71, PLACES))
    summary = predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU)
    assert summary.failed == {}
    assert len(str(deep)) > 260
    assert len(list((tmp_path / "out").rglob("*.tif"))) == len(summary.done) == 7
    assert all(tifffile.imread(path).max() == 3 for path in (tmp_path / "out").rglob("*.tif"))
    assert predict_files(bright("channel0"), [tmp_path / "in"], tmp_path / "out", options=CPU).done == ()


def test_without_a_gpu_auto_is_the_cpu_and_says_so(tmp_path, bright, discs, monkeypatch, tif, records):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    tif(tmp_path / "a.tif", discs(50, 71, PLACES))
    told = []
    predict_files(bright("channel0"), [tmp_path / "a.tif"], tmp_path / "out", notice=told.append)
    assert sum("computing on the CPU" in line for line in told) == 1
    assert records(tmp_path / "out")[0]["device"] == "cpu"
    with pytest.raises(EnvironmentFault, match="no NVIDIA GPU can be used"):
        predict_files(bright("channel0"), [tmp_path / "a.tif"], tmp_path / "other", options=Options(device="cuda"))
    assert not (tmp_path / "other").exists()
