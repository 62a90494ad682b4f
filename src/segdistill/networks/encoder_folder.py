"""An encoder that was trained by itself: encoder.safetensors, and a card that says how and on what."""

from pathlib import Path
from typing import Any, Literal

import safetensors.torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import nn

from segdistill.errors import ConfigError, DataError
from segdistill.files import sha256_file, whole_file, write_json
from segdistill.networks.safe_weights import listed, read_weights

WEIGHTS, CARD = "encoder.safetensors", "encoder.json"


class EncoderCard(BaseModel):
    """What a pre-trained encoder is, and what it was trained on."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format: Literal[1] = 1
    """Version of this description."""

    architecture: str
    """Name of the student whose encoder it is, as ``build_student`` takes it."""

    channels: tuple[str, ...]
    """Names of the image's channels, in the order in which it takes them."""

    normalisation: dict[str, Any]
    """The rule that brought each channel to 0..1, as ``rule_to_json`` writes it."""

    how: str
    """How it was trained, in words."""

    heads: int | None = None
    """Attention heads of a plain vision transformer, which its weights do not show; None: it is another network."""

    teacher: str | None = None
    """Name of the teacher; None: it had none."""

    teacher_sha256: str | None = None
    """Of the teacher's weights."""

    licences: tuple[str, ...] = ()
    """Of everything it was made from."""

    images: tuple[str, ...] = ()
    """SHA-256 of the files of the images that it was trained on."""

    labelled: tuple[str, ...] = ()
    """SHA-256 of the files of images whose labels its teacher had been fitted to, as far as they are known."""

    labels_used: int | None = 0
    """Labelled images used anywhere, the teacher's fitting included; None: nobody stated the teacher's."""

    weights_sha256: str = ""
    """Of the file of weights beside this card."""

    provenance: dict[str, Any] = {}
    """Settings, versions, machine; JSON values."""


def save_encoder(folder: Path, encoder: nn.Module, card: EncoderCard) -> EncoderCard:
    """Write an encoder's weights, then its card; return the card.

    Args:
        folder: For both files; made where it is missing.
        encoder: ``encoder`` of a student.
        card: Its hash of the weights is filled in here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = {name: value.detach().cpu().contiguous().clone() for name, value in encoder.state_dict().items()}
    with whole_file(folder / WEIGHTS) as partial:
        partial.write_bytes(safetensors.torch.save(values))
    card = card.model_copy(update={"weights_sha256": sha256_file(folder / WEIGHTS)})
    write_json(folder / CARD, card.model_dump(mode="json"))  # last: a folder without it is refused
    return card


def read_encoder(folder: Path) -> EncoderCard:
    """Return the card of a pre-trained encoder whose weights are whole.

    Raises:
        DataError: The folder holds no encoder, or one that is damaged or of another format.
    """
    for name in (CARD, WEIGHTS):
        if not (folder / name).is_file():
            raise DataError(
                f"{folder} holds no whole encoder: it has no {name}. Name a folder that `segdistill pretrain` wrote, or"
                " a file of published weights; if writing it was interrupted, run that command again."
            )
    try:
        card = EncoderCard.model_validate_json((folder / CARD).read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise DataError(f"{folder / CARD} is no card of format 1 that this version reads: {error}.") from error
    found = sha256_file(folder / WEIGHTS)
    if found != card.weights_sha256:
        raise DataError(
            f"{folder / WEIGHTS} is not what its card describes: its SHA-256 is {found[:12]}…, but the card says"
            f" {card.weights_sha256[:12]}…. Copy the folder again, or pre-train anew."
        )
    return card


def load_encoder_folder(student: nn.Module, name: str, folder: Path) -> None:
    """Give a student an encoder that was trained by itself.

    Args:
        student: From ``build_student``; only its encoder changes.
        name: The student's.
        folder: Holds the encoder.

    Raises:
        ConfigError: It is the encoder of another student, or sees another number of channels.
        DataError: It is damaged.
    """
    card = read_encoder(folder)
    encoder, channels = getattr(student, "encoder", None), getattr(student, "channels", None)
    if card.architecture != name or not isinstance(encoder, nn.Module):
        raise ConfigError(
            f"{folder} holds the encoder of {card.architecture}, but the student is {name}. Choose that student, or"
            " another encoder."
        )
    if len(card.channels) != channels:
        raise ConfigError(
            f"The encoder in {folder} sees {len(card.channels)} channels ({', '.join(card.channels)}), but the student"
            f" sees {channels}. Choose as many, or another encoder."
        )
    weights, wanted = read_weights(folder / WEIGHTS), encoder.state_dict()
    wrong = sorted(
        key
        for key in wanted.keys() | weights.keys()
        if key not in wanted or key not in weights or wanted[key].shape != weights[key].shape
    )
    if wrong:
        raise DataError(
            f"{folder / WEIGHTS} lacks weights of the encoder of {name}, or has others: {listed(wrong)}. Pre-train anew"
            " with this version."
        )
    encoder.load_state_dict(weights)
