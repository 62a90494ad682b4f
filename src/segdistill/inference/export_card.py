"""What an exported model says of itself: its files, and how far each was seen to differ from the student."""

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from segdistill.errors import DataError
from segdistill.files import sha256_file
from segdistill.networks.card import ModelCard

EXPORT_FILE = "export.json"

EXPORT_FORMAT = 1
"""The version of the card's format that this package writes and reads."""

_STRICT = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Equality(BaseModel):
    """How far an exported file differs from the student, on real images."""

    model_config = _STRICT

    difference: Annotated[float, Field(ge=0)]
    """The largest difference of a probability."""

    dice: dict[str, float]
    """By structure: Dice of the masks with the student's, at the model's thresholds, all pixels together."""

    average_precision: dict[str, float]
    """By structure whose objects are told apart: AP@0.5 of the objects against the student's, all together."""

    foreground: dict[str, float]
    """By structure: share of the pixels that the student takes for it. Where it is 0, the scores prove nothing."""

    images: PositiveInt
    """On how many images."""

    megapixels: float
    """On how many pixels, millions."""

    @property
    def points_lost(self) -> float:
        """The most that any score lost, in points: hundredths."""
        return 100 * (1 - min(*self.dice.values(), *self.average_precision.values(), 1.0))


class ExportedFormat(BaseModel):
    """One format of an exported model."""

    model_config = _STRICT

    opened: str
    """Name of the file that is opened; the others are found beside it."""

    files: Annotated[dict[str, str], Field(min_length=1)]
    """Name of each file, and its SHA-256."""

    made_by: str
    """What made it, in words."""

    equality: Equality
    """How far it differs from the student."""


class ExportCard(BaseModel):
    """Everything that using an exported model needs besides its files."""

    model_config = _STRICT

    format: PositiveInt = EXPORT_FORMAT
    """Version of this format."""

    model: ModelCard
    """The student's own card."""

    stride: PositiveInt
    """Pixels per step of the network's coarsest grid: windows begin on it."""

    inputs: dict[str, str]
    """What each input of the graph is."""

    outputs: dict[str, str]
    """What each output is."""

    opset: PositiveInt
    """Of the ONNX file."""

    compared_on: list[str]
    """SHA-256 of the images on which the formats were compared with the student."""

    calibrated_on: list[str]
    """SHA-256 of the images from which the ranges of int8 were taken."""

    versions: dict[str, str]
    """Of what made it."""

    machine: dict[str, str]
    """On which it was compared."""

    formats: dict[str, ExportedFormat]
    """By name."""


def is_exported(folder: Path) -> bool:
    """Return whether a folder holds an exported model."""
    return (folder / EXPORT_FILE).is_file()


def read_export(folder: Path) -> ExportCard:
    """Return the card of an exported model, without opening its files.

    Raises:
        DataError: There is none, it is damaged, or of a format that this version does not know.
    """
    path = folder / EXPORT_FILE
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(values, dict) and values.get("format") != EXPORT_FORMAT:
            raise DataError(
                f"{path} has format {values.get('format')!r}, but this version of segdistill reads format"
                f" {EXPORT_FORMAT}. Export the model again, or use the version that made it."
            )
        return ExportCard.model_validate(values)
    except FileNotFoundError as error:
        raise DataError(f"{folder} holds no exported model: it has no {EXPORT_FILE}. Run segdistill export.") from error
    except (UnicodeDecodeError, json.JSONDecodeError, ValidationError) as error:
        raise DataError(f"{path} cannot be used: {error}. Export the model again.") from error


def checked_file(folder: Path, card: ExportCard, name: str) -> Path:
    """Return the file of a format that is opened first, once all of them are known to be whole.

    Raises:
        DataError: A file is missing, or is another than the card names.
    """
    kind = card.formats[name]
    for file, wanted in kind.files.items():
        path = folder / file
        if not path.is_file() or sha256_file(path) != wanted:
            raise DataError(
                f"{path} is {'another file than' if path.is_file() else 'missing, but'} {folder / EXPORT_FILE} names."
                " Copy the folder, or export the model, again."
            )
    return folder / kind.opened
