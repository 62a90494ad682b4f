"""Settings of the scoring of files."""

from pathlib import Path
from typing import Literal

from segdistill.settings.base import Settings

LabelKind = Literal["instances", "binary", "classes", "bits"]


class Evaluate(Settings):
    """Score masks against labels, whoever made them."""

    out: Path | None = None
    """CSV file for every score of every field. New: nothing is overwritten. None writes none."""

    label_kind: LabelKind | None = None
    """What the values of label images mean, where it cannot be seen from them."""

    prediction_kind: LabelKind | None = None
    """What the values of predictions mean, where it is not what those of the labels mean."""

    structure: str = "cell"
    """Name of what is labelled."""

    structures: tuple[str, ...] = ()
    """Sub-folders that predictions and labels both have, each named after the structure in it. Empty: none."""

    ignore: Path | None = None
    """Folder of masks, paired like labels; pixels that are not 0 in them do not count."""

    field_of_view: Path | None = None
    """Folder of masks, paired like labels; pixels that are 0 in them do not count."""
