"""What `adapt` keeps of a SAM that it fitted to a task: only what changed, and a card that says to what."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.torch import save_file

from segdistill.engine import load_values, trained_values
from segdistill.errors import ConfigError, DataError
from segdistill.files import sha256_file, whole_file, write_json
from segdistill.networks.safe_weights import read_weights
from segdistill.teachers.contract import Contract
from segdistill.teachers.request import Request, TeacherOptions
from segdistill.teachers.sam import SamTeacher
from segdistill.teachers.sam_build import build_any_sam, load_sam, tuned_channels
from segdistill.teachers.sam_learner import SamLearner, merge, new_learner

PREFIX = "adapter:"
WEIGHTS, CARD = "adapter.safetensors", "adapter.json"
How = Literal["none", "probe", "lora", "full"]


class AdapterBase(BaseModel):
    """The SAM that an adapter belongs to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """As the user typed it."""

    weights_sha256: str
    """Of its weights; an adapter fits no other."""

    licence: str
    """Of its weights."""

    labels_seen: int | None
    """Labelled images that it had been fitted on before; None: nobody stated it."""


class AdapterCard(BaseModel):
    """What an adapter is, and what it was fitted on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    """Version of this description."""

    how: How
    """What of the SAM was fitted: nothing, a head on its frozen encoder, low-rank changes, or all of its weights."""

    base: AdapterBase
    """What was fitted."""

    rank: int | None
    """Of the low-rank changes; None where there are none."""

    scaling: float | None
    """What the low-rank changes are multiplied by; None where there are none."""

    targets: tuple[str, ...]
    """Which parts of the SAM were fitted, in words."""

    channels: tuple[str, ...]
    """What its three inputs were given, in order; ``blank`` stands for zeros."""

    outputs: tuple[str, ...]
    """What its masks mean, in order."""

    size: int
    """Side of the square that the network sees, pixels."""

    tile: int | None
    """Images with a longer side are cut into tiles of this side, pixels; None: never cut."""

    pixel_size: float | None
    """Pixel size that it was fitted at, micrometres; None: as the images came."""

    fitted_on: tuple[str, ...]
    """SHA-256 of the files of the labelled images that it was fitted on."""

    chosen_on: tuple[str, ...]
    """SHA-256 of the files of the labelled images that its best weights were chosen on."""

    validation: dict[str, float]
    """Dice on the images that it was chosen on, by structure, and their mean as "score"; empty where there are none."""

    learned: int = 0
    """How many weights were fitted."""

    best_step: int | None = None
    """Optimiser steps after which its weights were the best ones; None where nothing was fitted."""

    weights_sha256: str = ""
    """Of the file of weights beside this card."""

    provenance: dict[str, Any] = {}
    """How it was made."""

    @property
    def used(self) -> frozenset[str]:
        """SHA-256 of the files of all labelled images that it was fitted or chosen on."""
        return frozenset({*self.fitted_on, *self.chosen_on})


def save_adapter(folder: Path, learner: SamLearner | None, card: AdapterCard) -> int:
    """Write what was fitted of a SAM, then its card; return the bytes of both.

    Args:
        folder: For both files; made where it is missing.
        learner: Its values with a gradient are kept. None: nothing was fitted.
        card: Its hash of the weights is filled in here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = {} if learner is None else trained_values(learner)
    with whole_file(folder / WEIGHTS) as partial:
        save_file({name: value.detach().cpu().contiguous() for name, value in values.items()}, partial)
    card = card.model_copy(update={"weights_sha256": sha256_file(folder / WEIGHTS)})
    write_json(folder / CARD, card.model_dump(mode="json"))  # last: a folder without it is refused
    return sum((folder / name).stat().st_size for name in (WEIGHTS, CARD))


