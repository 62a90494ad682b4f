"""Masks of one structure each are scored against labels whose numbers are classes or bits."""

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile

from segdistill.evaluation import pair_up, score_clips

CELL = np.zeros((12, 20), np.uint8)
CELL[1:9, 2:10] = 1
NUCLEUS = np.zeros((12, 20), np.uint8)
NUCLEUS[3:7, 4:8] = 1
TOP = np.zeros((12, 20), np.uint8)
TOP[1:3, 2:14] = 1
NAMES = ("--value-names.1", "cell", "--value-names.2", "nuc", "--value-names.4", "top")
BITS = ("--label-kind", "bits")


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, photometric="minisblack")


def dice(path: Path) -> dict[tuple[str, str], float]:
    with path.open(newline="", encoding="utf-8") as handle:
        rows = [row for row in csv.DictReader(handle) if row["metric"] == "dice"]
    return {(row["field"], row["structure"]): float(row["value"]) for row in rows}


@pytest.fixture
def root(tmp_path) -> Path:
    """Bits of three structures that overlap, and masks of each: nuc has half of its pixels, top none in b."""
    for name in ("a", "b"):
        save(tmp_path / f"labels/{name}.tif", CELL + 2 * NUCLEUS + 4 * TOP)
        save(tmp_path / f"masks/cell/{name}.tif", CELL)
        save(tmp_path / f"masks/nuc/{name}.tif", NUCLEUS * (np.arange(20) < 6).astype(np.uint8))
        save(tmp_path / f"masks/top/{name}.tif", TOP if name == "a" else 0 * TOP)
    return tmp_path


@pytest.fixture
def score(run, root):
    """Score masks/ against labels/ into s.csv."""

    def call(*words, predictions="masks", labels="labels"):
        return run("evaluate", root / predictions, root / labels, "--metrics", "dice", "--out", root / "s.csv", *words)

    return call


def test_each_structure_is_scored_against_its_bit(root, score):
    done = score(*BITS, *NAMES)
    assert (done.status, done.err) == (0, "")
    assert dice(root / "s.csv") == {
        ("a", "cell"): 1,
        ("b", "cell"): 1,
        ("a", "nuc"): pytest.approx(2 / 3, abs=1e-6),  # 8 of 16 pixels
        ("b", "nuc"): pytest.approx(2 / 3, abs=1e-6),
        ("a", "top"): 1,
        ("b", "top"): 0,
    }
    assert "macro mean dice" in done.out


def test_each_structure_is_scored_against_its_class(root, score):
    for name in ("a", "b"):
        save(root / f"organs/{name}.tif", np.where(NUCLEUS > 0, 7, 3 * CELL))
    done = score("--label-kind", "classes", "--value-names.7", "nuc", "--value-names.3", "cell", labels="organs")
    assert done.status == 0
    assert "are not scored: top." in done.out
    found = dice(root / "s.csv")
    assert found["a", "cell"] == pytest.approx(2 * 48 / (48 + 64), abs=1e-6)  # without the nucleus
    assert found["a", "nuc"] == pytest.approx(2 / 3, abs=1e-6)


def test_a_missing_mask_of_one_structure_is_worst_of_that_one(root, score):
    (root / "masks/nuc/b.tif").unlink()
    assert score(*BITS, *NAMES).status == 1
    found = dice(root / "s.csv")
    assert (found["b", "nuc"], found["b", "cell"]) == (0, 1)


def test_masks_may_be_numbered_objects(root, score):
    many = np.zeros((12, 20), np.uint16)
    many[1:9, 2:10] = np.arange(1, 65).reshape(8, 8)
    for name in ("a", "b"):
        save(root / f"masks/cell/{name}.tif", many)
    done = score(*BITS, *NAMES)
    assert dice(root / "s.csv")["a", "cell"] == 1
    assert "cell: labels are bits, predictions instances, so objects are taken together" in done.out


def test_structures_choose_of_the_names(root, score):
    assert score(*BITS, *NAMES, "--structures", "nuc").status == 0
    assert {structure for _, structure in dice(root / "s.csv")} == {"nuc"}


def test_the_folder_of_one_structure_is_scored_as_the_one_that_is_chosen(root, score):
    assert score(*BITS, *NAMES, "--structures", "nuc", predictions="masks/nuc").status == 0
    assert dice(root / "s.csv")["a", "nuc"] == pytest.approx(2 / 3, abs=1e-6)


