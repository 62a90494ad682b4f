"""SAM teachers from their names: the published sizes, the embedded ones, and any on disk."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from transformers import SamConfig, SamModel

from segdistill.data.channels import BLANK
from segdistill.data.normalisation import PercentileRule
from segdistill.errors import ConfigError, DataError
from segdistill.files import sha256_file
from segdistill.teachers.contract import Contract, Prompting, Teacher
from segdistill.teachers.published import PUBLISHED
from segdistill.teachers.request import DEFAULTS, Request, TeacherOptions, refuse_misplaced
from segdistill.teachers.sam import (
    SamTeacher,
    ask_boxes,
    ask_grid,
    ask_tuned,
    boxes_outputs,
    grid_outputs,
    rgb_channels,
    token_shapes,
)
from segdistill.teachers.sam_card import SamCard, card_config, read_card
from segdistill.teachers.sam_probe import load_probe
from segdistill.teachers.sam_prompts import Grid
from segdistill.teachers.sam_sizes import encoder_of, full_size_config
from segdistill.teachers.sam_weights import (
    build_sam,
    config_beside,
    find_weights,
    from_hub,
    hub_name,
    not_in_hub,
    read_state,
    weights_file,
    weights_hash,
)

FITTED_ON_LABELS = frozenset({"medsam"})
"""Published teachers that people's labels were used for, of images that nobody can count against a user's own:
their number is unknown to the account. SAM's own masks were made by SAM itself."""

EMBEDDED = ("sam-tiny-tissue", "sam-tiny-tissue-control")
"""Names of the teachers whose weights are in this package; the second is the control of the first."""

DEFAULT_PROMPTING: Prompting = "grid"
"""How SAM is asked unless it was tuned or the user says otherwise: no label is read."""

_EMBEDDED_FOLDER = resources.files("segdistill.teachers") / "embedded"


def build_published(request: Request) -> Teacher:
    """Return one of the published SAMs, its weights from disk or, where allowed, from the hub."""
    path = find_weights(request.name, request.weights, download=request.options.download)
    card = _card(path)
    if card is not None:  # somebody tuned it, and the card says for what
        return _from_card(request, path, card)
    config = full_size_config(PUBLISHED[request.name].architecture)
    return _from_weights(request, path, config, read_state(path), licence="Apache-2.0")


def build_local(request: Request) -> Teacher:
    """Return the SAM at ``sam:PATH``: a file, a folder in the hub's layout, or what the hub's cache has of OWNER/NAME.

    A file that carries a card is a tuned SAM and is asked without prompts.
    """
    if request.weights is not None:
        raise ConfigError(f"Teacher {request.name!r} names its weights itself. Leave out --teacher-weights.")
    path = _local_file(request)
    card = _card(path)
    if card is not None:
        return _from_card(request, path, card)
    state = read_state(path)
    return _from_weights(request, path, config_beside(path, state), state, licence="unknown")


def _local_file(request: Request) -> Path:
    repository = hub_name(request.path)
    if repository is not None:
        missing = f"Teacher {request.name!r}: {not_in_hub(repository)}. Nothing is downloaded without being asked for."
        return from_hub(repository, download=request.options.download, missing=missing)
    missing = (
        f"Teacher {request.name!r}: there is no file of SAM weights at {request.path}, nor a folder with"
        " model.safetensors. Name a safetensors file, an original .pth, or a folder in the hub's layout."
    )
    return weights_file(request.path, missing=missing)


def build_embedded(request: Request) -> Teacher:
    """Return one of the teachers in this package, made from simulated tissue."""
    if request.weights is not None:
        raise ConfigError(f"Teacher {request.name!r} carries its own weights. Leave out --teacher-weights.")
    with resources.as_file(_EMBEDDED_FOLDER / f"{request.name}.safetensors") as path:
        card = read_card(path)
        if card is None:
            raise DataError(f"{path} has no description. Install segdistill again.")
        return _from_card(request, path, card)


