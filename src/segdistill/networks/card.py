"""What a model file says about its model. No module that this one imports knows torch."""

import json
from pathlib import Path
from typing import Annotated, Any, NotRequired

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    model_validator,
)
from typing_extensions import TypedDict

from segdistill.data.labels import Structure, output_names
from segdistill.data.normalisation import rule_from_json, rule_to_json
from segdistill.errors import DataError, nearest

HASH_DIGITS = 16
"""Of a hash, enough to tell the images of any study apart."""

FORMAT = 1
"""The version of the format that this package writes and reads."""

CARD_FILE = "model.json"
WEIGHTS_FILE = "model.safetensors"

PROMPTING = "prompting"
"""Name in a card's provenance of how a promptable teacher was asked; not there where the teacher has none."""

_STRICT = ConfigDict(extra="forbid")


def _known_rule(value: dict[str, Any]) -> dict[str, Any]:
    return rule_to_json(rule_from_json(value))


class Thresholds(TypedDict):
    """What turns one structure's probability maps into masks and objects."""

    __pydantic_config__ = _STRICT  # pyright: ignore[reportGeneralTypeIssues]

    foreground: Annotated[float, Field(gt=0, lt=1)]
    """Least probability of a pixel of the structure."""

    seed: Annotated[float, Field(gt=0, lt=1)]
    """Least probability of a pixel from which an object is grown."""

    smoothing: NotRequired[Annotated[float, Field(ge=0)]]
    """Standard deviation of the Gaussian that smooths what seeds are found in, pixels; 0 where it is not named."""

    minimum_size: NonNegativeInt
    """Objects of fewer pixels are dropped."""


class Halo(TypedDict):
    """Pixels of context that a tile needs on every side."""

    __pydantic_config__ = _STRICT  # pyright: ignore[reportGeneralTypeIssues]

    exact: NonNegativeInt | None
    """So many that tiles equal the whole image; None where the network sees without bound."""

    fast: NonNegativeInt
    """The fewest with which masks hardly change."""

    agreement: NotRequired[Annotated[float, Field(ge=0, le=1)] | None]
    """Dice between masks of windows with the fast halo and of uncut validation images, of the worst map; None: none was
    large enough to be cut. Cards of earlier versions do not name it."""

    tile: NotRequired[PositiveInt | None]
    """Side of the windows in which that was measured, pixels; None: it was not."""


class Pooling(TypedDict):
    """How squeeze-excite layers pool in use, and how much masks depend on where the tiles lie."""

    __pydantic_config__ = _STRICT  # pyright: ignore[reportGeneralTypeIssues]

    window: PositiveInt | None
    """Side of the window around each place, pixels; None: over all of a tile, as over all of a crop in training."""

    whole: Annotated[float, Field(ge=0, le=1)] | None
    """Dice between masks from tiles at two offsets where layers pool over all of a tile, of the worst map; None: no
    validation image was large enough to be cut."""

    sliding: Annotated[float, Field(ge=0, le=1)] | None
    """The same where they pool over windows."""


class Familiar(TypedDict):
    """How training images appeared to the model, to tell images that are unlike them; ``inference.familiarity``."""

    __pydantic_config__ = _STRICT  # pyright: ignore[reportGeneralTypeIssues]

    channels: list[str]
    """Names of the channels that were measured."""

    looks: list[list[float]]
    """Of each training image that is kept: brightness, contrast and sharpness of each channel in turn."""

    look_limit: Annotated[float, Field(gt=0)]
    """An image farther than this from all of them is unlike them, in noticeable differences."""

    features: list[list[float]] | None
    """Of each of them: projections of the encoder's features; None: it has no encoder."""

    feature_limit: Annotated[float, Field(ge=0)] | None
    """An image farther than this from all of them is unlike them."""


