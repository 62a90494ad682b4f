"""Writing rows as a CSV manifest that ``segdistill.data.manifest`` reads."""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from segdistill.datasets.entry import Row
from segdistill.errors import DataError
from segdistill.files import whole_file

LICENCE = "#licence"
"""Column of the terms."""


def write_manifest(path: Path, rows: Sequence[Row], *, licence: str = "") -> None:
    """Write a manifest, whole or not at all. Paths in it are as seen from its folder.

    Args:
        path: Of the file.
        rows: Its images.
        licence: On what terms they may be used; it stands beside each, in a remark. Empty: nothing does.

    Raises:
        DataError: There are no rows, or their images have different channels.
        EnvironmentFault: The file cannot be written.
    """
    if not rows:
        raise DataError(f"There are no images for {path}. Check the folder of the download.")
    terms = {LICENCE: licence} if licence else {}
    cells = [_cells(row, path.parent) | terms for row in rows]
    images = {tuple(name for name in each if name.partition(":")[0] == "image") for each in cells}
    if len(images) > 1:
        raise DataError(f"Images of {path} have different channels: {sorted(images)}. Put them into several manifests.")
    columns = list(dict.fromkeys(name for each in cells for name in each))
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(cells)


def _cells(row: Row, folder: Path) -> dict[str, str]:
    images = {"image": row.image} if isinstance(row.image, Path) else _named("image", row.image)
    files = {**images, **_named("label", row.labels)}
    if row.field_of_view is not None:
        files["field_of_view"] = row.field_of_view
    seen = {column: _seen_from(file, folder) for column, file in files.items()}
    return {"name": row.name, **seen, "group": row.group, "split": row.split or ""}


def _named(column: str, files: Mapping[str, Path]) -> dict[str, Path]:
    return {f"{column}:{name}": file for name, file in files.items()}


def _seen_from(file: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(file, folder)).as_posix()
    except ValueError:  # on another drive
        return file.resolve().as_posix()
