"""An encoder that was trained by itself: its weights, a card that says how and on what, a page for people."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, ValidationError
from torch import nn

from segdistill.errors import ConfigError, DataError
from segdistill.files import sha256_file, whole_file, write_json
from segdistill.networks.safe_weights import listed, read_weights, unfitting

WEIGHTS, CARD, PAGE = "encoder.safetensors", "encoder.json", "README.md"


class TaughtBy(BaseModel):
    """A teacher of an encoder."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """As the user typed it."""

    weights_sha256: str | None
    """Of what decides its features; None: it has no weights."""

    licence: str
    """Of its weights; ``unknown`` where nobody stated one."""

    labels_seen: NonNegativeInt | None
    """Labelled images that it was fitted on; None: nobody stated it."""

    parameters: NonNegativeInt | None = None
    """Weights of its encoder; None: it does not say."""

    times_smaller: float | None = None
    """So many times fewer has the encoder that learnt from it; None: not known."""

    size: PositiveInt | None = None
    """Side of the square that it sees, pixels; None: any, or nobody says."""

    stride: PositiveInt | None = None
    """Pixels of that square per token; None: it gave none."""

    width: PositiveInt | None = None
    """Length of a token; None: it gave none."""

    failed_on: NonNegativeInt = 0
    """Images of which it said nothing."""


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

    parameters: NonNegativeInt = 0
    """Its weights, filled in when it is saved; the heads by which it learnt are no part of it."""

    teachers: tuple[TaughtBy, ...] = ()
    """Whose features it learnt; empty: it had none."""

    licences: tuple[str, ...] = ()
    """Of everything it was made from."""

    images: tuple[str, ...] = ()
    """SHA-256 of the files of the images that it was trained on, or by which its best weights were chosen; of those
    that a model drew, also of the images on which that model was fitted."""

    labelled: tuple[str, ...] = ()
    """SHA-256 of the files of images whose labels its teachers had been fitted to, or a model was told that drew images
    for it, as far as they are known; of teachers that keep no more, the beginnings."""

    labels_used: int | None = 0
    """Labelled images used anywhere, the teacher's fitting included; None: nobody stated the teacher's."""

    weights_sha256: str = ""
    """Of the file of weights beside this card."""

    provenance: dict[str, Any] = {}
    """Settings, versions, machine; JSON values."""

    notes: tuple[str, ...] = ()
    """What its user should know."""


def save_encoder(folder: Path, encoder: nn.Module, card: EncoderCard) -> EncoderCard:
    """Write an encoder's weights, a page for people and, last, its card; return the card as written.

    Each file is whole or absent, and a folder without a card is refused, so an interrupted one is never half used.

    Args:
        folder: For the files; made where it is missing. An encoder in it is replaced.
        encoder: ``encoder`` of a student of the card's architecture.
        card: Its hash and its number of weights are filled in here.

    Raises:
        EnvironmentFault: The disk is full or the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = {name: value.detach().cpu().contiguous().clone() for name, value in encoder.state_dict().items()}
    with whole_file(folder / WEIGHTS) as partial:
        partial.write_bytes(safetensors.torch.save(values))
    parameters = sum(value.numel() for value in encoder.parameters())
    card = card.model_copy(update={"weights_sha256": sha256_file(folder / WEIGHTS), "parameters": parameters})
    with whole_file(folder / PAGE) as partial:
        partial.write_text(_page(card), encoding="utf-8")
    write_json(folder / CARD, card.model_dump(mode="json"))
    return card


def is_encoder(folder: Path) -> bool:
    """Return whether a folder holds an encoder by itself."""
    return (folder / CARD).is_file()


def read_encoder(folder: Path) -> EncoderCard:
    """Return the card of a pre-trained encoder whose weights are whole.

    Raises:
        DataError: The folder holds no encoder, or one that is damaged or of another format.
    """
    for name in (CARD, WEIGHTS):
        if not (folder / name).is_file():
            raise DataError(
                f"{folder} holds no whole encoder: it has no {name}. Name a folder that `segdistill pretrain` or"
                " `segdistill agglomerate` wrote, or a file of published weights; if writing it was interrupted, run"
                " that command again."
            )
    try:
        card = EncoderCard.model_validate_json((folder / CARD).read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise DataError(f"{folder / CARD} is no card of format 1 that this version reads: {error}.") from error
    found = sha256_file(folder / WEIGHTS)
    if found != card.weights_sha256:
        raise DataError(
            f"{folder / WEIGHTS} is not what its card describes: its SHA-256 is {found[:12]}…, but the card says"
            f" {card.weights_sha256[:12]}…. Copy the folder again, or make the encoder anew."
        )
    return card


def load_encoder_folder(student: nn.Module, names: Sequence[str], folder: Path) -> None:
    """Give a student an encoder that was trained by itself.

    Args:
        student: From ``build_student``; only its encoder changes.
        names: The student's, and those of others with the same encoder.
        folder: Holds the encoder.

    Raises:
        ConfigError: It is the encoder of another student, or sees another number of channels.
        DataError: It is damaged.
    """
    card = read_encoder(folder)
    encoder, channels = getattr(student, "encoder", None), getattr(student, "channels", None)
    if card.architecture not in names or not isinstance(encoder, nn.Module):
        raise ConfigError(
            f"{folder} holds the encoder of {card.architecture}, but the student is {names[0]}. Choose that student, or"
            " another encoder."
        )
    if len(card.channels) != channels:
        raise ConfigError(
            f"The encoder in {folder} sees {len(card.channels)} channels ({', '.join(card.channels)}), but the student"
            f" sees {channels}. Choose as many, or another encoder."
        )
    weights, wanted = read_weights(folder / WEIGHTS), encoder.state_dict()
    if wrong := unfitting(weights, wanted):
        raise DataError(
            f"{folder / WEIGHTS} lacks weights of the encoder of {names[0]}, or has others: {listed(wrong)}. Make it"
            " anew with this version."
        )
    encoder.load_state_dict(weights)


def _page(card: EncoderCard) -> str:
    rows = [
        "| taught by | licence | weights of its encoder | times larger |",
        "|---|---|---|---|",
        *(_row(teacher) for teacher in card.teachers),
        "",
    ]
    lines = [
        f"# An encoder for segdistill: {card.architecture}",
        "",
        "Students begin with it: `segdistill distill --protocol.encoder-weights THIS_FOLDER ...`. By itself it segments"
        " nothing.",
        "",
        f"- {card.how}",
        f"- {card.parameters:,} weights; channels, in order: {', '.join(card.channels)}",
        *(f"- licence: {licence}" for licence in card.licences),
        *(f"- {' '.join(note.split())}" for note in card.notes),
        "",
        *(rows if card.teachers else []),
        f"The weights are in `{WEIGHTS}`; `{CARD}` says the same as this page, for programs.",
        "",
    ]
    return "\n".join(lines)


def _row(teacher: TaughtBy) -> str:
    size = "not known" if teacher.parameters is None else f"{teacher.parameters:,}"
    ratio = "not known" if teacher.times_smaller is None else f"{teacher.times_smaller:.1f}"
    return f"| {' '.join(teacher.name.split()).replace('|', '/')} | {teacher.licence} | {size} | {ratio} |"
