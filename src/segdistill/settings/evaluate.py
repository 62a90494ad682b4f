"""Settings of the scoring of files."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from segdistill.settings.base import Settings
from segdistill.settings.source import ValueNames

LabelKind = Literal["instances", "binary", "classes", "bits"]


class Evaluate(Settings):
    """Score masks against labels, whoever made them."""

    out: Path | None = None
    """CSV file for every score of every field, and the conventions beside it. Nothing is overwritten. None: none."""

    label_kind: LabelKind | None = None
    """What the values of label images mean, where it cannot be seen from them."""

    prediction_kind: LabelKind | None = None
    """What the values of predictions mean, where it is not what those of the labels mean."""

    structure: str = "cell"
    """Name of what is labelled; of COCO files with several categories, the one to score."""

    structures: tuple[str, ...] = ()
    """Sub-folders that predictions and labels have, each named after the structure in it; of COCO files the categories.
    Empty: none, or all of value_names."""

    value_names: ValueNames | None = None
    """Names of classes or bits by their number in the labels, as in distill: predictions have a sub-folder of masks for
    each, as predict writes them, or are classes or bits, too. None: values have no names."""

    images: Path | None = None
    """Folder of the images, paired like labels: they say how large outlines are, where neither a label image nor a
    prediction image does, and the pixel size, where labels do not. None: none."""

    ignore: Path | None = None
    """Folder of masks, paired like labels; pixels that are not 0 in them do not count."""

    field_of_view: Path | None = None
    """Folder of masks, paired like labels; pixels that are 0 in them do not count."""

    metrics: tuple[str, ...] = ()
    """Scores to give, such as dice hd95 pq. Empty: all there are; ece needs --probabilities."""

    pixel_size: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Side of a pixel, micrometres. None: as the label files say; unless all of them do, distances are in pixels."""

    tolerance: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Distance of contours that nsd allows, and width of boundary_dice's bands. None: 1 µm, or 2 px in pixels."""

    probabilities: Path | None = None
    """Folder of probability maps, as predict writes them, for ece and the reliability table. None: neither."""

    groups: Path | None = None
    """CSV file with the columns field and group (a patient, a slide): means are over groups. None: over fields."""

    clips: str | None = None
    """How fields are named that are frames of a clip, such as {clip}_frame_{frame} or {clip}/{frame}, to score how
    steady masks are. None: frames of one TIFF or DICOM file of labels or predictions."""

    private: bool = False
    """Write pseudonyms in place of field and group names into the file of scores. A pseudonym is the beginning of the
    SHA-256 of the image's file, where --images names it, else of the label's."""

    @property
    def names_of_values(self) -> dict[int, str] | None:
        """``value_names`` by the number itself."""
        return None if self.value_names is None else {int(value): name for value, name in self.value_names.items()}

    @model_validator(mode="after")
    def _is_written(self) -> "Evaluate":
        if self.private and self.out is None:
            raise ValueError("private is about the file of scores, but none is written. Name it with out, or drop it")
        return self
