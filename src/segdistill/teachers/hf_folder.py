"""A vision encoder's folder in the hub's layout: where it is, what it says of itself, its weights."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import snapshot_download
from safetensors import SafetensorError
from torch import Tensor, nn

from segdistill.errors import DataError, EnvironmentFault
from segdistill.files import sha256_file
from segdistill.networks.safe_weights import listed, refuse_pickle
from segdistill.teachers.hf_kinds import Kind

_WANTED = ("*.json", "*.safetensors", "README.md")
_WEIGHTS = "model*.safetensors"
_CONFIG, _PROCESSORS = "config.json", ("preprocessor_config.json", "processor_config.json")

_BESIDE = re.compile(
    r"(classifier|head|pooler|decoder|mask_|prompt_encoder|shared_image_embedding|memory_|no_memory|no_object"
    r"|object_pointer|occlusion|temporal_)"
)
"""Beginnings of the names of weights that belong to what sits on an encoder, not to it."""

_UNUSED = re.compile(r"(^|\.)mask_token$")
"""Weights that are only used where patches are hidden, which is never done here."""


@dataclass(frozen=True, kw_only=True)
class Processing:
    """How an encoder wants its pixels."""

    mean: tuple[float, ...]
    """Subtracted from 0…1, one per channel; empty: nothing is."""

    deviation: tuple[float, ...]
    """Divides it then, one per channel; empty: nothing does."""

    size: int | None
    """Side of the square that it is shown, pixels; None: its file does not say."""


def find_folder(name: str, *, download: bool) -> Path:
    """Return the folder of an encoder: a path, or what the hub's cache holds of a repository.

    Args:
        name: A folder, or the name of a repository such as ``facebook/dinov2-base``.
        download: Whether the hub may be asked if the cache has nothing. Only settings and
            safetensors files are ever taken.

    Raises:
        EnvironmentFault: It is not here; the message says how to get it.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise EnvironmentFault(f"There is no folder {name}. Name the folder of a model, or a repository as OWNER/NAME.")
    try:
        return Path(snapshot_download(name, allow_patterns=list(_WANTED), local_files_only=not download))
    except (OSError, ValueError) as error:  # not in the cache, no network, no such repository
        raise EnvironmentFault(
            f"There is no folder {name}, and the local cache of the Hugging Face hub has nothing of that name. Run"
            f" `hf download {name} --local-dir weights/{name.partition('/')[2]}` and name that folder:"
            f" hf:weights/{name.partition('/')[2]}. Nothing is downloaded without being asked for."
        ) from error


def read_config(folder: Path) -> dict[str, Any]:
    """Return what a folder's config.json says.

    Raises:
        DataError: It is absent or no JSON object.
    """
    path = folder / _CONFIG
    if not path.is_file():
        raise DataError(f"{folder} has no {_CONFIG}, so it is no model in the hub's layout. Name such a folder.")
    return _read_json(path)


def read_processing(folder: Path, *, channels: int, inside: bool) -> Processing:
    """Return how an encoder wants its pixels, as its own file says.

    Args:
        folder: The model's.
        channels: That it takes.
        inside: Whether the network itself subtracts its mean, so that the file may be absent.

    Raises:
        DataError: The file is absent, or asks for what cannot be done here.
    """
    path = next((folder / name for name in _PROCESSORS if (folder / name).is_file()), None)
    if path is None and not inside:
        raise DataError(
            f"{folder} has no {_PROCESSORS[0]}, so which mean and deviation the encoder expects is not known, and a"
            " guess would spoil its tokens. Put the file of its repository beside the weights."
        )
    said = {} if path is None else _read_json(path)
    said = said.get("image_processor", said)
    factor = said.get("rescale_factor", 1 / 255)
    if not said.get("do_rescale", True) or abs(factor * 255 - 1) > 1e-3:
        raise DataError(f"{path} asks for pixels in another range than 0…1 (rescale_factor {factor}). Choose another.")
    mean, deviation = ((), ())
    if not inside and said.get("do_normalize", True):
        mean, deviation = (tuple(map(float, said.get(name) or ())) for name in ("image_mean", "image_std"))
        if {len(mean), len(deviation)} != {channels}:
            raise DataError(
                f"{path} gives a mean of {len(mean)} and a deviation of {len(deviation)} channels, but the encoder"
                f" takes {channels}. Correct image_mean and image_std."
            )
    return Processing(mean=mean, deviation=deviation, size=_size_of(said))


