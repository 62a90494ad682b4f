"""The files of a run that draws images: where each image is, and what was found out about it."""

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segdistill.files import neutral_cell, whole_file, write_json
from segdistill.synthesis.card import SynthesisCard
from segdistill.synthesis.copies import Nearest
from segdistill.synthesis.drawing import file_name

DRAWN, KEPT, DROPPED = "drawn", "images", "dropped"
"""Folders: images that nobody has looked at yet; those that are kept; those that are set aside."""

VERDICTS, ALL_CSV, DROPPED_CSV = "verdicts.json", "drawn.csv", "dropped.csv"


@dataclass(frozen=True)
class Verdict:
    """What was found out about one drawn image."""

    number: int
    file: str
    """Its name, whichever folder it is in."""

    nearest: Nearest
    """Among the images that the model was fitted on."""

    nearest_name: str
    """Of that image."""

    held_back: float | None
    """Distance to the nearest of the images that it was not fitted on; None: none was held back."""

    certainty: float | None
    """Of the teacher, 0 to 1; None: there is none."""

    reason: str | None = None
    """Why it is set aside; None: it is kept."""


def place_of(folder: Path, card: SynthesisCard, number: int) -> Path:
    """Return where a drawn image is, or shall be if it is nowhere yet."""
    name = file_name(number, card)
    places = [folder / part / name for part in (DRAWN, KEPT, DROPPED)]
    return next((place for place in places if place.exists()), places[0])


def write_verdicts(folder: Path, verdicts: Sequence[Verdict], bound: float) -> None:
    """Write what was found out, and the distance below which an image is a copy; last of it a file for programs."""
    _write_csv(folder / ALL_CSV, verdicts)
    _write_csv(folder / DROPPED_CSV, [verdict for verdict in verdicts if verdict.reason is not None])
    write_json(folder / VERDICTS, {"copy_below": bound, "images": [asdict(verdict) for verdict in verdicts]})


def read_verdicts(folder: Path) -> tuple[tuple[Verdict, ...], float] | None:
    """Return what was found out before, and the distance of copies; None: nothing was, or not to the end."""
    path = folder / VERDICTS
    if not path.is_file():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    return tuple(_verdict(values) for values in found["images"]), found["copy_below"]


def sort_files(folder: Path, verdicts: Sequence[Verdict]) -> None:
    """Move every image to the folder where it belongs; what is there already stays."""
    for part in (KEPT, DROPPED):
        (folder / part).mkdir(exist_ok=True)
    for verdict in verdicts:
        there = folder / DRAWN / verdict.file
        if there.exists():
            there.replace(folder / (KEPT if verdict.reason is None else DROPPED) / verdict.file)
    if (folder / DRAWN).is_dir() and not any((folder / DRAWN).iterdir()):
        (folder / DRAWN).rmdir()


def clear_partial(folder: Path) -> None:
    """Remove what an interrupted call left half written."""
    for path in (folder / DRAWN).glob("*.partial"):
        if re.fullmatch(r"drawn_\d+\..*\.partial", path.name):
            path.unlink()


def _verdict(values: dict[str, Any]) -> Verdict:
    found = values.pop("nearest")
    y, x = found.pop("origin")
    quarters, mirror = found.pop("turn")
    return Verdict(nearest=Nearest(origin=(y, x), turn=(quarters, mirror), **found), **values)


def _write_csv(path: Path, verdicts: Sequence[Verdict]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "kept", "reason", "nearest training image", "distance", "certainty"])
    for verdict in verdicts:
        certainty = "" if verdict.certainty is None else f"{verdict.certainty:.4f}"
        kept = "yes" if verdict.reason is None else "no"
        name, reason = neutral_cell(verdict.nearest_name), verdict.reason or ""
        writer.writerow([verdict.file, kept, reason, name, f"{verdict.nearest.distance:.4f}", certainty])
    with whole_file(path) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8")
