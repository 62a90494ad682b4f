import csv
import math
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segdistill.errors import ConfigError, DataError, UnknownName
from segdistill.evaluation import METRICS, OF_MASKS, FolderScores, pair_up, score_folders, spreads, write_scores

SHAPE = (6, 9)


def mask(*objects: tuple[slice, slice], shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Return a label image that counts its objects from 1."""
    array = np.zeros(shape, np.uint16)
    for number, place in enumerate(objects, start=1):
        array[place] = number
    return array


LEFT, RIGHT = (slice(0, 3), slice(0, 4)), (slice(2, 6), slice(5, 9))


def write(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".png":
        Image.fromarray(array).save(path)
    else:
        tifffile.imwrite(path, array)
    return path


def score(root: Path, **options) -> FolderScores:
    return score_folders(pair_up(root / "pred", root / "lab"), structure="cell", **options)


def values(scores: FolderScores, field: str) -> dict[str, float]:
    return {row["metric"]: row["value"] for row in scores.rows if row["field"] == field}


def worst(objects: bool = True) -> dict[str, float]:
    """Return what a missing prediction of a field of SHAPE is worth."""
    chosen = (METRICS[name] for name in OF_MASKS if objects or not METRICS[name].needs_objects)
    return {metric.name: metric.worst(math.hypot(*SHAPE)) for metric in chosen}


def best(objects: bool = True) -> dict[str, float]:
    return {name: 1.0 if METRICS[name].higher_is_better else 0.0 for name in worst(objects)}


@pytest.fixture
def root(tmp_path) -> Path:
    """Fields whose labels can only be instances."""
    many = np.arange(1, 55, dtype=np.uint16).reshape(SHAPE)
    write(tmp_path / "lab/many.png", many)
    write(tmp_path / "pred/many.tif", many)
    return tmp_path


def test_files_of_one_stem_belong_together_whatever_their_suffix_and_folder(tmp_path):
    for name in ("p1/A01.png", "p2/A01.png", "B.c.npy"):
        write(tmp_path / "lab" / name, mask(LEFT))
    for name in ("p1/A01.ome.tif", "p2/A01.TIF", "B.c.png", "p3/A01.png"):
        write(tmp_path / "pred" / name, mask(LEFT))
    (tmp_path / "pred/predictions.jsonl").write_text("{}")
    (tmp_path / "pred/.A01.png").write_text("hidden")
    found = pair_up(tmp_path / "pred", tmp_path / "lab")
    names = {pair.name: pair.prediction for pair in found.pairs}
    assert names == {
        "B.c": tmp_path / "pred/B.c.png",
        "p1/A01": tmp_path / "pred/p1/A01.ome.tif",
        "p2/A01": tmp_path / "pred/p2/A01.TIF",
    }
    assert found.alone == ("p3/A01",)


def test_two_files_belong_together_whatever_their_names(tmp_path):
    label, prediction = write(tmp_path / "a.png", mask(LEFT)), write(tmp_path / "b.tif", mask(LEFT))
    (pair,) = pair_up(prediction, label).pairs
    assert (pair.name, pair.label, pair.prediction) == ("a", label, prediction)


def test_a_loop_of_links_is_walked_once(tmp_path):
    write(tmp_path / "lab/A.png", mask(LEFT))
    write(tmp_path / "pred/A.png", mask(LEFT))
    (tmp_path / "lab/again").symlink_to(tmp_path / "lab")
    assert [pair.name for pair in pair_up(tmp_path / "pred", tmp_path / "lab").pairs] == ["A"]


@pytest.mark.parametrize(
    ("predictions", "labels", "error", "message"),
    [
        ("pred", "nowhere", DataError, "no file or folder .*nowhere"),
        ("pred/A.png", "lab", ConfigError, "is a file"),
        ("pred", "empty", DataError, "empty holds no picture"),
        ("pred", "twice", DataError, "several files of one stem"),
        ("pred", "other", DataError, "no two files of the same stem"),
    ],
)
def test_folders_that_cannot_be_paired_are_refused(tmp_path, predictions, labels, error, message):
    for name in ("pred/A.png", "lab/A.png", "twice/A.png", "twice/A.npy", "other/B.png"):
        write(tmp_path / name, mask(LEFT))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/notes.txt").write_text("nothing")
    with pytest.raises(error, match=message):
        pair_up(tmp_path / predictions, tmp_path / labels)


def test_of_stems_with_several_files_one_is_named_and_all_are_counted(tmp_path):
    for name in ("B.png", "B.npy", "A.png", "A.npy", "C.png"):
        write(tmp_path / "pred" / name, mask(LEFT))
    write(tmp_path / "lab/A.png", mask(LEFT))
    with pytest.raises(DataError, match=r"as \S*A\.npy and \S*A\.png: 2 stems of 3 in all\.") as refused:
        pair_up(tmp_path / "pred", tmp_path / "lab")
    assert "B.npy" not in str(refused.value)


def test_a_plane_that_is_a_file_as_well_is_refused(tmp_path):
    write(tmp_path / "lab/A.tif", np.stack([mask(LEFT), mask(RIGHT)]))
    write(tmp_path / "lab/A/0001.png", mask(RIGHT))
    write(tmp_path / "pred/A.tif", np.stack([mask(LEFT), mask(RIGHT)]))
    with pytest.raises(DataError, match="several files of one stem"):
        pair_up(tmp_path / "pred", tmp_path / "lab")


def test_a_file_that_must_be_converted_is_refused_unless_it_has_been(root):
    (root / "lab/Z.czi").write_bytes(b"ZISRAWFILE")
    with pytest.raises(DataError, match=r"no reader for .*Z\.czi\. Of Z\.czi: .*`bioformats2raw Z\.czi"):
        pair_up(root / "pred", root / "lab")
    write(root / "lab/Z.png", mask(LEFT))
    assert "Z" in {pair.name for pair in pair_up(root / "pred", root / "lab").pairs}


def test_scores_by_hand(root):
    # Label: 12 + 16 pixels. Prediction: the left one exactly (12), the right one's upper half (8).
    write(root / "lab/A.png", mask(LEFT, RIGHT))
    write(root / "pred/A.png", mask(LEFT, (slice(2, 4), slice(5, 9))))
    found = values(score(root), "A")
    assert found["dice"] == pytest.approx(2 * 20 / (20 + 28))
    assert found["iou"] == pytest.approx(20 / 28)
    assert (found["precision"], found["recall"]) == (1, pytest.approx(20 / 28))
    # The half has an overlap of exactly one half, which is no match: 1 right, 1 false, 1 missed.
    assert found["ap50"] == pytest.approx(1 / 3)
    assert found["f1"] == pytest.approx(2 / 4)
    assert found["pq"] == pytest.approx(1 / (1 + 0.5 * 2))


def test_a_missing_prediction_has_the_worst_scores_even_where_nothing_is_labelled(root):
    write(root / "lab/A.png", mask(LEFT))
    write(root / "lab/empty.png", mask())
    found = score(root)
    assert found.missing == ("A", "empty")
    assert values(found, "A") == values(found, "empty") == worst()
    assert worst()["hd95"] == math.sqrt(6 * 6 + 9 * 9)
    # Of three fields one is perfect: a third of the way from the worst to the best.
    assert {spread.metric: spread.mean for spread in spreads(found.rows)} == pytest.approx(
        {name: (2 * worst()[name] + best()[name]) / 3 for name in OF_MASKS}
    )


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (mask(LEFT, shape=(6, 8)), "has 6 × 8 pixels .* has 6 × 9"),
        (np.full(SHAPE, 0.5, np.float32), "no whole numbers"),
    ],
)
def test_a_prediction_that_cannot_be_used_is_named_and_has_the_worst_scores(root, array, message):
    write(root / "lab/A.png", mask(LEFT))
    path = write(root / "pred/A.npy", array)
    found = score(root)
    assert list(found.failed) == ["A"]
    assert path.as_posix() in found.failed["A"]
    with pytest.raises(DataError, match=message):
        raise DataError(found.failed["A"])
    assert values(found, "A") == worst()


def test_a_label_that_cannot_be_used_is_named_and_has_no_scores(root):
    (root / "lab/A.png").write_bytes(b"nothing")
    write(root / "pred/A.png", mask(LEFT))
    found = score(root)
    assert list(found.unscored) == ["A"]
    assert str(root / "lab/A.png") in found.unscored["A"]
    assert {row["field"] for row in found.rows} == {"many"}


def test_without_any_usable_label_there_are_no_scores(tmp_path):
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/A.png").write_bytes(b"nothing")
    write(tmp_path / "pred/A.png", mask(LEFT))
    with pytest.raises(DataError, match=r"None of the 1 labels can be used\..*A\.png"):
        score(tmp_path)


def test_predictions_of_objects_are_compared_with_masks_by_their_pixels(tmp_path):
    write(tmp_path / "lab/A.png", (mask(LEFT, RIGHT) > 0).astype(np.uint8) * 255)
    write(tmp_path / "pred/A.png", mask(LEFT, RIGHT))
    found = score(tmp_path, prediction_kind="instances")
    assert values(found, "A") == best(objects=False)
    assert any("objects are taken together" in note for note in found.notes)


def test_predictions_of_unclear_meaning_beside_masks_are_refused(tmp_path):
    write(tmp_path / "lab/A.png", mask(LEFT))
    write(tmp_path / "pred/A.png", mask(LEFT, RIGHT))
    with pytest.raises(ConfigError, match="--prediction-kind instances"):
        score(tmp_path)


def test_objects_are_scored_as_masks_where_predictions_are_masks(root):
    write(root / "lab/A.png", mask(LEFT, RIGHT))
    write(root / "pred/A.png", (mask(LEFT, RIGHT) > 0).astype(np.uint8))
    write(root / "pred/many.tif", np.ones(SHAPE, np.uint8))
    assert set(values(score(root, prediction_kind="binary"), "A")) == set(best(objects=False))
    found = score(root)  # nothing says that these are masks: each is one object, and this one matches the right half
    assert values(found, "A")["ap50"] == pytest.approx(1 / 2)
    assert any("no prediction tells two objects apart" in note for note in found.notes)


def test_classes_are_scored_each_also_where_only_the_prediction_has_them(tmp_path):
    write(tmp_path / "lab/A.png", mask(LEFT, RIGHT))
    wrong = mask(LEFT, RIGHT)
    wrong[0, 8] = 7
    write(tmp_path / "pred/A.png", wrong)
    found = score(tmp_path, label_kind="classes")
    dice = {row["structure"]: row["value"] for row in found.rows if row["metric"] == "dice"}
    assert dice == {"cell_1": 1, "cell_2": 1, "cell_7": 0}


def test_bits_may_overlap(tmp_path):
    write(tmp_path / "lab/A.png", np.array([[1, 3, 2, 0]], np.uint8))
    write(tmp_path / "pred/A.png", np.array([[1, 1, 2, 0]], np.uint8))
    found = score(tmp_path, label_kind="bits")
    dice = {row["structure"]: row["value"] for row in found.rows if row["metric"] == "dice"}
    assert dice == {"cell_1": 1, "cell_2": pytest.approx(2 / 3)}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ConfigError, "--label-kind"),
        ({"label_kind": "classes", "prediction_kind": "binary"}, ConfigError, "cannot be compared"),
        ({"label_kind": "instance"}, UnknownName, "Did you mean 'instances'"),
    ],
)
def test_what_cannot_be_told_or_compared_is_refused(tmp_path, options, error, message):
    write(tmp_path / "lab/A.png", mask(LEFT, RIGHT))
    write(tmp_path / "pred/A.png", mask(LEFT, RIGHT))
    with pytest.raises(error, match=message):
        score(tmp_path, **options)


def test_classes_of_nothing_are_refused(tmp_path):
    for place in ("lab", "pred"):
        write(tmp_path / place / "A.png", mask())
    with pytest.raises(ConfigError, match="nothing but 0"):
        score(tmp_path, label_kind="classes")


def test_pixels_that_do_not_count_are_left_out(tmp_path):
    write(tmp_path / "lab/A.png", mask(LEFT))
    write(tmp_path / "pred/A.png", mask(LEFT, RIGHT))
    write(tmp_path / "ignore/A.png", mask(RIGHT))
    seen = mask((slice(0, 6), slice(0, 5)))
    write(tmp_path / "fov/A.png", seen)
    for masks in ({"ignore": tmp_path / "ignore"}, {"field_of_view": tmp_path / "fov"}):
        pairing = pair_up(tmp_path / "pred", tmp_path / "lab", **masks)
        found = score_folders(pairing, structure="cell", label_kind="binary", prediction_kind="instances")
        assert values(found, "A") == best(objects=False)


def test_masks_of_no_label_are_told(tmp_path):
    for name in ("A", "B"):
        write(tmp_path / f"lab/{name}.png", mask(LEFT))
        write(tmp_path / f"pred/{name}.png", mask(LEFT))
    write(tmp_path / "ignore/A.png", mask(RIGHT))
    write(tmp_path / "ignore/B_ignore.png", mask(RIGHT))  # B counts everywhere, which nobody meant
    (note,) = pair_up(tmp_path / "pred", tmp_path / "lab", ignore=tmp_path / "ignore").notes
    assert "1 mask of no label" in note
    assert "B_ignore" in note


@pytest.mark.parametrize(("array", "message"), [(mask(), "No pixel"), (mask(shape=(5, 9)), "5 × 9")])
def test_a_field_whose_mask_cannot_be_used_has_no_scores(root, array, message):
    write(root / "lab/A.png", mask(LEFT))
    write(root / "pred/A.png", mask(LEFT))
    write(root / "fov/A.png", array)
    found = score_folders(pair_up(root / "pred", root / "lab", field_of_view=root / "fov"), structure="cell")
    assert message in found.unscored["A"]


def test_the_kind_of_labels_is_told_by_files_beyond_the_sample(tmp_path):
    # 60 files of nothing and one that can only be instances: the sample of 50 may miss it.
    for index in range(60):
        write(tmp_path / f"lab/A{index:02}.npy", mask())
        write(tmp_path / f"pred/A{index:02}.npy", mask())
    write(tmp_path / "lab/A37.npy", np.arange(1, 55, dtype=np.uint16).reshape(SHAPE))
    found = score(tmp_path)
    assert values(found, "A37") == worst()  # nothing was predicted
    assert values(found, "A00") == best()  # both are empty


@settings(max_examples=20, deadline=None)
@given(
    data=st.data(),
    scores=st.lists(st.floats(0, 1), min_size=1, max_size=6),
)
def test_the_spread_does_not_depend_on_the_order_of_fields(data, scores):
    rows = [
        {"structure": "cell", "metric": "dice", "empty": "", "arm": "a", "seed": 0, "field": f"{index}", "value": value}
        for index, value in enumerate(scores)
    ]
    (spread,), (shuffled,) = spreads(rows), spreads(data.draw(st.permutations(rows)))
    assert spread == shuffled
    assert spread.mean == pytest.approx(np.mean(scores))
    assert spread.worst[1] == min(scores)
    assert (spread.sd is None) == (spread.interval is None) == (len(scores) == 1)


def test_the_file_of_scores_has_every_field_and_no_formula(root):
    write(root / "lab/=1+1.png", mask(LEFT))
    (root / "lab/B.png").write_bytes(b"nothing")
    found = score(root)
    write_scores(root / "out/scores.csv", [found])
    with (root / "out/scores.csv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert {row["field"] for row in rows} == {"many", "'=1+1", "B"}
    assert {(row["metric"], row["value"]) for row in rows if row["field"] == "many" and row["metric"] == "pq"} == {
        ("pq", "1.0")
    }
    assert {row["empty"] for row in rows if row["field"] == "'=1+1"} == {"missing"}
    (lost,) = [row for row in rows if row["field"] == "B"]
    assert lost["value"] == ""
    assert {(row["metric"], row["unit"], row["better"]) for row in rows if row["field"] == "many"} >= {
        ("dice", "0 to 1", "higher"),
        ("hd95", "px", "lower"),
        ("nsd", "0 to 1, 2 px", "higher"),
        ("splits", "0 to 1", "lower"),
    }
    assert "B.png" in lost["reason"]