class ModelCard(BaseModel):
    """Everything that using a model needs besides its weights, and where it comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format: PositiveInt = FORMAT
    """Version of this format."""

    architecture: str
    """Name of the student, as ``build_student`` takes it."""

    channels: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of the image's channels, in the order in which the network takes them."""

    normalisation: Annotated[dict[str, Any], AfterValidator(_known_rule)]
    """The rule that brings each channel to 0..1, as ``rule_to_json`` writes it."""

    pixel_size: Annotated[float, Field(gt=0)] | None = None
    """Of the training images, micrometres; None if it was not known."""

    structures: Annotated[tuple[Structure, ...], Field(min_length=1)]
    """What the model segments."""

    crop: PositiveInt
    """Side of the training crops, pixels."""

    thresholds: dict[str, Thresholds] = {}
    """By structure; a structure that is not named here takes the defaults of ``segment``."""

    teacher: str | None = None
    """The teacher it learnt from; None for a baseline."""

    licences: tuple[str, ...] = ()
    """Of everything it was made from: teacher's weights, encoder weights, images."""

    labels_used: NonNegativeInt | None = 0
    """Labelled images used anywhere, the teacher's fitting included; None: nobody stated the teacher's."""

    learnt_from: tuple[str, ...] = ()
    """Beginnings, of ``HASH_DIGITS``, of the SHA-256 of the files of all images whose labels it learnt from or was
    chosen by, its teacher's among them. Empty: none is known, as of models of earlier versions."""

    provenance: dict[str, Any] = {}
    """Run, versions, seeds and hashes; JSON values."""

    notes: tuple[str, ...] = ()
    """What its user should know."""

    halo: Halo = {"exact": None, "fast": 64}
    """Context of a tile."""

    pooling: Pooling | None = None
    """How squeeze-excite layers pool in use; None: it has none, or the card is of an earlier version: over a tile."""

    familiar: Familiar | None = None
    """How training images appeared; None: they were too few to say what is usual."""

    weights_sha256: str | None = None
    """SHA-256 of the weights file that belongs to this card; None until the model is saved."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's score maps, in order."""
        return output_names(self.structures)

    @model_validator(mode="after")
    def _consistent(self) -> "ModelCard":
        names = [structure.name for structure in self.structures]
        for what, values in (("channel", list(self.channels)), ("structure", names)):
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"every {what} needs its own name, but {', '.join(twice)} occurs twice")
        for name in self.thresholds:
            if name not in names:
                raise ValueError(f"there are thresholds for {name!r}, which is no structure.{nearest(name, names)}")
        return self


def read_card(folder: Path) -> ModelCard:
    """Return the card of a model folder, without opening its weights.

    Raises:
        DataError: The folder has no card, the card is of a format that this version does not know,
            or it is damaged; everything wrong with it is listed.
    """
    path = folder / CARD_FILE
    if not path.is_file():
        raise DataError(
            f"{folder} is not a model: it has no {CARD_FILE}. Give the folder that holds {CARD_FILE} and"
            f" {WEIGHTS_FILE}; if writing it was interrupted, run that command again."
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path} is not JSON: {error}. Copy or make the model again.") from error
    version = values.get("format") if isinstance(values, dict) else None
    if version != FORMAT:
        raise DataError(
            f"{path} has format {version!r}, but this version of segdistill reads format {FORMAT}."
            " Use the version that made it, or a newer one than this."
        )
    try:
        return ModelCard.model_validate(values)
    except ValidationError as error:
        raise DataError(_explain(path, error)) from error


def _explain(path: Path, error: ValidationError) -> str:
    mistakes = [
        f"{'.'.join(str(part) for part in mistake['loc']) or 'card'}: {mistake['msg']}{_suggestion(mistake)}"
        for mistake in error.errors(include_url=False)
    ]
    return "\n  ".join([f"{path} cannot be used; copy or make the model again. Found:", *mistakes])


def _suggestion(mistake: Any) -> str:
    if mistake["type"] != "extra_forbidden" or len(mistake["loc"]) != 1:
        return ""
    return nearest(str(mistake["loc"][0]), ModelCard.model_fields)