def read_adapter(folder: Path) -> AdapterCard:
    """Return the card of an adapter whose weights are whole.

    Raises:
        ConfigError: There is no such folder.
        DataError: It holds no adapter, or one that is damaged or of another format.
    """
    if not folder.is_dir():
        raise ConfigError(f"There is no folder {folder}. Name one that `segdistill adapt --out` wrote.")
    for name in (CARD, WEIGHTS):
        if not (folder / name).is_file():
            raise DataError(f"{folder} holds no whole adapter: it has no {name}. Run `segdistill adapt` to its end.")
    try:
        card = AdapterCard.model_validate_json((folder / CARD).read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise DataError(f"{folder / CARD} is no card of format 1 that this version reads: {error}.") from error
    found = sha256_file(folder / WEIGHTS)
    if found != card.weights_sha256:
        raise DataError(
            f"{folder / WEIGHTS} is not what its card describes: its SHA-256 is {found[:12]}…, but the card says"
            f" {card.weights_sha256[:12]}…. Copy the folder again, or adapt anew."
        )
    return card


def build_adapter(request: Request) -> SamTeacher:
    """Return the teacher at ``adapter:FOLDER``: the SAM that it belongs to, with the changes merged into it.

    Raises:
        ConfigError: It is not there, or a prompting, a probe or another size is asked for.
        DataError: It is damaged, or belongs to a SAM of other weights; both hashes are named.
        EnvironmentFault: The SAM's weights are not here.
    """
    card = read_adapter(request.path)
    _refuse_options(request, card)
    if card.how == "none":
        return _renamed(build_any_sam(_base_request(request, card), purpose="adapter"), request, card)
    base = load_base(request, card)
    learner = new_learner(base.model, card.how, outputs=len(card.outputs), rank=card.rank or 1, seed=0)
    load_values(learner, read_weights(request.path / WEIGHTS), source=str(request.path))
    merge(learner)
    learner.model.to(getattr(torch, request.options.precision))
    return _renamed(SamTeacher(learner.model, base.contract, learner.ask), request, card)


def load_base(request: Request, card: AdapterCard) -> SamTeacher:
    """Return the SAM that an adapter belongs to, in float32.

    Raises:
        DataError: Its weights are others than those that the adapter was fitted on; both hashes are named.
        SegdistillError: It cannot be had; see ``load_teacher``.
    """
    asked = _base_request(request, card)
    channels = asked.channels or card.channels
    base = load_sam(
        asked.name,
        channels=[f"input {place}" for place, _ in enumerate(channels)],  # its own names are not those of the adapter
        weights=asked.weights,
        device=request.device,
        options=TeacherOptions(size=card.size, download=request.options.download),
        purpose="adapter",
    )
    _check_base(base.contract, request, card)
    return replace(base, contract=replace(base.contract, channels=channels))


def adapted_contract(base: Contract, card: AdapterCard) -> Contract:
    """Return what a SAM promises once it was fitted."""
    seen = None if card.base.labels_seen is None else card.base.labels_seen + len(card.used)
    return replace(
        base,
        outputs=card.outputs,
        prompting="probe" if card.how == "probe" else "tuned",
        needs=(),
        labels_seen=seen,
        pixel_size=card.pixel_size,
        tile=card.tile,
        weights_sha256=f"{card.base.weights_sha256}+{card.weights_sha256}",
        note=f"It is {card.base.name}, adapted ({card.how}) on {len(card.fitted_on)} labelled images and chosen on"
        f" {len(card.chosen_on)}.",
    )


def _renamed(teacher: SamTeacher, request: Request, card: AdapterCard) -> SamTeacher:
    contract = teacher.contract
    if card.how == "none":
        _check_base(contract, request, card)
    else:
        contract = replace(adapted_contract(contract, card), precision=request.options.precision)
    return replace(teacher, contract=replace(contract, name=request.name))


def _base_request(request: Request, card: AdapterCard) -> Request:
    """Return the SAM as its adapter asks for it; another place of the same weights may be named."""
    name, weights = card.base.name, request.weights
    if name.startswith("sam:") and weights is not None:
        name, weights = f"sam:{weights}", None
    return replace(
        request,
        name=name,
        channels=tuned_channels(request, card.channels),
        weights=weights,
        options=replace(request.options, size=card.size),
    )


def _check_base(base: Contract, request: Request, card: AdapterCard) -> None:
    if base.weights_sha256 != card.base.weights_sha256:
        raise DataError(
            f"The adapter {request.path} was fitted on {card.base.name} with SHA-256 {card.base.weights_sha256[:12]}…,"
            f" but the weights of {base.name} here have {base.weights_sha256[:12]}…. Name the weights that it was"
            " fitted on with --teacher-weights, or adapt anew."
        )


def _refuse_options(request: Request, card: AdapterCard) -> None:
    size = request.options.size
    given = {
        f"prompting {request.prompting}": request.prompting is not None,
        f"probe {request.options.probe}": request.options.probe is not None,
        f"size {size}": size not in {None, card.size},
    }
    wrong = [words for words, there in given.items() if there]
    if wrong:
        raise ConfigError(
            f"Teacher {request.name!r} takes no {', '.join(wrong)}: it answers as it was fitted, without a prompt, at"
            f" {card.size} px. Leave that out."
        )