def load_sam(
    name: str,
    *,
    channels: Sequence[str],
    weights: Path | None,
    device: str,
    options: TeacherOptions = DEFAULTS,
    purpose: str = "prompting probe",
) -> SamTeacher:
    """Return a SAM by its name, to fit something on its features or to fit it itself.

    Args:
        name: As ``load_teacher`` takes it.
        channels: As for ``load_teacher``.
        weights: As for ``load_teacher``.
        device: Where it runs.
        options: As for ``load_teacher``.
        purpose: What is wanted of it, for the message.

    Raises:
        ConfigError: The teacher is no SAM.
        SegdistillError: It cannot be had; see ``load_teacher``.
    """
    request = Request(
        name=name, channels=tuple(channels), prompting="grid", weights=weights, device=device, options=options
    )
    return build_any_sam(request, purpose=purpose)


def build_any_sam(request: Request, *, purpose: str) -> SamTeacher:
    """Return a SAM as it was asked for; refuse other teachers.

    Args:
        request: Names a SAM.
        purpose: What is wanted of it, for the message.

    Raises:
        ConfigError: The teacher is no SAM.
        SegdistillError: It cannot be had; see ``load_teacher``.
    """
    builders = {**dict.fromkeys(PUBLISHED, build_published), **dict.fromkeys(EMBEDDED, build_embedded)}
    build = build_local if request.name.startswith("sam:") else builders.get(request.name)
    if build is None:
        raise ConfigError(
            f"Teacher {request.name!r} takes no {purpose}: it is no SAM, as {', '.join(builders)} or sam:PATH are."
            " Name one of these."
        )
    return cast("SamTeacher", build(request))  # whatever these build is one


def _card(path: Path) -> SamCard | None:
    return read_card(path) if path.suffix == ".safetensors" else None


def _from_card(request: Request, path: Path, card: SamCard) -> Teacher:
    channels = tuned_channels(request, card.channels)
    model = _model(request, path, card_config(card), read_state(path))
    contract = _contract(model, request, channels, path=path, licence=card.licence)
    contract = replace(contract, tile=card.tile, pixel_size=card.pixel_size, labels_seen=card.labels_seen)
    if request.prompting not in {None, "tuned"}:
        return _prompted(model, request, contract)
    contract = replace(contract, outputs=card.outputs, prompting="tuned", note=card.note)
    return SamTeacher(model, contract, ask_tuned(len(card.outputs)))


def _from_weights(
    request: Request, path: Path, config: SamConfig, state: Mapping[str, Tensor], *, licence: str
) -> Teacher:
    if request.channels is None:
        raise ConfigError(
            f"Teacher {request.name!r} does not say which channels it wants."
            " Name one, two (nucleus, membrane) or three, for example --teacher-channels nucleus membrane."
        )
    channels = rgb_channels(request.channels, teacher=request.name)
    model = _model(request, path, config, state)
    return _prompted(model, request, _contract(model, request, channels, path=path, licence=licence))


def _model(request: Request, path: Path, config: SamConfig, state: Mapping[str, Tensor]) -> SamModel:
    model = build_sam(config, state, size=request.options.size, source=str(path))
    nn.Module.to(model, torch.device(request.device), getattr(torch, request.options.precision))
    return model


def _contract(model: SamModel, request: Request, channels: tuple[str, ...], *, path: Path, licence: str) -> Contract:
    """Return what is true of a SAM however it is asked."""
    encoder = encoder_of(model.config)
    return Contract(
        name=request.name,
        channels=channels,
        rule=PercentileRule(),
        outputs=(),
        weights_sha256=weights_hash(path),
        licence=licence,
        size=encoder.side,
        stride=encoder.patch,
        tile=2 * encoder.side,
        tokens=token_shapes(model),
        labels_seen=None if request.name in FITTED_ON_LABELS else 0,
        precision=request.options.precision,
    )


