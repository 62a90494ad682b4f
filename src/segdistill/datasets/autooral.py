"""Autooral: photographs of oral ulcers, their outline drawn by dentists.

Source:
    Jiang et al. 2024, Scientific Reports 14, 20085, doi:10.1038/s41598-024-69125-9;
    github.com/wurenkai/HF-UNet-and-Autooral-dataset. The layout of the training part, with its workbook,
    is that which users of it report; other parts are taken to be laid out alike.
"""

from pathlib import Path

from segdistill.data.case import SPLIT_WORDS, Split
from segdistill.datasets.entry import Entry, Prepared, Row, files, opened, refuse_empty
from segdistill.datasets.sheet import read_sheet
from segdistill.errors import DataError

LAYOUT = (
    "Train/data_train/0001.png, Train/mask_train/0001.png and 'Training Set disease classification.xlsx', and so on"
)
_NOBODY = "{part} has no workbook that says which images are of one patient: each counts as a patient of its own."


def prepare(source: Path, out: Path) -> Prepared:
    """Return the photographs with their outlines; those of one patient are a group."""
    del out
    books = {_split(path.name.split()[0]): path for path in files(source, "*disease classification.xlsx")}
    rows: list[Row] = []
    notes: list[str] = []
    for folder in files(source, "data_*"):
        split = _split(folder.name.partition("_")[2])
        if split is None or not folder.is_dir():
            continue
        patients = _patients(books[split]) if split in books else {}
        if not patients:
            notes.append(_NOBODY.format(part=folder.parent))
        rows.extend(_rows(folder, split, patients))
    refuse_empty(rows, source, LAYOUT)
    kept, more = opened(rows)
    return Prepared(manifests={"manifest": kept}, notes=(*notes, *more))


def _rows(folder: Path, split: Split, patients: dict[int, str]) -> list[Row]:
    masks = folder.with_name(f"mask_{folder.name.partition('_')[2]}")
    rows: list[Row] = []
    for image in sorted(folder.glob("*.png")):
        mask = masks / image.name
        if not mask.is_file():
            raise DataError(f"{image} has no outline {mask}. Get the archive again.")
        patient = patients.get(int(image.stem)) if image.stem.isdecimal() else None
        group = f"{split}-patient-{patient}" if patient else ""
        name = f"{split}/{image.stem}"
        rows.append(Row(name=name, image=image, labels={"ulcer": mask}, split=split, group=group))
    return rows


def _patients(book: Path) -> dict[int, str]:
    """Return number of an image to its patient."""
    lines = read_sheet(book)
    lacking = [line for line in lines if not {"Patient ID", "Image Number"} <= set(line)]
    if lacking or not lines:
        raise DataError(f"{book} has rows without 'Patient ID' or 'Image Number': {lacking[:1]}. Get it again.")
    return {int(float(line["Image Number"])): line["Patient ID"] for line in lines}


def _split(word: str) -> Split | None:
    return SPLIT_WORDS.get(word.lower())


ENTRY = Entry(
    what="420 photographs of oral ulcers",
    labels="ulcer (binary)",
    licence="academic research only, not for commercial purposes",
    page="https://github.com/wurenkai/HF-UNet-and-Autooral-dataset",
    layout=LAYOUT,
    prepare=prepare,
    by_hand="Follow the link on https://github.com/wurenkai/HF-UNet-and-Autooral-dataset (Google Drive, in a browser)"
    " and unpack what it gives. Nobody published a checksum.",
    settings="--label-kind binary",
)
