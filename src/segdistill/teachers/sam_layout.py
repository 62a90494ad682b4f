"""From the key layout of the original SAM checkpoints to that of transformers."""

import re
from collections.abc import Mapping

from torch import Tensor

_SHARED = "shared_image_embedding.positional_embedding"
_SHARED_AGAIN = "prompt_encoder.shared_embedding.positional_embedding"

_RENAMED: tuple[tuple[str, str], ...] = (
    (r"^image_encoder\.", "vision_encoder."),
    (r"\.blocks\.", ".layers."),
    (r"\.patch_embed\.proj\.", ".patch_embed.projection."),
    (r"\.neck\.0\.", ".neck.conv1."),
    (r"\.neck\.1\.", ".neck.layer_norm1."),
    (r"\.neck\.2\.", ".neck.conv2."),
    (r"\.neck\.3\.", ".neck.layer_norm2."),
    (r"\.norm_final_attn\.", ".layer_norm_final_attn."),
    (r"\.norm(\d)\.", r".layer_norm\1."),
    (r"\.pe_layer\.positional_encoding_gaussian_matrix$", ".shared_embedding.positional_embedding"),
    (r"\.point_embeddings\.", ".point_embed."),
    (r"\.mask_downscaling\.0\.", ".mask_embed.conv1."),
    (r"\.mask_downscaling\.1\.", ".mask_embed.layer_norm1."),
    (r"\.mask_downscaling\.3\.", ".mask_embed.conv2."),
    (r"\.mask_downscaling\.4\.", ".mask_embed.layer_norm2."),
    (r"\.mask_downscaling\.6\.", ".mask_embed.conv3."),
    (r"\.output_upscaling\.0\.", ".upscale_conv1."),
    (r"\.output_upscaling\.1\.", ".upscale_layer_norm."),
    (r"\.output_upscaling\.3\.", ".upscale_conv2."),
)
_HEAD = re.compile(r"^(.*(?:iou_prediction_head|output_hypernetworks_mlps\.\d+)\.)layers\.(\d+)\.(weight|bias)$")


def is_original_layout(keys: Mapping[str, object]) -> bool:
    """Return whether these are the keys of an original checkpoint.

    >>> is_original_layout({"image_encoder.pos_embed": 0}), is_original_layout({"vision_encoder.pos_embed": 0})
    (True, False)
    """
    return any(key.startswith("image_encoder.") for key in keys)


def from_original_layout(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the same weights under the names that transformers' ``SamModel`` uses.

    Unknown keys pass through, so that the check of the full key list names them.

    Source:
        Kirillov et al. 2023, arXiv:2304.02643; module names of the ``segment_anything`` package 1.0.
    """
    last = _last_layers(state)
    renamed = {_new_name(key, last): value for key, value in state.items()}
    if _SHARED_AGAIN in renamed:
        renamed[_SHARED] = renamed[_SHARED_AGAIN]
    return renamed


def with_shared_positions(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights with the one shared position table under both of its names.

    Files hold it once or twice, depending on the version that wrote them.
    """
    complete = dict(state)
    for key, other in ((_SHARED, _SHARED_AGAIN), (_SHARED_AGAIN, _SHARED)):
        if key not in complete and other in complete:
            complete[key] = complete[other]
    return complete


def _last_layers(state: Mapping[str, Tensor]) -> dict[str, int]:
    """Return the number of the last layer of every small head."""
    last: dict[str, int] = {}
    for key in state:
        match = _HEAD.match(key)
        if match:
            last[match[1]] = max(last.get(match[1], 0), int(match[2]))
    return last


def _new_name(key: str, last: Mapping[str, int]) -> str:
    head = _HEAD.match(key)
    if head:
        number = int(head[2])
        place = {0: "proj_in", last[head[1]]: "proj_out"}.get(number, f"layers.{number - 1}")
        return f"{head[1]}{place}.{head[3]}"
    for pattern, replacement in _RENAMED:
        key = re.sub(pattern, replacement, key)
    return key
