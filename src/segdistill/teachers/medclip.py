"""``medclip``: the image tower of MedCLIP, a Swin-T, as a teacher of features, from its authors' own file.

One file holds the whole model:

    vision_model.model.*              the Swin-T that is asked here
    vision_model.projection_head.*    text_model.*, logit_scale: what compares it with reports; left out

Source:
    Wang et al. 2022, MedCLIP, arXiv:2210.10163; modeling_medclip.py, constants.py and dataset.py of
    github.com/RyanWangZf/MedCLIP, commit 9c3396f2 (MIT). Its authors lay an image in the middle of the black
    square, here it lies in the corner, so that the grid begins where the image does.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn
from transformers import SwinConfig

from segdistill.errors import ConfigError, DataError, EnvironmentFault
from segdistill.teachers.contract import Teacher
from segdistill.teachers.hf import refuse_options, teacher_of
from segdistill.teachers.hf_folder import Processing, encoder_of_state
from segdistill.teachers.hf_kinds import KINDS
from segdistill.teachers.request import Request
from segdistill.teachers.sam_weights import read_tensors, weights_file, weights_hash
from segdistill.teachers.weight_files import FOLDER, WEIGHTS, fetch_command

KIND = replace(KINDS["swin"], black=True)
"""The architecture, and the square in which it saw its images."""

_GREY = (0.5862785803043838, 0.27950088968644304)
"""Mean and deviation of its radiographs, 0 to 1; each of the three channels is the same grey."""

_TOWER = "vision_model.model."
_BESIDE = ("vision_model.projection_head.", "text_model.", "logit_scale")
_OF_RESNET = "vision_model.model.conv1.weight"


def full_medclip_config() -> SwinConfig:
    """Return the architecture of the published tower: swin-tiny-patch4-window7-224."""
    return SwinConfig(
        image_size=224, patch_size=4, embed_dim=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24], window_size=7
    )


def build_medclip(request: Request) -> Teacher:
    """Return MedCLIP's image tower as a teacher of features.

    A file of another size of Swin is read where a config.json lies beside it.

    Raises:
        EnvironmentFault: Its weights are not here; the message says how to get them.
        DataError: They are damaged, a pickle of more than tensors, not MedCLIP's, or those of its ResNet.
        ConfigError: The channels or an option do not suit it.
    """
    refuse_options(replace(request, weights=None))
    path = find_medclip(request.weights)
    if request.channels is None:
        raise ConfigError(f"Teacher {request.name!r} looks at channels that you name: --teacher-channels luma.")
    return teacher_of(
        _tower(path),
        KIND,
        request,
        weights_sha256=weights_hash(path),
        licence=WEIGHTS["medclip"].licence,
        processing=Processing(mean=_GREY[:1] * 3, deviation=_GREY[1:] * 3, size=None),
    )


def find_medclip(weights: Path | None) -> Path:
    """Return the file of MedCLIP's weights.

    Args:
        weights: The file, or the folder that the authors' archive was unpacked into. None looks where
            ``segdistill weights fetch`` puts it.

    Raises:
        EnvironmentFault: It is not there; the message says how to get it.
    """
    place = weights or FOLDER / "medclip"
    missing = (
        f"Teacher 'medclip' needs its weights, about {WEIGHTS['medclip'].item.megabytes} MB, and {place} holds none."
        f" Run `{fetch_command('medclip')}`, or unpack {WEIGHTS['medclip'].item.address} by hand, and name the file"
        " or its folder with --teacher-weights. Nothing is downloaded without being asked for."
    )
    try:
        return weights_file(place, missing=missing)
    except EnvironmentFault:
        inner = sorted(place.glob("*/pytorch_model.bin"))
        if not inner:
            raise
        return inner[0]


def tower_of(state: Mapping[str, Tensor], *, source: str) -> dict[str, Tensor]:
    """Return the weights of the image tower, under the names that transformers knows.

    Args:
        state: All weights of the published file.
        source: Where they come from, for messages.

    Raises:
        DataError: They are not MedCLIP's, or those of the form of it whose tower is a ResNet.

    >>> import torch
    >>> list(tower_of({"vision_model.model.layernorm.bias": torch.zeros(2)}, source="file"))
    ['layernorm.bias']
    """
    if _OF_RESNET in state:
        raise DataError(
            f"{source} is MedCLIP with a ResNet-50, whose layers are other than those of the Swin-T that is read here."
            f" Take medclip-vit: {fetch_command('medclip')}."
        )
    tower = {key.removeprefix(_TOWER): value for key, value in state.items() if key.startswith(_TOWER)}
    strange = sorted(key for key in state if not key.startswith((_TOWER, *_BESIDE)))
    if strange or not tower:
        found = f"weights that MedCLIP does not have ({', '.join(strange[:3])})" if strange else f"nothing in {_TOWER}"
        raise DataError(f"{source} holds {found}. Get the file of MedCLIP: {fetch_command('medclip')}.")
    return tower


def _tower(path: Path) -> nn.Module:
    beside = path.parent / "config.json"
    try:
        config = SwinConfig.from_dict(json.loads(beside.read_text("utf-8"))) if beside.is_file() else None
    except ValueError as error:
        raise DataError(f"{beside} does not describe a Swin: {error}.") from error
    state = tower_of(read_tensors(path), source=str(path))
    return encoder_of_state(KIND, config or full_medclip_config(), state, source=str(path))
