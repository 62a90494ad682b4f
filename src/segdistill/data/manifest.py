"""Cases from a CSV manifest.

    image, label, group, split              one row per image; paths as seen from the CSV's folder
    image:nucleus, image:membrane           instead of image: one file per channel
    label:cell, label:nucleus               instead of label: several structures
    ignore, field_of_view                   masks of pixels that do not count, and that alone count
    label                                   may name a COCO file: its categories are the structures, and the
                                            image is found in it by its file's name; label:cell takes one category
    name                                    instead of the image's path without suffix
    image, label                            of many planes, as clips and volumes: each is an image of its own;
                                            a DICOM-SEG file may be the label of every file that it has masks of
    #anything                               a remark: scores can be told by it, and nothing else reads it

Only ``image`` is needed. An empty cell means: none, or not known.
"""

import csv
import io
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from segdistill.data.case import SPLIT_WORDS, Case, Split, image_files, notes_on_unlabelled, stem
from segdistill.data.folders import Found
from segdistill.data.manifest_coco import draw
from segdistill.data.readers.ome_zarr import is_zarr
from segdistill.data.stacks import divided
from segdistill.data.stacks import notes as stack_notes
from segdistill.errors import DataError, nearest

_COLUMNS = ("image", "label", "group", "split", "ignore", "field_of_view", "name")
_MOST = 20


@dataclass
class _Row:
    """One line of the manifest, and what is wrong with it."""

    number: int
    cells: Mapping[str, str]
    folder: Path
    errors: list[str] = field(default_factory=list)

    def file(self, column: str) -> Path | None:
        text = self.cells.get(column, "")
        if not text:
            return None
        try:
            path = _existing(self.folder / text)
        except OSError as error:  # a name too long for the disk, or a folder that may not be read
            self.errors.append(f"{column}: {text!r} cannot be looked up: {error.strerror}")
            return None
        if path is None:
            self.errors.append(f"{column}: there is no file {text!r}")
        elif path.is_dir() and not is_zarr(path):
            self.errors.append(f"{column}: {text!r} is a folder, and no OME-Zarr")
        return path

    def files(self, column: str) -> dict[str, Path]:
        """Return name to file of the columns "image:NAME" or "label:NAME" that are filled."""
        columns = {text.partition(":")[2]: text for text in self.cells if text.startswith(f"{column}:")}
        found = {name: self.file(text) for name, text in columns.items()}
        return {name: path for name, path in found.items() if path is not None}

    def image(self) -> Path | Mapping[str, Path] | None:
        channels = [text for text in self.cells if text.startswith("image:")]
        empty = [text for text in channels or ["image"] if not self.cells[text]]
        self.errors.extend(f"{text}: the cell is empty" for text in empty)
        return self.files("image") if channels else self.file("image")

    def remarks(self) -> dict[str, str]:
        """Return name to text of the columns "#NAME" that are filled."""
        columns = {text.removeprefix("#").strip(): text for text in self.cells if text.startswith("#")}
        return {name: self.cells[text] for name, text in columns.items() if name and self.cells[text]}

    def split(self) -> Split | None:
        text = self.cells.get("split", "")
        if text and text.lower() not in SPLIT_WORDS:
            self.errors.append(
                f"split: {text!r} is none of train, validation, test.{nearest(text.lower(), SPLIT_WORDS)}"
            )
        return SPLIT_WORDS.get(text.lower())

    def name(self) -> str:
        text = self.cells.get("name", "")
        if not text:
            first = next(column for column in self.cells if column.partition(":")[0] == "image")
            return _inner(PurePath(self.cells[first]))
        if _inner(PurePath(f"{text}.x")) != unicodedata.normalize("NFC", text):
            self.errors.append(
                f"name: {text!r} must be a plain relative path without '..', for files are named after it"
            )
        return unicodedata.normalize("NFC", text)


def read_manifest(path: Path, *, structure: str, axes: str | None = None) -> Found:
    """Return the cases of a CSV manifest, in its order.

    Args:
        path: UTF-8 text with a line of column names, separated by commas, semicolons or tabs.
        structure: Name of the label set of the column ``label``.
        axes: Meaning of the axes of the images' files; None takes the files' own.

    Raises:
        DataError: Anything is wrong; all of it at once, with the line numbers a spreadsheet shows.
    """
    columns, rows = _rows(path)
    _check_columns(path, columns)
    read = [_case(row, structure) for row in rows]
    _note_repeats(rows, read)
    named = "label" not in columns
    drawn = draw({row.number: case for row, case in zip(rows, read, strict=True) if case is not None}, named=named)
    for row in rows:
        row.errors.extend(drawn.errors[row.number])
    errors = [f"row {row.number}: {error}" for row in rows for error in row.errors]
    if errors:
        more = f"\n  and {len(errors) - _MOST} more" if len(errors) > _MOST else ""
        raise DataError(f"{path} has {len(errors)} errors:\n  " + "\n  ".join(errors[:_MOST]) + more)
    there = [(row.number, case) for row, case in zip(rows, read, strict=True) if case is not None]
    cases = tuple(replace(case, labels=drawn.labels[number]) for number, case in there)
    if not cases:
        raise DataError(f"{path} has no rows below its column names. Add one for each image.")
    label_sets = tuple(_set_name(column, structure) for column in columns if column.partition(":")[0] == "label")
    if drawn.files and not named:
        label_sets = tuple(drawn.categories())
    used = tuple(name for name in label_sets if any(name in case.labels for case in cases))
    planes = tuple(divided(cases, axes=axes))
    return Found(planes, used, (*drawn.notes(), *notes_on_unlabelled(cases, label_sets), *stack_notes(cases, planes)))


