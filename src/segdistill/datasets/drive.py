"""DRIVE: retinal photographs, vessels drawn by hand.

Source:
    Staal et al. 2004, IEEE Transactions on Medical Imaging 23. Layout: that of the challenge's two
    archives. Hashes: those that the ``torch_em`` package pins for them.
"""

import re
from pathlib import Path

from segdistill.datasets.entry import Entry, Prepared, Row, files, opened, refuse_empty

LAYOUT = (
    "training/images/21_training.tif, training/1st_manual/21_manual1.gif, training/mask/21_training_mask.gif, test/…"
)
_IMAGE = re.compile(r"(\d+)_(training|test)\.tif")


def prepare(source: Path, out: Path) -> Prepared:
    """Return the photographs with the first observer's vessels and the field of view."""
    del out
    rows: list[Row] = []
    unlabelled = 0
    for image in files(source, "*.tif"):
        match = _IMAGE.fullmatch(image.name)
        if match is None or image.parent.name != "images":
            continue
        part = image.parent.parent
        vessels = part / "1st_manual" / f"{match[1]}_manual1.gif"
        if not vessels.is_file():
            unlabelled += 1
            continue
        seen = part / "mask" / f"{image.stem}_mask.gif"
        rows.append(
            Row(
                name=image.stem,
                image=image,
                labels={"vessel": vessels},
                field_of_view=seen if seen.is_file() else None,
                split="test" if match[2] == "test" else "train",
            )
        )
    refuse_empty(rows, source, LAYOUT)
    kept, notes = opened(rows)
    if unlabelled:
        notes += (
            f"{unlabelled} images have no 1st_manual and are left out; newer releases keep those of the test images.",
        )
    return Prepared(manifests={"manifest": kept}, notes=notes)


ENTRY = Entry(
    what="40 retinal photographs",
    labels="vessel (binary); field of view",
    licence="no redistribution; research, as the challenge's page says",
    page="https://drive.grand-challenge.org",
    layout=LAYOUT,
    prepare=prepare,
    by_hand="Join the challenge at https://drive.grand-challenge.org, get training.zip and test.zip, and unpack both"
    " into one folder. SHA-256: training.zip 7101e19598e2b7aacdbd5e6e7575057b9154a4aaec043e0f4e28902bf4e2e209, test.zip"
    " d76c95c98a0353487ffb63b3bb2663c00ed1fde7d8fdfd8c3282c6e310a02731.",
    settings="--student-channels luma, or green",
)
