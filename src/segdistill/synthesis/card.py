"""What a diffusion model says of itself; read without torch, so that every command can look for it."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from segdistill.errors import DataError
from segdistill.synthesis.numbers import Numbers

CARD = "synthesis.json"


class SynthesisCard(BaseModel):
    """What a diffusion model is, and on what it was fitted."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format: Literal[1] = 1
    """Version of this description."""

    channels: tuple[str, ...]
    """Names of the channels that it draws, in order."""

    side: int
    """Of the images that it draws, pixels."""

    width: int
    """Of its finest maps."""

    blocks: int
    """Residual blocks at each resolution."""

    outputs: tuple[str, ...] = ()
    """Names of the maps of the masks that it draws for; empty: it draws for none."""

    pixel_size: float | None
    """Of what it draws, micrometres; None: not known, or its images were brought to one size."""

    normalisation: dict[str, Any]
    """The rule that brought each channel to 0..1, as ``rule_to_json`` writes it."""

    numbers: tuple[Numbers, ...]
    """Range and type of each image that it was fitted on; what is drawn takes that of one of them."""

    how: str
    """How it was fitted, in words."""

    images: tuple[str, ...]
    """SHA-256 of the files of the images that it was fitted on."""

    pixels: tuple[str, ...]
    """SHA-256 of these images' pixels, as they were read: the same pixels in another file are known again."""

    held_back: tuple[str, ...] = ()
    """SHA-256 of the files of training images that it was measured by and not fitted on."""

    labelled: tuple[str, ...] = ()
    """SHA-256 of the files of those whose labels it was told: whoever learns from its images owes these labels."""

    weights_sha256: str = ""
    """Of the file of weights beside this card."""

    provenance: dict[str, Any] = {}
    """Settings, versions, machine; JSON values."""


def read_card(folder: Path) -> SynthesisCard:
    """Return the card of a diffusion model, whether or not its weights are still beside it.

    Raises:
        DataError: There is no card, or it is damaged or of another format.
    """
    path = folder / CARD
    try:
        return SynthesisCard.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            f"{folder} holds no diffusion model: it has no {CARD}. Name a folder that `segdistill synthesize` wrote."
        ) from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no card of format 1 that this version reads: {error}.") from error
