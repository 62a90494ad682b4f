"""Which fields are frames of a clip, and the scores of clips from files."""

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile

from segdistill.errors import ConfigError, DataError
from segdistill.evaluation import clips_path, find_clips, pair_up, score_clips, write_clips
from segdistill.evaluation.pairing import Pair

MOVING = np.zeros((4, 9, 14), np.uint8)
for _number in range(4):
    MOVING[_number, 2:6, _number : _number + 4] = 1
STILL = MOVING[[0, 0, 0, 0]]
# Four columns, moved by one: Dice 2·3/8 = 3/4 at each step.


def save(folder, frames, names):
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in zip(names, frames, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / f"{name}.tif", frame)
    return folder


def pair(name):
    return Pair(name, Path(f"{name}.png"), None)


def test_frames_are_ordered_by_number_and_not_by_name():
    found = find_clips([pair(f"p/ann-{number}") for number in (10, 9, 100)], "{clip}-{frame}")
    assert {clip: [number for number, _ in frames] for clip, frames in found.items()} == {"p/ann": [9, 10, 100]}


def test_digits_beside_a_clips_name_are_all_of_the_frames_number():
    found = find_clips([pair(f"p/ann{number:03d}") for number in (8, 9, 10, 11)], "{clip}{frame}")
    assert {clip: [number for number, _ in frames] for clip, frames in found.items()} == {"p/ann": [8, 9, 10, 11]}


def test_fields_that_are_no_frames_are_in_no_clip():
    assert find_clips([pair("a/0001"), pair("a/0002")], None) == {}
    assert list(find_clips([pair("a_1"), pair("a_2"), pair("b_1"), pair("still")], "{clip}_{frame}")) == ["a"]


def test_patterns_that_mean_nothing_are_refused():
    with pytest.raises(ConfigError, match=r"must hold \{clip\} and \{frame\}.*found: \{clip\}"):
        find_clips([pair("a_1")], "{clip}_x")
    with pytest.raises(ConfigError, match=r"None of the fields \(a_1\) matches"):
        find_clips([pair("a_1")], "{clip}/{frame}")
    with pytest.raises(DataError, match="a_1 and a_01 are both frame 1 of 'a'"):
        find_clips([pair("a_1"), pair("a_01")], "{clip}_{frame}")


@pytest.mark.parametrize("labels", ["one file", "files"])
def test_labels_in_one_file_or_in_many(tmp_path, labels):
    names = [f"ann/000{number}" for number in (1, 2, 3, 4)]
    predictions = save(tmp_path / "masks", STILL, names)
    if labels == "files":
        save(tmp_path / "labels", MOVING, names)
    else:
        (tmp_path / "labels").mkdir()
        tifffile.imwrite(tmp_path / "labels" / "ann.tif", MOVING, photometric="minisblack")
    pattern = None if labels == "one file" else "{clip}/{frame}"
    (score,) = score_clips(pair_up(predictions, tmp_path / "labels"), structure="bolus", pattern=pattern)
    assert (score.clip, score.structure, score.frames, score.first) == ("ann", "bolus", 4, "ann/0001")
    assert (score.found.score, score.found.prediction, score.found.label) == (0.75, 1, 0.75)
    write_clips(clips_path(tmp_path / "s.csv"), [score], names={"ann/0001": "image-0"})
    with (tmp_path / "s.clips.csv").open(encoding="utf-8", newline="") as handle:
        (line,) = csv.DictReader(handle)
    assert (line["clip"], line["temporal_consistency"], line["steps"]) == ("image-0", "0.750000", "3")


def test_a_missing_prediction_is_the_worst_and_a_damaged_label_is_passed_over(tmp_path):
    names = [f"a_{number}" for number in range(4)]
    labels = save(tmp_path / "labels", MOVING, names)
    predictions = save(tmp_path / "masks", MOVING, names)
    (predictions / "a_3.tif").unlink()
    (found,) = score_clips(pair_up(predictions, labels), structure="s", pattern="{clip}_{frame}", label_kind="binary")
    assert found.found.score == pytest.approx(2 / 3)
    (labels / "a_0.tif").write_bytes(b"no picture")
    (found,) = score_clips(pair_up(predictions, labels), structure="s", pattern="{clip}_{frame}", label_kind="binary")
    assert (found.found.score, found.found.steps, found.frames) == (0.5, 2, 3)


def test_structures_of_bits_have_scores_of_their_own(tmp_path):
    names = [f"a_{number}" for number in range(4)]
    labels = save(tmp_path / "labels", MOVING + 2 * STILL, names)
    predictions = save(tmp_path / "masks", STILL + 2 * STILL, names)
    found = score_clips(
        pair_up(predictions, labels), structure="s", pattern="{clip}_{frame}", label_kind="bits", prediction_kind="bits"
    )
    assert {score.structure: score.found.score for score in found} == {"s_1": 0.75, "s_2": 1}