def tuned_channels(request: Request, own: tuple[str, ...]) -> tuple[str, ...]:
    """Return the channels that a SAM was tuned on, under the names that the user's images have.

    Args:
        request: Its channels replace them: all, or those that are not ``blank``. None keeps them.
        own: Channels that it was tuned on.

    Raises:
        ConfigError: The numbers differ, or one of these channels stands at another's place.
    """
    wanted = request.channels
    if wanted is None or len(wanted) == len(own):
        refuse_misplaced(wanted or own, own, teacher=request.name)
        return wanted or own
    seen = tuple(dict.fromkeys(name for name in own if name != BLANK))
    if len(wanted) == len(seen):
        refuse_misplaced(wanted, seen, teacher=request.name)
        names = dict(zip(seen, wanted, strict=True))
        return tuple(names.get(name, BLANK) for name in own)
    other = f" {EMBEDDED[1]} takes the nucleus alone." if request.name == EMBEDDED[0] else ""
    raise ConfigError(
        f"Teacher {request.name!r} was tuned on {len(seen)} channels ({', '.join(seen)}), but was given"
        f" {len(wanted)} ({', '.join(wanted) or 'none'}). Name one for each, in that order.{other}"
    )


def _prompted(model: SamModel, request: Request, contract: Contract) -> Teacher:
    prompting = request.prompting or DEFAULT_PROMPTING
    return _PROMPTED[prompting](model, request, replace(contract, prompting=prompting))


def _with_boxes(model: SamModel, request: Request, contract: Contract) -> Teacher:
    outputs = boxes_outputs(request.structures)
    note = "Oracle: the boxes of the image's own labels are its prompts, so its maps leak those labels."
    return SamTeacher(
        model, replace(contract, outputs=outputs, needs=("labels",), note=note), ask_boxes(request.structures)
    )


def _with_grid(model: SamModel, request: Request, contract: Contract) -> Teacher:
    outputs = grid_outputs(request.structures)
    note = "Automatic: whatever SAM takes for an object counts, wanted or not."
    return SamTeacher(model, replace(contract, outputs=outputs, note=note), ask_grid(Grid(), len(outputs)))


def _with_probe(model: SamModel, request: Request, contract: Contract) -> Teacher:
    path = request.options.probe
    if path is None:
        raise ConfigError(
            f"Teacher {request.name!r} with prompting 'probe' needs the file of a fitted probe. `distill` and `study`"
            " fit probes themselves, out of fold; elsewhere name the file of one, or use grid."
        )
    return with_probe(SamTeacher(model, contract, ask_grid(Grid(), 1)), path)


def with_probe(base: SamTeacher, path: Path) -> SamTeacher:
    """Return a SAM that is asked through a fitted probe; it shares the encoder.

    Args:
        base: The SAM, however it is asked.
        path: The probe's file.

    Raises:
        DataError: The file is no probe, or belongs to another encoder.
    """
    contract = base.contract
    probe = load_probe(path, base.model, base_sha256=contract.weights_sha256)
    return SamTeacher(
        base.model,
        replace(
            contract,
            outputs=probe.outputs,
            prompting="probe",
            needs=(),
            labels_seen=None if contract.labels_seen is None else contract.labels_seen + probe.labels_seen,
            weights_sha256=f"{contract.weights_sha256}+{sha256_file(path)}",
            note="Probe: a small head was fitted on labels; the encoder was not.",
        ),
        probe.ask,
    )


def _not_tuned(model: SamModel, request: Request, contract: Contract) -> Teacher:  # noqa: ARG001  (one of four)
    raise ConfigError(
        f"Teacher {request.name!r} was not tuned to answer without a prompt, so 'tuned' would give noise. Use"
        " grid (no labels), probe (a head fitted on labels) or boxes (an oracle), or name a tuned file with sam:PATH."
    )


_PROMPTED: Mapping[Prompting, Callable[[SamModel, Request, Contract], Teacher]] = {
    "boxes": _with_boxes,
    "grid": _with_grid,
    "probe": _with_probe,
    "tuned": _not_tuned,
}
