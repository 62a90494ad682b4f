"""KidneyUS, the Open Kidney Ultrasound Data Set: ultrasound images, four structures drawn as polygons.

Source:
    Singla et al. 2022, arXiv:2206.06657; github.com/rsingla92/kidneyUS (labels/reviewed_labels_1.csv,
    as the VGG Image Annotator writes it).
"""

import csv
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from skimage.draw import polygon2mask

from segdistill.data.readers import open_image
from segdistill.datasets.entry import Entry, Prepared, Row, files, refuse_empty
from segdistill.datasets.writing import write_mask
from segdistill.errors import DataError

LAYOUT = "reviewed_labels_1.csv, and the PNG images that it names in any folder below"
STRUCTURES: Mapping[str, str] = {
    "Capsule": "capsule",
    "Central Echo Complex": "central_echo_complex",
    "Medulla": "medulla",
    "Cortex": "cortex",
}
"""What the table calls a structure, to its name here."""

_TABLE = "reviewed_labels_1.csv"
_COLUMNS = {"filename", "region_shape_attributes", "region_attributes"}

_Polygons = dict[str, list[np.ndarray]]
"""Structure to polygons, each (y, x) in pixels."""


def prepare(source: Path, out: Path) -> Prepared:
    """Return the images, and write one mask for each structure that the first sonographer drew in it.

    Images of one patient, whose number their names begin with, are a group.
    """
    tables = files(source, _TABLE)
    refuse_empty(tables, source, LAYOUT)
    drawn = _drawn(tables[0])
    images = {path.name: path for path in files(source, "*.png") if "reviewed_masks" not in path.as_posix()}
    rows = [_row(images[name], polygons, out) for name, polygons in sorted(drawn.items()) if name in images]
    if not rows:
        raise DataError(
            f"{source} has {_TABLE}, but none of the {len(drawn)} images that it names. Register for them at"
            f" {ENTRY.page} and put them into a folder below."
        )
    missing = len(drawn) - len(rows)
    notes = (f"{missing} of the images that {_TABLE} names are not here.",) if missing else ()
    return Prepared(manifests={"manifest": tuple(rows)}, notes=notes)


def _drawn(table: Path) -> dict[str, _Polygons]:
    """Return image to its polygons."""
    drawn: dict[str, _Polygons] = defaultdict(lambda: defaultdict(list))
    with table.open(encoding="utf-8-sig", newline="") as handle:
        lines = csv.DictReader(handle)
        if not set(lines.fieldnames or ()) >= _COLUMNS:
            raise DataError(f"{table} has the columns {lines.fieldnames}; wanted are {', '.join(sorted(_COLUMNS))}.")
        for line in lines:
            shape = _attributes(line["region_shape_attributes"], table, lines.line_num)
            anatomy = _attributes(line["region_attributes"], table, lines.line_num).get("Anatomy", "")
            if shape.get("name") != "polygon" or anatomy not in STRUCTURES:
                continue  # images that were looked at and in which nothing is drawn, and remarks
            corners = np.array([shape["all_points_y"], shape["all_points_x"]], dtype=np.float64).T
            drawn[line["filename"]][STRUCTURES[anatomy]].append(corners)
    return drawn


def _attributes(text: str, table: Path, line: int) -> dict:
    try:
        found = json.loads(text or "{}")
    except ValueError as error:
        raise DataError(f"{table}, line {line}: {text[:40]!r} is no JSON.") from error
    return found if isinstance(found, dict) else {}


def _row(image: Path, polygons: _Polygons, out: Path) -> Row:
    with open_image(image) as opened:
        size = (opened.shape[1], opened.shape[2])
    labels = {}
    for structure, corners in polygons.items():
        labels[structure] = out / "labels" / structure / f"{image.stem}.png"
        write_mask(labels[structure], filled(corners, size))
    patient = image.stem.partition("_")[0]
    ordered = {name: labels[name] for name in STRUCTURES.values() if name in labels}
    return Row(name=image.stem, image=image, labels=ordered, group=f"patient-{patient}")


def filled(polygons: list[np.ndarray], size: tuple[int, int]) -> Bool[np.ndarray, "y x"]:
    """Return which pixels lie in any of some polygons.

    Args:
        polygons: Corners (y, x), pixels.
        size: Of the image (y, x).
    """
    return np.any([polygon2mask(size, corners) for corners in polygons], axis=0)


ENTRY = Entry(
    what="534 ultrasound images of kidneys",
    labels="capsule, central_echo_complex, medulla, cortex (binary, from the first sonographer's polygons)",
    licence="CC-BY-NC-SA; registration",
    page="https://github.com/rsingla92/kidneyUS",
    layout=LAYOUT,
    prepare=prepare,
    by_hand="Register for the images with the form that https://github.com/rsingla92/kidneyUS names, and put them and"
    " labels/reviewed_labels_1.csv of that repository into one folder.",
    settings="--label-kind binary",
)
