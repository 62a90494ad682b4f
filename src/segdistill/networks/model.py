"""A model on disk: weights as safetensors, a card as JSON, a page for people."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from segdistill.errors import DataError
from segdistill.files import sha256_file, whole_file, write_json
from segdistill.networks.build import build_student
from segdistill.networks.card import CARD_FILE, WEIGHTS_FILE, ModelCard, read_card
from segdistill.networks.local_pooling import pool_locally
from segdistill.networks.page import PAGE_FILE, page
from segdistill.networks.safe_weights import listed, read_weights, refuse_pickle


@dataclass(frozen=True, eq=False)
class Model:
    """A student and its card."""

    module: nn.Module
    """Built by ``build_student`` for the card's channels and outputs; it pools as the card says."""

    card: ModelCard
    """What using it needs."""


def save_model(folder: Path, model: Model) -> None:
    """Write a model: model.safetensors, README.md and, last, model.json.

    Each file is whole or absent. The card names the hash of the weights, so a folder whose writing
    was interrupted between the two is refused by ``load_model`` and never half used.

    Args:
        folder: Made if it is not there. A model in it is replaced.
        model: The module's weights are written as they are, from whatever device.

    Raises:
        DataError: The weights are not those of the card's architecture, channels and structures.
        EnvironmentFault: The disk is full or the folder cannot be written.
    """
    state = {name: value.detach().cpu().contiguous().clone() for name, value in model.module.state_dict().items()}
    _refuse_misfits(_empty_student(model.card).state_dict(), state, source="The module")
    with whole_file(folder / WEIGHTS_FILE) as partial:
        partial.write_bytes(safetensors.torch.save(state))
    card = model.card.model_copy(update={"weights_sha256": sha256_file(folder / WEIGHTS_FILE)})
    with whole_file(folder / PAGE_FILE) as partial:
        partial.write_text(page(card, parameters=_parameters(model.module)), encoding="utf-8")
    write_json(folder / CARD_FILE, card.model_dump(mode="json"))


def load_model(folder: Path) -> Model:
    """Return a saved model, on the CPU, ready for use (``eval``).

    Raises:
        DataError: The folder is no model, its format is not known, its weights are not those of
            its card (missing and superfluous ones are listed), or a pickle was given.
        UnknownName: No student has the card's architecture; the package that provides it may not
            be installed.
    """
    refuse_pickle(folder)
    if folder.is_file():
        raise DataError(f"{folder} is a file. Give the folder of a model, which holds {CARD_FILE} and {WEIGHTS_FILE}.")
    card = read_card(folder)
    path = folder / WEIGHTS_FILE
    state = read_weights(path)
    found = sha256_file(path)
    if found != card.weights_sha256:
        raise DataError(
            f"{path} has SHA-256 {found}, but its card names {card.weights_sha256}: the two do not belong together."
            " Perhaps writing was interrupted, or one file was replaced. Copy or make the model again."
        )
    module = _empty_student(card)
    _refuse_misfits(module.state_dict(), state, source=str(path))
    module.load_state_dict(state)
    if card.pooling is not None and card.pooling["window"] is not None:
        pool_locally(module, crop=card.pooling["window"], channels=len(card.channels))
    return Model(module.eval(), card)


def _empty_student(card: ModelCard) -> nn.Module:
    with torch.random.fork_rng(devices=[]):  # its random weights are not used: leave the caller's generator alone
        return build_student(card.architecture, channels=len(card.channels), outputs=len(card.outputs))


def _refuse_misfits(wanted: dict[str, Tensor], found: dict[str, Tensor], *, source: str) -> None:
    shapes = [
        f"{name} {tuple(found[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in sorted(wanted.keys() & found.keys())
        if found[name].shape != wanted[name].shape
    ]
    problems = [
        *_problem("it lacks", wanted.keys() - found.keys()),
        *_problem("it has, superfluous,", found.keys() - wanted.keys()),
        *_problem("it has in another shape", shapes),
    ]
    if problems:
        raise DataError(
            f"{source} does not have the weights of the architecture that its card names:"
            f" {'; '.join(problems)}. Correct the card, or make the model again."
        )


def _problem(what: str, names: Iterable[str]) -> list[str]:
    names = sorted(names)
    return [f"{what} {listed(names)}"] if names else []


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
