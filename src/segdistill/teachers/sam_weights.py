"""SAM weights: where they are, how they are read, and that they are all there."""

import json
import pickle
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError, RemoteEntryNotFoundError
from huggingface_hub.utils import validate_repo_id
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import SamConfig, SamModel

from segdistill.errors import DataError, EnvironmentFault
from segdistill.files import sha256_file
from segdistill.teachers.published import PUBLISHED, download_command, pinned_sha256
from segdistill.teachers.sam_layout import from_original_layout, is_original_layout, with_shared_positions
from segdistill.teachers.sam_sizes import FULL_SIZE, encoder_of, full_size_config, resize_positions, resized_config
from segdistill.teachers.weight_files import fetch_command

_FILES = ("model.safetensors", "pytorch_model.bin")


def find_weights(name: str, weights: Path | None, *, download: bool) -> Path:
    """Return the file that holds a published teacher's weights.

    Args:
        name: One of ``PUBLISHED``.
        weights: A file, a folder in the hub's layout, or where neither is there a repository of the hub as
            OWNER/NAME, looked for in its local cache. None looks there for the teacher's own repository.
        download: Whether the hub may be asked if the cache has nothing.

    Raises:
        EnvironmentFault: The weights are not here; the message says where they were looked for and how to get them.
    """
    source = PUBLISHED[name]
    if weights is None:
        return from_hub(source.hub, wanted=(source.file,), download=download, missing=_how_to_get(name, None))
    repository = hub_name(weights)
    if repository is None:
        return weights_file(weights, missing=_how_to_get(name, weights), others=(source.original,))
    return from_hub(repository, download=download, missing=_how_to_get(name, weights))


def hub_name(path: Path) -> str | None:
    """Return the repository of the Hugging Face hub that a path stands for: OWNER/NAME, where no such path exists.

    >>> hub_name(Path("facebook/sam-vit-base")), hub_name(Path("weights.pth")), hub_name(Path("../weights"))
    ('facebook/sam-vit-base', None, None)
    """
    name = path.as_posix()
    if path.exists() or not re.fullmatch(r"[^/]+/[^/]+", name):
        return None
    try:
        validate_repo_id(name)
    except HFValidationError:
        return None
    return name


def not_in_hub(repository: str) -> str:
    """Return where a repository was looked for in vain, and how to get it, to go on a sentence.

    Args:
        repository: From ``hub_name``.
    """
    return (
        f"there is no file or folder {repository}, and {_cache()} has neither {' nor '.join(_FILES)} of a repository of"
        f" that name. Correct the path; or, for the repository, run `hf download {repository} {_FILES[0]} config.json`"
        f" ({_FILES[1]} where it has no {_FILES[0]})"
    )


def _cache() -> str:
    return f"the local cache of the Hugging Face hub ({constants.HF_HUB_CACHE})"


def from_hub(repository: str, *, wanted: Sequence[str] = _FILES, download: bool, missing: str) -> Path:
    """Return a repository's file of weights in the hub's local cache.

    Args:
        repository: As OWNER/NAME.
        wanted: Names that the file may have, the first that the repository has is downloaded. At least one.
        download: Whether the hub may be asked if the cache has nothing.
        missing: What to tell the user if there is none.

    Raises:
        EnvironmentFault: There is none, or its download failed.
    """
    for file in _FILES:
        cached = try_to_load_from_cache(repository, file)
        if isinstance(cached, str):
            return Path(cached)
    if not download:
        raise EnvironmentFault(missing)
    try:
        return _downloaded(repository, wanted)
    except OSError as error:  # no network, offline mode, no such repository: all are OSErrors there
        raise EnvironmentFault(f"{missing} The download failed: {error}") from error


def _downloaded(repository: str, files: Sequence[str]) -> Path:
    """Return the first of these files that a repository has; its config.json comes to lie beside it."""
    with suppress(RemoteEntryNotFoundError):
        hf_hub_download(repository, "config.json")
    *others, last = files
    for file in others:
        with suppress(RemoteEntryNotFoundError):
            return Path(hf_hub_download(repository, file))
    return Path(hf_hub_download(repository, last))


def weights_file(path: Path, *, missing: str, others: tuple[str, ...] = ()) -> Path:
    """Return the file of weights at a path: the path itself, or what a folder in the hub's layout holds.

    Args:
        path: A file or a folder.
        missing: What to tell the user if there is none.
        others: Names that the file in a folder may have beside those of the hub.

    Raises:
        EnvironmentFault: There is no such file.
    """
    if path.is_file():
        return path
    for file in (*_FILES, *others):
        if (path / file).is_file():
            return path / file
    raise EnvironmentFault(missing)


def _how_to_get(name: str, wanted: Path | None) -> str:
    source = PUBLISHED[name]
    sha256 = f" (SHA-256 {source.original_sha256})" if source.original_sha256 else ""
    repository = None if wanted is None else hub_name(wanted)
    target = wanted if wanted is not None and repository is None else Path("weights") / name
    folder = target.parent if target.suffix else target
    if wanted is None:
        where = f"none are in {_cache()}"
    else:
        where = f"{wanted} holds none" if repository is None else not_in_hub(repository)
    return (
        f"Teacher {name!r} needs its weights, about {source.megabytes} MB, and {where}."
        f" Run `{fetch_command(name)}`; or get https://huggingface.co/{source.hub}: run"
        f" `{download_command(name, str(folder))}`, or take the authors'"
        f" {source.original}{sha256}; then name them with --teacher-weights {folder}."
        " Nothing is downloaded without being asked for."
    )


