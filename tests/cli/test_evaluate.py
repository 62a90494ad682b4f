import csv
import math
from pathlib import Path

import numpy as np
import pytest
import tifffile

from segdistill.data.writers import write_probabilities
from segdistill.evaluation import CONVENTIONS, METRICS, OF_MASKS, conventions_table


def write(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array.astype(np.uint16))
    return path


def objects(shape: tuple[int, int] = (20, 30), *, shift: int = 0) -> np.ndarray:
    """Return 40 objects of 3 × 3 pixels, perhaps moved to the right."""
    array = np.zeros(shape, np.uint16)
    for number in range(40):
        y, x = divmod(number, 8)
        array[4 * y : 4 * y + 3, 3 * x + shift : 3 * x + 3 + shift] = number + 1
    return array


@pytest.fixture
def folders(tmp_path) -> Path:
    for name in ("p1/A", "p1/B", "C"):
        write(tmp_path / f"labels/{name}.tif", objects())
        write(tmp_path / f"pred/{name}.tif", objects())
    return tmp_path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_perfect_predictions_have_perfect_scores(run, folders):
    done = run("evaluate", folders / "pred", folders / "labels")
    assert (done.status, done.err) == (0, "")
    lines = [line.split() for line in done.out.splitlines()]
    assert [line[:4] for line in lines if line[0] in METRICS] == [
        [name, "1.000" if METRICS[name].higher_is_better else "0.000", "±", "0.000"] for name in OF_MASKS
    ]
    assert "cell, fields: 3" in done.out
    assert all(f"  {each.situation}: {each.rule}\n" in done.out for each in CONVENTIONS)


def test_deleted_predictions_are_named_and_count_as_worst(run, folders):
    (folders / "pred/p1/A.tif").unlink()
    done = run("evaluate", folders / "pred", folders / "labels", "--out", folders / "scores.csv")
    assert done.status == 1
    assert "0.667 ± 0.577" in done.out  # of 0, 1, 1
    assert "Labels without a prediction, which have the worst scores: 1\n  p1/A\n" in done.out
    scores = {(row["field"], row["metric"]): row for row in rows_of(folders / "scores.csv")}
    assert len(scores) == 3 * len(OF_MASKS)
    assert float(scores["p1/A", "hd95"]["value"]) == pytest.approx(math.hypot(20, 30))  # the diagonal
    assert (scores["p1/A", "pq"]["value"], scores["p1/A", "pq"]["empty"]) == ("0.0", "missing")
    assert (scores["C", "pq"]["value"], scores["C", "pq"]["empty"]) == ("1.0", "")


def test_a_prediction_of_another_size_is_refused_by_name(run, folders):
    path = write(folders / "pred/C.tif", objects((20, 31)))
    done = run("evaluate", folders / "pred", folders / "labels")
    assert done.status == 1
    assert "Predictions that cannot be used, whose labels have the worst scores: 1" in done.out
    assert f"{path} has 20 × 31 pixels (y × x), but the label {folders / 'labels/C.tif'} has 20 × 30." in done.out


def test_a_label_that_cannot_be_used_is_in_no_mean(run, folders):
    (folders / "labels/C.tif").write_bytes(b"nothing")
    done = run("evaluate", folders / "pred", folders / "labels")
    assert done.status == 1
    assert "cell, fields: 2" in done.out
    assert "1.000 ± 0.000" in done.out
    assert "Labels that cannot be used and are in no mean: 1\n  C: " in done.out


def test_predictions_without_a_label_are_listed_and_no_fault(run, folders):
    write(folders / "pred/D.tif", objects())
    done = run("evaluate", folders / "pred", folders / "labels")
    assert done.status == 0
    assert "Predictions without a label: 1\n  D\n" in done.out


def test_empty_fields_are_counted_by_side(run, folders):
    nothing = np.zeros((20, 30))
    write(folders / "labels/p1/A.tif", nothing)
    write(folders / "pred/p1/A.tif", nothing)
    write(folders / "labels/p1/B.tif", nothing)
    write(folders / "labels/D.tif", objects())
    write(folders / "pred/D.tif", nothing)
    done = run("evaluate", folders / "pred", folders / "labels")
    assert done.status == 0
    for side in (
        "label and prediction are both empty (every score is its best)",
        "only the label",
        "only the prediction",
    ):
        assert any(side in line and line.endswith(": 1") for line in done.out.splitlines())


def test_structures_in_folders_of_their_own_are_scored_apart(run, folders):
    for structure, shift in (("cell", 0), ("nucleus", 1)):
        write(folders / f"truth/{structure}/A.tif", objects())
        write(folders / f"masks/{structure}/A.tif", objects(shift=shift))
    done = run(
        "evaluate", folders / "masks", folders / "truth", "--structures", "cell", "nucleus", "--out", folders / "s.csv"
    )
    assert done.status == 0
    found = {(row["structure"], row["metric"]): float(row["value"]) for row in rows_of(folders / "s.csv")}
    assert found["cell", "pq"] == 1
    assert found["nucleus", "precision"] == pytest.approx(23 / 24)  # of 8 objects in a row, the last column is beyond
    assert "nucleus dice" in done.out