def _rows(path: Path) -> tuple[list[str], list[_Row]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error}). Save it as 'CSV UTF-8'.") from error
    head = text.partition("\n")[0]
    separator = max(",;\t", key=head.count)
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        columns = [cell.strip() for cell in next(lines, [])]
        return columns, [_row(lines.line_num, cells, columns, path.parent) for cells in lines if any(cells)]
    except csv.Error as error:
        raise DataError(f"{path} is no CSV table: {error}. Look at its quotation marks.") from error


def _row(number: int, cells: list[str], columns: list[str], folder: Path) -> _Row:
    row = _Row(number, dict(zip(columns, [*map(str.strip, cells), *[""] * len(columns)], strict=False)), folder)
    if any(cells[len(columns) :]):
        row.errors.append(f"there are {len(cells)} cells, but {len(columns)} columns")
    return row


def _check_columns(path: Path, columns: list[str]) -> None:
    named = [column for column in columns if column and not column.startswith("#")]
    heads = [column.partition(":")[0] for column in named]
    twice = sorted({name for name in columns if name.strip("# ") and columns.count(name) > 1})
    errors = [f"column {name!r} occurs twice" for name in twice]
    for column, head in zip(named, heads, strict=True):
        divided = column != head
        if head not in (("image", "label") if divided else _COLUMNS) or column.endswith(":"):
            errors.append(f"column {column!r} is unknown.{nearest(head, _COLUMNS)}")
    if "image" not in heads:
        errors.append("there is no column 'image'")
    errors.extend(
        f"column {plain!r} stands beside columns {plain}:NAME; use one or the other"
        for plain in ("image", "label")
        if plain in named and any(column.startswith(f"{plain}:") for column in named)
    )
    if errors:
        raise DataError(
            f"{path}: {'; '.join(errors)}. Columns are {', '.join(_COLUMNS)}, image:CHANNEL and label:NAME;"
            " begin the name of any other with '#', also that of one by which scores are to be told."
        )


def _case(row: _Row, structure: str) -> Case | None:
    """Return the case of a row, or None where it has no image; what is wrong is added to the row."""
    image, name, split = row.image(), row.name(), row.split()
    labels = row.files("label")
    label = row.file("label")
    if label is not None:
        labels[structure] = label
    ignore, field_of_view = row.file("ignore"), row.file("field_of_view")
    if image is None:
        return None
    group = row.cells.get("group", "") or name
    return Case(name, image, labels, ignore, field_of_view, group, split, row.remarks())


def _note_repeats(rows: list[_Row], cases: list[Case | None]) -> None:
    """Add an error to every row that repeats the image or the name of an earlier one."""
    files, names = {}, {}
    for row, case in zip(rows, cases, strict=True):
        if case is None:
            continue
        first = files.setdefault(image_files(case), row.number)
        namesake = names.setdefault(case.name, row.number)
        if first != row.number:
            row.errors.append(
                f"the image is that of row {first} too; several labels of one image are columns label:NAME"
            )
        elif namesake != row.number:
            row.errors.append(f"the name {case.name!r} is that of row {namesake} too; add a column 'name'")


def _set_name(column: str, structure: str) -> str:
    return column.partition(":")[2] or structure


def _inner(path: PurePath) -> str:
    """Return the stem of a path with nothing in it that leads out of a folder."""
    parts = [part for part in path.parts if part not in {path.anchor, ".", ".."}]
    return stem(PurePath(*parts)) if parts else ""


def _existing(path: Path) -> Path | None:
    """Return the file of this path, also where the disk spells its letters in another Unicode form."""
    if path.exists():
        return path
    parent = _existing(path.parent) if path.parent != path else None
    if parent is None or not parent.is_dir():
        return None
    wanted = unicodedata.normalize("NFC", path.name)
    return next((each for each in parent.iterdir() if unicodedata.normalize("NFC", each.name) == wanted), None)