def weights_hash(path: Path) -> str:
    """Return the SHA-256 of a file of weights.

    Raises:
        DataError: The file has the name of the authors' own, but not its hash.
    """
    found, wanted = sha256_file(path), pinned_sha256(path.name)
    if wanted not in {None, found}:
        raise DataError(
            f"{path} is not the authors' file of that name: its SHA-256 is {found}, but theirs is {wanted}."
            " Download it again, or rename it if it is yours."
        )
    return found


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the weights of a SAM in a file, in transformers' layout, whichever layout the file has.

    Raises:
        DataError: See ``read_tensors``.
    """
    plain = read_tensors(path)
    return with_shared_positions(from_original_layout(plain) if is_original_layout(plain) else plain)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors in a file of weights, by name, on the CPU.

    A pickle is read with ``weights_only``: code in it is refused, not run.

    Raises:
        DataError: The file is damaged, or it is a pickle with more than tensors in it.
    """
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path} holds more than tensors, and loading it could run code: it was refused. Convert it to safetensors"
            " where you trust it (load it there, save its state_dict with safetensors.torch.save_file), or take"
            " the published safetensors file."
        ) from error
    except (SafetensorError, RuntimeError, EOFError) as error:
        raise DataError(f"{path} is not a whole file of weights: {error}. Copy or download it again.") from error
    for wrapping in ("state_dict", "model"):  # some trainers wrap it
        if isinstance(state, Mapping) and isinstance(state.get(wrapping), Mapping):
            state = state[wrapping]
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise DataError(f"{path} holds a {type(state).__name__}, not a table of tensors by name (a state_dict).")
    return {str(key): value for key, value in state.items()}


def config_beside(path: Path, state: Mapping[str, Tensor]) -> SamConfig:
    """Return the architecture of weights: from the config.json beside them, or by the encoder's width.

    Raises:
        DataError: There is no config.json, and the width is of no published SAM.
    """
    description = path.parent / "config.json"
    if description.is_file():
        try:
            return SamConfig.from_dict(json.loads(description.read_text(encoding="utf-8")))
        except ValueError as error:
            raise DataError(f"{description} does not describe a SAM: {error}.") from error
    positions = state.get("vision_encoder.pos_embed")
    for name in FULL_SIZE:
        config = full_size_config(name)
        if positions is not None and positions.shape[-1] == encoder_of(config).width:
            return config
    found = "no vision_encoder.pos_embed" if positions is None else f"an encoder {positions.shape[-1]} wide"
    raise DataError(
        f"{path} has {found}: it is none of {', '.join(FULL_SIZE)}, and no config.json lies beside it."
        " Put the hub's config.json beside it."
    )


def build_sam(config: SamConfig, state: Mapping[str, Tensor], *, size: int | None, source: str) -> SamModel:
    """Return a frozen SAM with these weights.

    Args:
        config: The architecture that the weights must fit, key by key and shape by shape.
        state: Weights in transformers' layout.
        size: Side of the square image it shall take, pixels; None keeps the config's. Another
            side interpolates the position tables.
        source: Where the weights come from, for messages.

    Raises:
        DataError: A weight is missing, unexpected or of another shape; all are named.
        ConfigError: The size is no multiple of the patch.
    """
    with torch.device("meta"):
        expected = {key: tuple(value.shape) for key, value in SamModel(config).state_dict().items()}
    check_fits(expected, state, source)
    if size is not None:
        state = resize_positions(dict(state), config, size)
        config = resized_config(config, size)
    with torch.device("meta"):
        model = SamModel(config)
    model.load_state_dict({key: value.float() for key, value in state.items()}, assign=True)
    model.tie_weights()
    return model.eval().requires_grad_(False)


def check_fits(expected: Mapping[str, tuple[int, ...]], state: Mapping[str, Tensor], source: str) -> None:
    """Refuse weights that are not exactly those that an architecture wants.

    Args:
        expected: Key to shape.
        state: The weights.
        source: Where they come from, for messages.

    Raises:
        DataError: A weight is missing, unexpected or of another shape; all are named.
    """
    missing = [f"{key} {shape}" for key, shape in expected.items() if key not in state]
    unexpected = [f"{key} {tuple(value.shape)}" for key, value in state.items() if key not in expected]
    other = [
        f"{key} is {tuple(state[key].shape)} where {shape} is wanted"
        for key, shape in expected.items()
        if key in state and tuple(state[key].shape) != shape
    ]
    problems = [
        f"{len(found)} {kind}: {'; '.join(found)}"
        for kind, found in (("missing", missing), ("unexpected", unexpected), ("of another shape", other))
        if found
    ]
    if problems:
        raise DataError(
            f"The weights in {source} do not fit the architecture. {'. '.join(problems)}."
            " Take the weights of the teacher that was named, or name the teacher of these weights."
        )
