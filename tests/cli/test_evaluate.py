import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile


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
    assert [line[:4] for line in lines if line[0] in {"dice", "iou", "precision", "recall", "ap50", "f1", "pq"}] == [
        [name, "1.000", "±", "0.000"] for name in ("dice", "iou", "precision", "recall", "ap50", "f1", "pq")
    ]
    assert "cell, fields: 3" in done.out


def test_deleted_predictions_are_named_and_count_as_worst(run, folders):
    (folders / "pred/p1/A.tif").unlink()
    done = run("evaluate", folders / "pred", folders / "labels", "--out", folders / "scores.csv")
    assert done.status == 1
    assert "0.667 ± 0.577" in done.out  # of 0, 1, 1
    assert "Labels without a prediction, which have the worst scores: 1\n  p1/A\n" in done.out
    scores = {(row["field"], row["metric"]): row for row in rows_of(folders / "scores.csv")}
    assert len(scores) == 3 * 7
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
    for side in ("label and prediction are both empty (every score 1)", "only the label", "only the prediction"):
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
    assert "recall     0.875 ± 0.217" in run("evaluate", *paths).out  # of 1, 1 and 5/8: five columns of eight
    assert "recall     1.000 ± 0.000" in run("evaluate", *paths, "--field-of-view", folders / "seen").out


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
