"""Published weights of ViT-Tiny, of timm's names: every name and shape is compared with a list before any is used."""

import pickle
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from timm.models import adapt_input_conv
from torch import Tensor

from segdistill.errors import DataError
from segdistill.networks.safe_weights import listed, read_weights
from segdistill.networks.vit import VitEncoder

_PREFIXES = ("", "module.", "model.", "module.model.", "backbone.")
_UNUSED = ("head.", "head_drop.", "decoder", "mask_token")
"""Beginnings of names of what has been trained beside an encoder and is no part of it."""

_STEM = "patch_embed.proj.weight"


@cache
def known_shapes() -> Mapping[str, tuple[int, ...]]:
    """Return the name and shape of every weight of ViT-Tiny, for three channels and 224 pixels.

    Source:
        vit_tiny.txt: timm 1.0.31, ``vit_tiny_patch16_224`` without classifier. The encoder of MAE-Lite
        (github.com/wangsr126/MAE-Lite, mae_tiny_400e) has the same: it differs in its number of heads alone.

    >>> known_shapes()["cls_token"], len(known_shapes())
    ((1, 1, 192), 150)
    """
    text = files("segdistill.networks").joinpath("vit_tiny.txt").read_text(encoding="utf-8")
    lines = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return MappingProxyType({name: tuple(map(int, sizes.split("x"))) for name, sizes in lines})


def load_vit_weights(encoder: VitEncoder, path: Path) -> None:
    """Load ViT-Tiny weights that were made for red, green and blue into an encoder.

    The patch embedding is fitted to the encoder's channels as ``load_encoder_weights`` says. Classifiers and
    decoders in the file are not used. How many heads the weights were trained with cannot be seen from them.

    Args:
        encoder: Changed in place.
        path: Safetensors, or a pickle of tensors alone, as MAE-Lite publishes.

    Raises:
        DataError: The file is absent, damaged or holds more than tensors; or weights are missing, have other
            shapes or are not known, which are listed.
    """
    weights = _without_prefix(_read(path))
    _refuse_misfits(weights, path)
    channels = encoder.model.patch_embed.proj.in_channels
    used = {name: weights[name].float() for name in known_shapes()}
    used[_STEM] = adapt_input_conv(channels, used[_STEM])
    encoder.model.load_state_dict(used)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise DataError(f"There is no file {path}. Give timm's file for vit_tiny_patch16_224, or MAE-Lite's.")
    if path.suffix == ".safetensors":
        return read_weights(path)
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path} holds more than tensors, and loading it could run code: it was refused. Convert it to safetensors"
            " where you trust it: load it there, and save its table of tensors with safetensors.torch.save_file."
        ) from error
    except (RuntimeError, EOFError) as error:
        raise DataError(f"{path} is not a whole file of weights: {error}. Copy or download it again.") from error
    for name in ("model", "state_dict"):  # trainers wrap it
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise DataError(f"{path} holds a {type(content).__name__}, not a table of tensors by name (a state_dict).")
    return {str(name): value for name, value in content.items()}


def _without_prefix(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    prefix = next((each for each in _PREFIXES if f"{each}{_STEM}" in weights), "")
    return {name.removeprefix(prefix): value for name, value in weights.items()}


def _refuse_misfits(weights: Mapping[str, Tensor], path: Path) -> None:
    wanted = known_shapes()
    missing = sorted(wanted.keys() - weights.keys())
    strange = sorted(name for name in weights.keys() - wanted.keys() if not name.startswith(_UNUSED))
    shapes = [
        f"{name} {tuple(weights[name].shape)} instead of {shape}"
        for name, shape in wanted.items()
        if name in weights and tuple(weights[name].shape) != shape
    ]
    problems = [
        f"{what} {listed(names)}"
        for what, names in (("it lacks", missing), ("it has in another shape", shapes), ("it has, unknown,", strange))
        if names
    ]
    if problems:
        raise DataError(
            f"{path} does not hold the {len(wanted)} weights of ViT-Tiny: {'; '.join(problems)}. Give timm's file for"
            " vit_tiny_patch16_224, or MAE-Lite's mae_tiny_400e."
        )
