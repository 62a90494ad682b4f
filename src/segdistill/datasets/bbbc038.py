"""BBBC038: nuclei in pictures of every kind, the Data Science Bowl of 2018; one mask file per nucleus.

Source:
    Caicedo et al. 2019, Nature Methods 16. Addresses: data.broadinstitute.org/bbbc/BBBC038. Nobody
    published checksums.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Int32, Integer

from segdistill.data.case import Split
from segdistill.data.labels import read_labels
from segdistill.data.writers import write_labels
from segdistill.datasets.entry import Entry, Part, Prepared, Row, files, opened, refuse_empty
from segdistill.errors import DataError
from segdistill.fetch import Item

LAYOUT = (
    "stage1_train/ID/images/ID.png and stage1_train/ID/masks/*.png; stage1_test/ID/images/ID.png and"
    " stage1_solution.csv"
)
_SITE = "https://data.broadinstitute.org/bbbc/BBBC038"
_TESTS = {"stage1_test": "stage1_solution.csv", "stage2_test_final": "stage2_solution_final.csv"}
_COLUMNS = {"ImageId", "EncodedPixels", "Height", "Width"}


def prepare(source: Path, out: Path) -> Prepared:
    """Return the pictures, and write one label image for each, its nuclei numbered from 1.

    Where masks share pixels, the nucleus that comes later by the name of its file has them.
    """
    rows = [_trained(folder, out) for folder in _folders(source, "stage1_train")]
    for stage, table in _TESTS.items():
        solution = files(source, table)
        if solution:
            rows += _tested(stage, _folders(source, stage), _solution(solution[0]), out)
    refuse_empty(rows, source, LAYOUT)
    kept, notes = opened(rows)
    return Prepared(manifests={"manifest": kept}, notes=notes)


def _folders(source: Path, stage: str) -> list[Path]:
    return [path.parent.parent for path in files(source, f"{stage}/*/images/*.png")]


def _trained(folder: Path, out: Path) -> Row:
    masks = files(folder, "masks/*.png")
    refuse_empty(masks, folder, LAYOUT)
    labels = numbered(read_labels(path) for path in masks)
    return _row(folder, labels, "train", out)


def _tested(stage: str, folders: list[Path], solution: dict[str, Int32[np.ndarray, "y x"]], out: Path) -> list[Row]:
    rows = [_row(folder, solution[folder.name], "test", out) for folder in folders if folder.name in solution]
    if not rows:
        raise DataError(f"Of {stage} there is a solution, but none of its pictures. Unpack {stage}.zip into {stage}/.")
    return rows


def _row(folder: Path, labels: Integer[np.ndarray, "y x"], split: Split, out: Path) -> Row:
    name = folder.name
    written = out / "labels" / f"{name}.tif"
    write_labels(written, labels)
    return Row(name=name, image=folder / "images" / f"{name}.png", labels={"nucleus": written}, split=split)


def numbered(masks: Iterable[Integer[np.ndarray, "y x"]]) -> Int32[np.ndarray, "y x"]:
    """Return one label image of several masks, numbered from 1; the later mask has the pixels that they share.

    >>> numbered([np.array([[255, 255, 0]]), np.array([[0, 255, 255]])])
    array([[1, 2, 2]], dtype=int32)
    """
    labels: Int32[np.ndarray, "y x"] | None = None
    for number, mask in enumerate(masks, start=1):
        labels = np.zeros(mask.shape, np.int32) if labels is None else labels
        if mask.shape != labels.shape:
            raise DataError(f"Masks of one picture have the sizes {labels.shape} and {mask.shape} (y, x).")
        labels[mask > 0] = number
    if labels is None:
        raise DataError("A picture has no masks at all.")
    return labels


def _solution(path: Path) -> dict[str, Int32[np.ndarray, "y x"]]:
    """Return picture to label image of a table of runs; what it says to ignore is left out."""
    runs, sizes = defaultdict(list), {}
    with path.open(encoding="utf-8", newline="") as handle:
        table = csv.DictReader(handle)
        if not set(table.fieldnames or ()) >= _COLUMNS:
            raise DataError(f"{path} has the columns {table.fieldnames}; wanted are {', '.join(sorted(_COLUMNS))}.")
        for line in table:
            if line.get("Usage") == "Ignored":
                continue
            runs[line["ImageId"]].append(line["EncodedPixels"])
            sizes[line["ImageId"]] = (int(line["Height"]), int(line["Width"]))
    return {
        name: numbered(decoded(text, sizes[name], source=str(path)) for text in texts) for name, texts in runs.items()
    }


def decoded(text: str, size: tuple[int, int], *, source: str) -> Int32[np.ndarray, "y x"]:
    """Return the mask of runs: pairs of first pixel and length, counted from 1 down each column, columns left to right.

    Args:
        text: Numbers with blanks between them; empty: nothing.
        size: Of the picture (y, x).
        source: For messages.

    >>> decoded("1 2 5 1", (2, 3), source="a table")  # rows 0 and 1 of column 0, row 0 of column 2
    array([[1, 0, 1],
           [1, 0, 0]], dtype=int32)
    """
    words = text.split()
    if len(words) % 2 or not all(word.isdecimal() for word in words):
        raise DataError(f"{source} has runs that are no pairs of numbers: {text[:40]!r}.")
    numbers = np.array(words, dtype=np.int64).reshape(-1, 2)
    mask = np.zeros(size[0] * size[1], np.int32)
    for start, length in numbers:
        if start < 1 or length < 1 or start - 1 + length > len(mask):
            raise DataError(f"{source} has a run of {length} pixels from {start}, but the picture has {len(mask)}.")
        mask[start - 1 : start - 1 + length] = 1
    return mask.reshape(size[::-1]).T.copy()


def _part(name: str, megabytes: int | None = None) -> Part:
    into = name.removesuffix(".zip") if name.endswith(".zip") else None
    return Part(item=Item(name=name, address=f"{_SITE}/{name}", megabytes=megabytes), into=into)


ENTRY = Entry(
    what="735 pictures of nuclei: fluorescence, stained tissue, bright field",
    labels="nucleus (instances)",
    licence="CC0-1.0",
    page="https://bbbc.broadinstitute.org/BBBC038",
    layout=LAYOUT,
    prepare=prepare,
    parts=(_part("stage1_train.zip", 83), _part("stage1_test.zip", 10), _part("stage1_solution.csv")),
    settings="--label-kind instances",
)
