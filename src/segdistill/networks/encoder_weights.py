"""Encoder weights to begin with: published ones, fitted to the channels at hand, or those of an earlier command."""

from collections.abc import Sequence
from pathlib import Path

import timm
import torch
from segmentation_models_pytorch.encoders import TimmUniversalEncoder
from torch import Tensor, nn

from segdistill.errors import ConfigError, DataError
from segdistill.networks.encoder_folder import load_encoder_folder
from segdistill.networks.safe_weights import listed, read_weights
from segdistill.networks.vit import VitEncoder
from segdistill.networks.vit_weights import load_vit_weights

_COLOURS = 3


def begin_encoder(student: nn.Module, names: Sequence[str], path: Path) -> None:
    """Load an encoder's weights into a student, from a file or from a folder of an earlier command.

    Args:
        student: Built by ``build_student``; only its encoder changes.
        names: The student's, and those of others with the same encoder.
        path: A file, for ``load_encoder_weights``; or a folder with an encoder and its card, for
            ``load_encoder_folder``.

    Raises:
        ConfigError: It is the encoder of another student, or the student has none.
        DataError: It is absent or damaged, or weights are missing or have other shapes.
    """
    if path.is_dir():
        load_encoder_folder(student, names, path)
    else:
        load_encoder_weights(student, path)


def load_encoder_weights(student: nn.Module, path: Path) -> None:
    """Load an encoder's published weights, made for red, green and blue, into a student.

    The first convolution is fitted to the student's channels by timm's rule: for one channel the
    three kernels are added; for c channels they are repeated in turn (red, green, blue, red, ...)
    and multiplied by 3 / c. Either way an image that shows the same in all its channels gets the
    same features as the grey picture it equals.

    Args:
        student: Built by ``build_student``; only its encoder changes.
        path: Safetensors file with timm's names for the weights; of `vit-tiny` a pickle of tensors, too. A
            classifier in it is not used.

    Raises:
        ConfigError: The student has no encoder of timm's.
        DataError: The file is absent, is not safetensors, or weights are missing or have other
            shapes; they are listed.
    """
    encoder = getattr(student, "encoder", None)
    if isinstance(encoder, VitEncoder):
        load_vit_weights(encoder, path)
        return
    if not isinstance(encoder, TimmUniversalEncoder):
        raise ConfigError(
            f"{path} was given as encoder weights, but this student has no timm encoder to load them into."
            " Choose a student such as unet-resnet18, or leave the weights out."
        )
    weights = read_weights(path)
    _refuse_misfits(encoder.name, weights, path)
    features: nn.Module = encoder.model
    with torch.random.fork_rng(devices=[]):  # the caller's generator moves by the student's own weights only
        filled = timm.create_model(
            encoder.name,
            features_only=True,
            in_chans=student.channels,
            out_indices=features.feature_info.out_indices,  # pyright: ignore[reportAttributeAccessIssue]
            pretrained=True,
            pretrained_cfg_overlay={"state_dict": weights},
        )
    features.load_state_dict(filled.state_dict())


def _refuse_misfits(encoder: str, weights: dict[str, Tensor], path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        wanted = timm.create_model(encoder, num_classes=0, in_chans=_COLOURS).state_dict()
    needed = {name for name in wanted if not name.endswith("num_batches_tracked")}
    missing = sorted(needed - weights.keys())
    if missing:
        raise DataError(
            f"{path} lacks {len(missing)} of the {len(needed)} weights of timm's {encoder}: {listed(missing)}."
            f" Give the file that timm publishes for {encoder}."
        )
    misfits = [
        f"{name} {tuple(weights[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in sorted(needed)
        if weights[name].shape != wanted[name].shape
    ]
    if misfits:
        raise DataError(
            f"{path} has weights of other shapes than timm's {encoder}: {listed(misfits)}."
            f" Give the file that timm publishes for {encoder} with {_COLOURS} input channels."
        )