def test_two_files_are_scored(run, folders):
    done = run("evaluate", folders / "pred/C.tif", folders / "labels/C.tif", "--structure", "nucleus")
    assert done.status == 0
    assert "nucleus, fields: 1" in done.out
    assert "±" not in done.out.splitlines()[2]


def test_pixels_that_do_not_count_are_left_out(run, folders):
    write(folders / "pred/C.tif", np.where(np.arange(30) < 15, objects(), 0))
    write(folders / "seen/C.tif", np.where(np.arange(30) < 15, np.ones((20, 30)), 0))
    paths = (folders / "pred", folders / "labels")
    chosen = ("--metrics", "recall")
    assert "recall  0.875 ± 0.217" in run("evaluate", *paths, *chosen).out  # of 1, 1 and 5/8: five columns of eight
    assert "recall  1.000 ± 0.000" in run("evaluate", *paths, *chosen, "--field-of-view", folders / "seen").out


def test_nothing_is_overwritten(run, folders):
    kept = folders / "scores.csv"
    kept.write_text("mine")
    done = run("evaluate", folders / "pred", folders / "labels", "--out", kept)
    assert done.status == 2
    assert f"{kept} exists, and nothing is overwritten" in done.err
    assert kept.read_text() == "mine"
    assert done.out == ""


def test_what_cannot_be_paired_is_refused(run, folders):
    done = run("evaluate", folders / "nowhere", folders / "labels")
    assert done.status == 2
    assert str(folders / "nowhere") in done.err


def test_predictions_and_labels_must_be_named(run):
    done = run("evaluate")
    assert done.status == 2
    assert "--predictions: must be given." in done.err
    assert "--labels: must be given." in done.err


def test_distances_are_in_pixels_unless_all_pixel_sizes_are_known(run, folders):
    write(folders / "pred/C.tif", objects(shift=1))
    paths = (folders / "pred", folders / "labels", "--metrics", "msd", "nsd")
    pixels = run("evaluate", *paths)
    assert "Distances are in pixels: the pixel size is not known" in pixels.out
    micrometres = run("evaluate", *paths, "--pixel-size", 0.5, "--tolerance", 0.5)
    assert "Distances are in µm; pixels have 0.5 µm." in micrometres.out
    worst = {}
    for unit, done in (("px", pixels), ("µm", micrometres)):
        (line,) = [line for line in done.out.splitlines() if line.startswith("msd")]
        assert line.split()[-2:] == [unit, "lower"]
        worst[unit] = float(line.split()[-5])
    assert worst["µm"] == pytest.approx(worst["px"] / 2, abs=1e-3)
    assert "0 to 1, 0.5 µm" in micrometres.out


