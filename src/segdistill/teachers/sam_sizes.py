"""The architectures of SAM, and SAM for other image sizes than the one it was made for."""

import re
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import SamConfig

from segdistill.errors import ConfigError

_ENCODERS: dict[str, dict[str, Any]] = {
    "sam-vit-b": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
    "sam-vit-l": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16},
    "sam-vit-h": {"hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 16},
}

FULL_SIZE = tuple(_ENCODERS)
"""Names of the published sizes."""


@dataclass(frozen=True)
class Encoder:
    """The numbers of an image encoder; transformers types them more loosely than they are."""

    side: int
    """Side of the square that it sees, pixels."""

    patch: int
    """Side of a patch, pixels."""

    width: int
    """Length of a token in the blocks."""

    neck: int
    """Length of a token of the embedding."""

    blocks: int
    """Number of blocks."""

    global_blocks: tuple[int, ...]
    """Blocks that see the whole square at once, counted from 0."""


def encoder_of(config: SamConfig) -> Encoder:
    """Return the numbers of a configuration's image encoder."""
    vision = cast("Any", config.vision_config)
    return Encoder(
        side=vision.image_size,
        patch=vision.patch_size,
        width=vision.hidden_size,
        neck=vision.output_channels,
        blocks=vision.num_hidden_layers,
        global_blocks=tuple(vision.global_attn_indexes),
    )


def full_size_config(name: str) -> SamConfig:
    """Return the configuration of a published SAM: 1024 pixels, patches of 16.

    Args:
        name: One of ``FULL_SIZE``.

    Source:
        Kirillov et al. 2023, arXiv:2304.02643, appendix A; every fourth part of the encoder ends in
        a block with global attention.

    >>> full_size_config("sam-vit-h").vision_config.global_attn_indexes
    [7, 15, 23, 31]
    """
    encoder = _ENCODERS[name]
    quarter = encoder["num_hidden_layers"] // 4
    ends = [quarter * part - 1 for part in (1, 2, 3, 4)]
    # The authors' decoder blocks have torch's default of 1e-5; transformers' 1e-6 moves masks by up to 1e-4.
    return SamConfig(
        vision_config={**encoder, "global_attn_indexes": ends}, mask_decoder_config={"layer_norm_eps": 1e-5}
    )


def tiny_config() -> SamConfig:
    """Return the configuration of the embedded teachers: SAM with 0.7 million parameters.

    160 pixels in patches of 8, four blocks of width 96, all with global attention; the prompt-free
    decoder gives two masks, foreground and boundary.
    """
    size = {"image_size": 160, "patch_size": 8}
    vision = {
        "hidden_size": 96,
        "output_channels": 64,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "global_attn_indexes": [0, 1, 2, 3],
        "num_pos_feats": 32,  # half the decoder's width, or shapes clash
        "initializer_range": 0.02,  # transformers' default of 1e-10 is meant for weights that are loaded
    }
    decoder = {
        "hidden_size": 64,
        "num_attention_heads": 4,
        "mlp_dim": 256,
        "iou_head_hidden_dim": 64,
        "num_multimask_outputs": 2,
    }
    return SamConfig(
        vision_config=size | vision,
        prompt_encoder_config=size | {"hidden_size": 64},
        mask_decoder_config=decoder,
    )


def resized_config(config: SamConfig, size: int) -> SamConfig:
    """Return the configuration for square images of another side.

    Args:
        config: The one that the weights were made for.
        size: New side, pixels, a multiple of the patch.

    Raises:
        ConfigError: The side is not a positive multiple of the patch.
    """
    patch = encoder_of(config).patch
    if size < patch or size % patch:
        raise ConfigError(
            f"The teacher's image size is {size} px, but its patches are {patch} px wide. Choose a multiple of {patch}."
        )
    plain = config.to_dict()
    plain["vision_config"]["image_size"] = size
    plain["prompt_encoder_config"]["image_size"] = size
    plain["prompt_encoder_config"].pop("image_embedding_size", None)
    return SamConfig(
        vision_config=plain["vision_config"],
        prompt_encoder_config=plain["prompt_encoder_config"],
        mask_decoder_config=plain["mask_decoder_config"],
    )


def resize_positions(state: dict[str, Tensor], config: SamConfig, size: int) -> dict[str, Tensor]:
    """Return weights for square images of another side, position tables interpolated.

    The table of absolute positions is resampled bicubically; the tables of relative positions of
    blocks with global attention linearly. Windows keep their size, so their tables stay.

    Args:
        state: Weights in transformers' layout.
        config: The configuration they were made for.
        size: New side, pixels, a multiple of the patch.

    Source:
        Dosovitskiy et al. 2021, arXiv:2010.11929, section 3.2 (absolute positions).
    """
    encoder = encoder_of(config)
    cells = size // encoder.patch
    if size == encoder.side:
        return dict(state)
    resized = dict(state)
    absolute = state["vision_encoder.pos_embed"]
    resized["vision_encoder.pos_embed"] = (
        F.interpolate(absolute.float().permute(0, 3, 1, 2), (cells, cells), mode="bicubic", align_corners=False)
        .permute(0, 2, 3, 1)
        .to(absolute.dtype)
    )
    tables = re.compile(r"vision_encoder\.layers\.(\d+)\.attn\.rel_pos_[hw]")
    for key, table in state.items():
        match = tables.fullmatch(key)
        if match and int(match[1]) in encoder.global_blocks:
            resized[key] = _resize_table(table, 2 * cells - 1)
    return resized


def _resize_table(table: Tensor, length: int) -> Tensor:
    longer = F.interpolate(table.float().T[None], length, mode="linear", align_corners=False)
    return torch.as_tensor(longer[0].T.to(table.dtype)).contiguous()
