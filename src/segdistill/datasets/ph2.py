"""PH2: dermoscopic images of moles, their outline drawn by a dermatologist.

Source:
    Mendonça et al. 2013, EMBC, doi:10.1109/EMBC.2013.6610779. Layout: that of PH2Dataset.rar.
"""

from pathlib import Path

from segdistill.datasets.entry import Entry, Prepared, Row, files, refuse_empty

LAYOUT = "PH2 Dataset images/IMD002/IMD002_Dermoscopic_Image/IMD002.bmp and …/IMD002_lesion/IMD002_lesion.bmp"


def prepare(source: Path, out: Path) -> Prepared:
    """Return the images with their outlines."""
    del out
    rows: list[Row] = []
    lonely: list[str] = []
    for image in files(source, "*_Dermoscopic_Image/*.bmp"):
        lesion = image.parent.parent / f"{image.stem}_lesion" / f"{image.stem}_lesion.bmp"
        if lesion.is_file():
            rows.append(Row(name=image.stem, image=image, labels={"lesion": lesion}))
        else:
            lonely.append(image.stem)
    refuse_empty(rows, source, LAYOUT)
    notes = (f"{len(lonely)} images have no outline and are left out: {', '.join(lonely[:10])}.",) if lonely else ()
    return Prepared(manifests={"manifest": tuple(rows)}, notes=notes)


ENTRY = Entry(
    what="200 dermoscopic images",
    labels="lesion (binary)",
    licence="research and education; no redistribution",
    page="https://www.fc.up.pt/addi/ph2%20database.html",
    layout=LAYOUT,
    prepare=prepare,
    by_hand="Ask for it on https://www.fc.up.pt/addi/ph2%20database.html, and unpack PH2Dataset.rar (unar or 7z).",
)