def test_a_pixel_size_that_the_files_contradict_is_refused(run, folders):
    tifffile.imwrite(
        folders / "labels/C.ome.tif", objects(), metadata={"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25, "axes": "YX"}
    )
    (folders / "labels/C.tif").unlink()
    done = run("evaluate", folders / "pred", folders / "labels", "--pixel-size", 0.5)
    assert done.status == 2
    assert "C.ome.tif has pixels of 0.25 µm, but --pixel-size is 0.5" in done.err
    mixed = run("evaluate", folders / "pred", folders / "labels", "--metrics", "hd95")
    assert "the pixel size of 2 of 3 label files" in mixed.out


def test_the_conventions_are_written_beside_the_scores(run, folders):
    done = run("evaluate", folders / "pred", folders / "labels", "--out", folders / "s.csv", "--pixel-size", 0.5)
    text = (folders / "s.conventions.md").read_text(encoding="utf-8")
    assert str(folders / "s.conventions.md") in done.out
    assert conventions_table() in text
    assert "| hd95 |" in text
    assert "| µm | lower | diagonal of the field |" in text
    (folders / "s.csv").unlink()
    again = run("evaluate", folders / "pred", folders / "labels", "--out", folders / "s.csv")
    assert again.status == 2
    assert "s.conventions.md exists" in again.err


def test_means_over_groups_count_each_group_once(run, folders):
    # Group a has two perfect fields, b one of nothing right: 1/2 over groups, not 2/3 over fields.
    write(folders / "pred/C.tif", np.zeros((20, 30)))
    (folders / "groups.csv").write_text("field,group\np1/A,a\np1/B,a\nC,b\n", encoding="utf-8")
    arguments = ("evaluate", folders / "pred", folders / "labels", "--metrics", "dice", "--out", folders / "s.csv")
    done = run(*arguments, "--groups", folders / "groups.csv")
    assert "cell, groups: 2" in done.out
    assert "dice   0.500 ± 0.707" in done.out
    table = done.out[done.out.index("Means of groups") :].splitlines()
    assert [line.split() for line in table[2:4]] == [["cell", "a", "2", "1.000"], ["cell", "b", "1", "0.000"]]
    assert {(row["field"], row["group"]) for row in rows_of(folders / "s.csv")} == {
        ("p1/A", "a"),
        ("p1/B", "a"),
        ("C", "b"),
    }


def test_a_field_without_a_group_is_refused(run, folders):
    (folders / "groups.csv").write_text("field,group\np1/A,a\n", encoding="utf-8")
    done = run("evaluate", folders / "pred", folders / "labels", "--groups", folders / "groups.csv")
    assert done.status == 2
    assert "2 fields have no group: C, p1/B" in done.err


def test_several_structures_have_a_macro_mean(run, folders):
    for structure, found in (("cell", objects()), ("nucleus", np.zeros((20, 30)))):
        write(folders / f"truth/{structure}/A.tif", objects())
        write(folders / f"masks/{structure}/A.tif", found)
    done = run("evaluate", folders / "masks", folders / "truth", "--structures", "cell", "nucleus", "--metrics", "dice")
    assert "macro mean dice  0.500" in done.out


def test_an_unknown_metric_is_named_with_the_nearest(run, folders):
    done = run("evaluate", folders / "pred", folders / "labels", "--metrics", "hd59")
    assert done.status == 2
    assert "Did you mean 'hd95'" in done.err


def sure(path: Path, labels: np.ndarray, *, shown: float) -> None:
    """Write maps of that probability where there is an object, and 0 elsewhere, as ``predict`` does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    maps = np.stack([np.where(labels > 0, shown, 0), np.zeros(labels.shape)]).astype(np.float32)
    write_probabilities(path, maps, ["cell", "cell.boundary"])


def test_calibration_by_hand(run, folders):
    # Every object pixel is given 0.75 and is one: off by 0.25 on the share of object pixels, 360 of 600.
    for name in ("p1/A", "p1/B", "C"):
        sure(folders / f"maps/{name}.probabilities.ome.tif", objects(), shown=0.75)
    arguments = ("evaluate", folders / "pred", folders / "labels", "--metrics", "ece", "--out", folders / "s.csv")
    done = run(*arguments, "--probabilities", folders / "maps")
    assert done.status == 0
    assert "ece    0.150 ± 0.000" in done.out
    assert "calibration error 0.150" in done.out
    table = [line.split() for line in done.out[done.out.index("Reliability of cell") :].splitlines()[2:17]]
    assert [row[3:] for row in table] == [
        ["720", "0.000", "0.000"],
        *[["0", "-", "-"]] * 10,
        ["1080", "0.750", "1.000"],  # from 11/15 to 12/15
        *[["0", "-", "-"]] * 3,
    ]
    assert {row["unit"] for row in rows_of(folders / "s.csv")} == {"0 to 1"}


def test_labels_without_a_usable_map_have_the_worst_calibration(run, folders):
    sure(folders / "maps/C.probabilities.ome.tif", objects(), shown=1.0)
    sure(folders / "maps/p1/A.probabilities.ome.tif", objects((20, 31)), shown=1.0)
    arguments = ("evaluate", folders / "pred", folders / "labels", "--metrics", "dice", "ece")
    done = run(*arguments, "--probabilities", folders / "maps", "--out", folders / "s.csv")
    assert done.status == 1
    assert "ece    0.667 ± 0.577" in done.out  # 0, and 1 twice
    assert "dice   1.000 ± 0.000" in done.out
    assert "Labels without a usable probability map, whose calibration is the worst: 2" in done.out
    reasons = {
        row["field"]: (row["empty"], row["reason"]) for row in rows_of(folders / "s.csv") if row["metric"] == "ece"
    }
    assert reasons["C"] == ("", "")
    assert reasons["p1/B"] == ("missing", "There is no probability map of this label.")
    assert "20 × 31" in reasons["p1/A"][1]


def test_maps_that_cannot_be_meant_are_refused(run, folders):
    paths = ("evaluate", folders / "pred", folders / "labels")
    assert "Name their folder: --probabilities" in run(*paths, "--metrics", "ece").err
    assert "no file or folder" in run(*paths, "--probabilities", folders / "nowhere").err
    sure(folders / "maps/other.probabilities.ome.tif", objects(), shown=1.0)
    assert "no probability map of any label" in run(*paths, "--probabilities", folders / "maps").err
    logits = np.full((1, 20, 30), 3.0, np.float32)
    write_probabilities(folders / "maps/C.probabilities.ome.tif", logits, ["nucleus"])
    assert "Take the sigmoid" in run(*paths, "--probabilities", folders / "maps").out


def test_clips_of_which_no_frame_follows_another_are_told(run, folders):
    told = "--clips: no step is scored"
    for second, expected in (("03", True), ("02", False)):  # every other frame is labelled, or each
        for side in ("labels", "pred"):
            for name in ("v_01", f"v_{second}"):
                write(folders / f"{second}/{side}/{name}.tif", objects())
        done = run("evaluate", folders / second / "pred", folders / second / "labels", "--clips", "{clip}_{frame}")
        assert (told in done.out) == expected