def test_a_single_name_needs_no_folder(root, score):
    for name in ("a", "b"):
        save(root / f"one/{name}.tif", 2 * NUCLEUS)
    done = score(*BITS, "--value-names.2", "nuc", predictions="masks/nuc", labels="one")
    assert done.status == 0
    assert dice(root / "s.csv")["a", "nuc"] == pytest.approx(2 / 3, abs=1e-6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*BITS, *NAMES[:4], "--value-names.4", "tip"), "has no sub-folder tip. Did you mean 'top'? It has: cell, nuc"),
        ((*BITS, *NAMES, "--structures", "nuk"), "--structures chooses nuk, but --value-names names no value so."),
        ((*BITS, *NAMES[:4], "--value-names.4", "nuc"), "--value-names calls several values nuc."),
        ((*BITS, *NAMES[:4], "--value-names.3", "top"), "each must be one bit"),
        (("--label-kind", "binary", *NAMES), "names are given for the values 1, 2, 4, but labels are binary"),
        ((*BITS, *NAMES, "--structures", "nuc", "--prediction-kind", "bits"), "nuc: predictions of one structure are"),
        ((*BITS,), "have no two files of the same stem"),
        ((*BITS, "--structures", "cell", "nuc"), "for the structure 'cell'. If labels of several structures are"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(score, words, message):
    done = score(*words)
    assert done.status == 2
    assert message in done.err


@pytest.mark.parametrize("words", [BITS, (*BITS, "--structures", "cell"), (*BITS, "--prediction-kind", "binary")])
def test_a_refusal_says_how(score, words):
    done = score(*words, predictions="masks" if len(words) < 4 or "cell" in words else "masks/cell")
    assert "--value-names.1 NAME --value-names.2 NAME and so on" in done.err


def test_bits_that_no_name_belongs_to_are_told_by_file(root, score):
    save(root / "labels/b.tif", CELL + 8 * TOP)
    done = score(*BITS, *NAMES)
    assert done.status == 1
    assert "labels/b.tif holds the values 8, 9, but the bits of label set 'labels' are 1, 2, 4." in done.out


@pytest.mark.parametrize("kind", ["bits", "classes"])
def test_masks_of_one_structure_do_not_pass_for_several(root, score, kind):
    for words in ((), NAMES):
        done = score("--label-kind", kind, *words, predictions="masks/nuc")
        assert done.status == 2
        assert "but predictions hold nothing but 1 besides 0, as a mask of one structure does" in done.err
        assert "--value-names.1 NAME" in done.err
    assert not (root / "s.csv").exists()


def test_numbered_objects_of_one_structure_do_not_pass_for_several(root, score):
    for name in ("a", "b"):
        save(root / f"objects/{name}.tif", np.arange(240, dtype=np.uint16).reshape(12, 20))
    done = score(*BITS, predictions="objects")
    assert done.status == 2
    assert "239 values besides 0 that look like numbered objects of one structure" in done.err


def test_kinds_that_are_said_to_be_alike_are_believed(root, score):
    assert score(*BITS, "--prediction-kind", "bits", predictions="masks/nuc").status == 0
    assert {structure for _, structure in dice(root / "s.csv")} == {"cell_1", "cell_2", "cell_4"}


def test_predictions_of_one_class_beside_labels_of_that_one_are_classes(root, score):
    for name in ("a", "b"):
        save(root / f"one/{name}.tif", CELL)
    assert score("--label-kind", "classes", predictions="masks/cell", labels="one").status == 0
    assert dice(root / "s.csv")["a", "cell_1"] == 1


def test_bits_on_both_sides_are_called_by_their_names(root, score):
    for name in ("a", "b"):
        save(root / f"bits/{name}.tif", CELL + 2 * NUCLEUS)
    assert score(*BITS, *NAMES, predictions="bits").status == 0
    assert dice(root / "s.csv")["a", "nuc"] == 1
    assert dice(root / "s.csv")["a", "top"] == 0


def test_names_are_read_from_what_predict_wrote_only_as_folders(root, score):
    # An empty mask of nuc would pass for bits; but predict writes none.
    for name in ("a", "b"):
        save(root / f"masks/nuc/{name}.tif", 0 * NUCLEUS)
    (root / "masks/settings.json").write_text('{"command": "predict"}')
    done = score(*BITS, *NAMES, predictions="masks/nuc")
    assert done.status == 2
    assert "masks/nuc has no sub-folder cell, nuc, top." in done.err


def test_under_pseudonyms_each_field_has_one(root, score):
    assert score(*BITS, *NAMES, "--private").status == 0
    found = dice(root / "s.csv")
    assert len(found) == 6
    assert len({field for field, _ in found} - {"a", "b"}) == 2


def test_clips_are_scored_for_each_structure(root):
    still = np.stack([CELL + 2 * NUCLEUS] * 3)
    save(root / "film/labels/s.tif", still)
    save(root / "film/masks/nuc/s.tif", np.stack([NUCLEUS] * 3))
    names = {1: "cell", 2: "nuc"}
    pairing = pair_up(root / "film/masks", root / "film/labels", part="nuc", value_names=names)
    (found,) = score_clips(pairing, structure="nuc", pattern="{clip}/{frame}", label_kind="bits")
    assert (found.structure, found.found.score) == ("nuc", 1)
