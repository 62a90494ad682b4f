"""Clips that are segmented: frame by frame, with one range, an overlay, and damaged frames named."""

import json
from fractions import Fraction

import numpy as np
import pytest
import tifffile

from segdistill.data import read_image
from segdistill.data.clip_writer import GREY, clip_file
from segdistill.data.clips import frame_rate
from segdistill.data.readers import count_planes
from segdistill.data.readers.planes import plane_path
from segdistill.evaluation import pair_up, score_clips, score_folders
from segdistill.inference import Options, predict_files

av = pytest.importorskip("av", reason="PyAV is not installed: pip install 'segdistill[video]'")

RATE = Fraction(30000, 1001)
PLACES = [(10, 12 + 3 * step) for step in range(6)]


@pytest.fixture
def frames(discs):
    """A disc that moves to the right, ever darker."""
    return np.stack([discs(40, 61, [place], value=200 - 25 * step) for step, place in enumerate(PLACES)])


@pytest.fixture
def film(tmp_path, frames):
    path = tmp_path / "in" / "ann.avi"
    with clip_file(path, size=(40, 61), rate=RATE, codec=GREY) as add:
        for frame in frames:
            add(frame)
    return path


def damage(path, number):
    with av.open(str(path)) as file:
        place, size = [(packet.pos, packet.size) for packet in file.demux(file.streams.video[0])][number]
    data = bytearray(path.read_bytes())
    data[place + 20 : place + size] = bytes(255 - byte for byte in data[place + 20 : place + size])
    path.write_bytes(data)


def options(*outputs, **more):
    return Options(device="cpu", outputs=outputs, **more)


def masks(out):
    return tifffile.imread(out / "ann.tif")


def test_frames_have_masks_of_their_own_and_are_seen_on_one_scale(tmp_path, bright, film, frames, records):
    lines = []
    summary = predict_files(
        bright("channel0"), [film.parent], tmp_path / "out", options=options("labels"), notice=lines.append
    )
    assert summary.done == ("ann",)
    # 0 to 200 over the whole clip becomes 0 to 1, so discs of 100 and less are none: by itself each would be found.
    wanted = [(frame > 100).astype(int) for frame in frames]
    np.testing.assert_array_equal(masks(tmp_path / "out") > 0, [each > 0 for each in wanted])
    with tifffile.TiffFile(tmp_path / "out" / "ann.tif") as file:
        assert file.series[0].axes == "TYX"
    assert [bool(each.any()) for each in wanted] == [True] * 4 + [False] * 2
    (record,) = records(tmp_path / "out")
    assert record["range"] == {"channel0": [0.0, 200.0]}
    assert (record["planes"], record["lost_frames"]) == (6, {})
    assert not (tmp_path / "out" / "ann").exists()
    before, after = wanted[0], wanted[1]
    step = 2 * (before & after).sum() / (before.sum() + after.sum())
    # Three steps alike, one to an empty frame, one between empty frames, which is none.
    assert record["frame_to_frame_dice"]["cell"] == pytest.approx(3 / 4 * step, abs=1e-4)
    assert any("6 frames, " in line and "by the network alone, " in line and "with reading" in line for line in lines)
    assert any("Dice of masks with the next frame: cell 0." in line for line in lines)


def test_what_is_done_is_not_done_again(tmp_path, bright, film):
    for wanted in (("ann",), ()):
        summary = predict_files(bright("channel0"), [film], tmp_path / "out", options=options("labels", "overlay"))
        assert summary.done == wanted
    whole = (tmp_path / "out" / "ann.overlay.avi").read_bytes()
    (tmp_path / "out" / "ann.overlay.avi").write_bytes(whole[:-100])
    predict_files(bright("channel0"), [film], tmp_path / "out", options=options("labels", "overlay"))
    assert (tmp_path / "out" / "ann.overlay.avi").read_bytes() == whole


def test_an_overlay_shows_each_frame_and_its_mask_magnified(tmp_path, bright, film, frames):
    predict_files(bright("channel0"), [film], tmp_path / "out", options=options("overlay"))
    overlay = tmp_path / "out" / "ann.overlay.avi"
    assert (count_planes(overlay), frame_rate(overlay)) == (6, RATE)
    times = 720 // 61
    for number, frame in enumerate(frames):
        picture = read_image(plane_path(overlay, number + 1)).array.astype(int)
        assert picture.shape[2] == 61 * times
        assert picture.shape[1] > 40 * times  # what the colours mean is written below
        middle = times // 2  # outlines lie on the sides of the magnified pixels
        seen = picture[:, middle : 40 * times : times, middle::times][:, :, :61]
        coloured = np.ptp(seen, axis=0) > 25
        assert coloured.any() == (frame > 100).any()
        assert not (coloured & (frame <= 100)).any()
        assert np.abs(seen[:, frame == 0]).max() < 30