def weights_identity(folder: Path) -> str:
    """Return a hash of everything in a folder that decides an encoder's tokens.

    Raises:
        DataError: The weights are a pickle, which is refused unopened.
        EnvironmentFault: There are no weights.
    """
    files = sorted(folder.glob(_WEIGHTS))
    if not files:
        for pickled in sorted(folder.glob("*.bin")):
            refuse_pickle(pickled)
        raise EnvironmentFault(f"{folder} holds no {_WEIGHTS}. Download the model's safetensors files into it.")
    files += [folder / name for name in (_CONFIG, *_PROCESSORS) if (folder / name).is_file()]
    return hashlib.sha256(" ".join(f"{path.name} {sha256_file(path)}" for path in files).encode()).hexdigest()


def licence_of(folder: Path) -> str:
    """Return the licence in the head of a folder's README.md; ``unknown`` where there is none."""
    page = folder / "README.md"
    text = page.read_text(encoding="utf-8", errors="replace") if page.is_file() else ""
    head = re.match(r"---\n(.*?)\n---", text, flags=re.DOTALL)
    found = re.search(r"^license:\s*(\S+)\s*$", head[1], flags=re.MULTILINE) if head else None
    return found[1] if found else "unknown"


def build_encoder(folder: Path, kind: Kind, description: Mapping[str, Any]) -> nn.Module:
    """Return a frozen encoder with the weights in a folder.

    Args:
        folder: In the hub's layout. Nothing is downloaded, and no code of it is run.
        kind: Its architecture.
        description: What its config.json says.

    Raises:
        DataError: The files are damaged, or the weights are not exactly those that the architecture wants.
        EnvironmentFault: This version of transformers does not know the architecture.
    """
    model = getattr(transformers, kind.model, None)
    if model is None:
        raise EnvironmentFault(
            f"{folder} holds a {kind.model}, which transformers {transformers.__version__} does not know. Install a"
            " newer one: pip install --upgrade transformers."
        )
    part = description.get(kind.part) if kind.part else None
    return _loaded(
        kind,
        lambda: model.config_class.from_dict(dict(part or description)),
        source=str(folder),
        pretrained_model_name_or_path=str(folder),
        local_files_only=True,
        use_safetensors=True,
        key_mapping=dict(kind.renamed) if part else None,
    )


def encoder_of_state(kind: Kind, config: Any, state: Mapping[str, Tensor], *, source: str) -> nn.Module:
    """Return a frozen encoder with these weights.

    Args:
        kind: Its architecture.
        config: Its configuration as transformers holds it.
        state: Weights under the names of any version of transformers.
        source: Where they come from, for messages.

    Raises:
        DataError: They are not exactly those that the architecture wants.
    """
    return _loaded(kind, lambda: config, source=source, pretrained_model_name_or_path=None, state_dict=dict(state))


def _loaded(kind: Kind, config: Callable[[], Any], *, source: str, **where: Any) -> nn.Module:
    model = getattr(transformers, kind.model)
    try:
        with _quiet():
            network, found = model.from_pretrained(
                config=config(),
                ignore_mismatched_sizes=True,  # refused below, all at once and by name
                output_loading_info=True,
                dtype=torch.float32,
                **where,
                **kind.built,
            )
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise DataError(f"The model in {source} cannot be loaded: {error}. Copy or download it again.") from error
    _check_complete(found, source)
    return network.eval().requires_grad_(False)


def _check_complete(found: Mapping[str, Any], source: str) -> None:
    """Refuse weights that are missing, which transformers draws at random, and those of blocks that are not there."""
    missing = sorted(key for key in found["missing_keys"] if not _UNUSED.search(key))
    other = sorted(str(each[0] if isinstance(each, tuple) else each) for each in found["mismatched_keys"])
    superfluous = sorted(key for key in found["unexpected_keys"] if not _BESIDE.match(key))
    problems = [
        f"{len(keys)} {what}: {listed(keys)}"
        for what, keys in (("missing", missing), ("of another shape", other), ("superfluous", superfluous))
        if keys
    ]
    if problems:
        raise DataError(
            f"The weights in {source} are not those of the encoder that is wanted: that of the {_CONFIG} beside them,"
            f" or where there is none the published one. {'. '.join(problems)}. Download them again, with the"
            f" {_CONFIG} of the same repository."
        )


def _size_of(said: Mapping[str, Any]) -> int | None:
    """Return the side that a processor brings images to: what it crops, or else what it scales to."""
    wanted = (said.get("crop_size") if said.get("do_center_crop", True) else None) or said.get("size")
    if isinstance(wanted, Mapping):
        wanted = next((wanted[key] for key in ("height", "shortest_edge", "longest_edge") if key in wanted), None)
    return wanted if isinstance(wanted, int) else None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is damaged: {error}. Download it again.") from error
    if not isinstance(value, dict):
        raise DataError(f"{path} holds a {type(value).__name__}, not an object. Download it again.")
    return value


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from printing: what it would report is checked and refused here."""
    logging = transformers.utils.logging
    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()