def test_a_damaged_frame_is_named_and_the_others_are_done(tmp_path, bright, film, frames, failures, records):
    damage(film, 2)
    out = tmp_path / "out"
    for skipped in ((), ("ann",)):
        summary = predict_files(bright("channel0"), [film], out, options=options("labels", "overlay"))
        assert summary.skipped == skipped
        ((path, reason),) = summary.failed.items()
        assert path == str(plane_path(film, 3))
        assert "Frame 3 of" in reason
        assert "is damaged" in reason
        ((written, why),) = failures(out)
        assert (written.endswith("0003.plane"), why) == (True, reason)
    np.testing.assert_array_equal([bool(mask.any()) for mask in masks(out)], [True, True, False, True, False, False])
    assert records(out)[-1]["planes"] == 5
    striped = read_image(plane_path(out / "ann.overlay.avi", 3)).array[0, :300]
    assert count_planes(out / "ann.overlay.avi") == 6
    assert len(np.unique(striped // 40)) > 1


def test_a_damaged_frame_is_scored_as_missing_and_not_as_a_mask_of_nothing(tmp_path, bright, film, frames):
    damage(film, 2)
    predict_files(bright("channel0"), [film], tmp_path / "out", options=options("labels"))
    for number, frame in enumerate(frames, start=1):
        path = tmp_path / f"labels/ann/{number:04d}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        # Nobody labelled anything in the damaged frame: a mask of nothing would be right there.
        tifffile.imwrite(path, ((frame > 100) & (number != 3)).astype(np.uint8))
    pairing = pair_up(tmp_path / "out", tmp_path / "labels")
    found = score_folders(pairing, structure="cell", label_kind="binary", prediction_kind="binary", metrics=["dice"])
    assert found.missing == ("ann/0003",)
    assert {row["field"]: (row["value"], row["empty"]) for row in found.rows}["ann/0003"] == (0.0, "missing")
    (clip,) = score_clips(pairing, structure="cell", label_kind="binary", prediction_kind="binary")
    assert clip.frames == 6
    # From the damaged frame and to it, steps are the worst; from 1 to 2 and from 4 to 5 they are as of the labels.
    assert (clip.found.steps, clip.found.score) == (4, 0.5)


def test_the_first_frame_may_be_the_damaged_one(tmp_path, bright, film):
    damage(film, 0)
    predict_files(bright("channel0"), [film], tmp_path / "out", options=options("overlay"))
    assert count_planes(tmp_path / "out" / "ann.overlay.avi") == 6


def test_pseudonyms_keep_the_reason_to_themselves(tmp_path, bright, film):
    damage(film, 2)
    summary = predict_files(bright("channel0"), [film], tmp_path / "out", options=options("labels", private=True))
    assert "ann.avi" in next(iter(summary.failed.values()))
    for path in (tmp_path / "out").rglob("*"):
        assert "ann" not in path.name
        if path.is_file() and path.suffix in {".csv", ".jsonl", ".json"}:
            assert "ann." not in path.read_text(encoding="utf-8")


def test_one_file_of_all_masks_needs_all_frames(tmp_path, bright, film, failures):
    damage(film, 2)
    summary = predict_files(bright("channel0"), [film], tmp_path / "out", options=options("labels", "nifti"))
    assert not summary.done
    ((path, reason),) = failures(tmp_path / "out")
    assert path.endswith("ann.avi")
    assert "Leave nifti and dicom-seg out" in reason
    assert not list((tmp_path / "out").glob("*.nii*"))


def test_a_clip_that_is_cut_short_fails_and_the_others_go_on(tmp_path, bright, film, failures):
    broken = film.with_name("broken.avi")
    data = film.read_bytes()
    broken.write_bytes(data[: data.rindex(b"00dc", 0, data.index(b"idx1")) - 9])  # in the last frame but one
    (film.parent / "empty.mp4").touch()
    summary = predict_files(bright("channel0"), [film.parent], tmp_path / "out", options=options("labels"))
    assert summary.done == ("ann",)
    reasons = dict(failures(tmp_path / "out"))
    assert "is cut short: it holds" in next(why for path, why in reasons.items() if "broken" in path)
    assert "cannot be read as video" in next(why for path, why in reasons.items() if "empty" in path)


def test_films_saved_as_tiff_of_two_channels_have_overlays_in_colours(tmp_path, bright, frames):
    film = np.stack([frames, frames[::-1]], axis=1).astype(np.uint16) * 100
    said = {"axes": "TCYX", "Channel": {"Name": ["n", "m"]}}
    tifffile.imwrite(tmp_path / "a.ome.tif", film, photometric="minisblack", metadata=said)
    predict_files(bright("n", "m"), [tmp_path / "a.ome.tif"], tmp_path / "out", options=options("labels", "overlay"))
    record = json.loads((tmp_path / "out" / "predictions.jsonl").read_text(encoding="utf-8"))
    assert record["range"] == {"n": [0.0, 20000.0], "m": [0.0, 20000.0]}
    assert (count_planes(tmp_path / "out" / "a.overlay.avi"), frame_rate(tmp_path / "out" / "a.overlay.avi")) == (6, 10)


def test_what_is_of_single_frames_is_called_by_their_numbers(tmp_path, bright, film):
    predict_files(bright("channel0"), [film], tmp_path / "out", options=options("png", "geojson"))
    names = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("0*")}
    assert names == {f"ann/000{number}.{kind}" for number in range(1, 7) for kind in ("png", "geojson")}
