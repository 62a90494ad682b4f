"""A SAM with as many masks as a task has outputs: the published ones have three beside the single one."""

import copy
import re

import torch
from torch import Tensor, nn
from transformers import SamConfig, SamModel

from segdistill.teachers.sam_weights import build_sam

_HYPERNETWORK = re.compile(r"mask_decoder\.output_hypernetworks_mlps\.(\d+)\.(.+)")
_ROWS = ("mask_decoder.mask_tokens.weight", "mask_decoder.iou_prediction_head.proj_out.weight",
         "mask_decoder.iou_prediction_head.proj_out.bias")  # fmt: skip


def with_masks(model: SamModel, outputs: int) -> SamModel:
    """Return a SAM that can give so many masks without a prompt, one per output.

    Further masks begin as copies of those that there are, in turn; they are the same until they are tuned. Their
    tokens take part in the decoder's attention, so the first masks are not quite what they were.

    Args:
        model: Any. Returned as it is where it has masks enough.
        outputs: How many masks. A single one has a token of its own.
    """
    plain = copy.deepcopy(model.config.to_dict())
    decoder = plain["mask_decoder_config"]
    there = decoder["num_multimask_outputs"]
    if outputs <= max(there, 1):
        return model
    decoder["num_multimask_outputs"] = outputs
    state = _widened(model.state_dict(), there, outputs)
    wide = build_sam(SamConfig.from_dict(plain), state, size=None, source="a teacher with more masks")
    nn.Module.to(wide, model.device)
    return wide


def masks_in_use(outputs: int) -> range:
    """Return which of the decoder's mask tokens are asked for so many outputs.

    >>> list(masks_in_use(1)), list(masks_in_use(3))
    ([0], [1, 2, 3])
    """
    return range(1) if outputs == 1 else range(1, outputs + 1)


def _widened(state: dict[str, Tensor], there: int, wanted: int) -> dict[str, Tensor]:
    origin = [token if token <= there else 1 + (token - 1) % there for token in range(wanted + 1)]
    plain = {key: value.detach().cpu() for key, value in state.items()}
    wide = {key: value for key, value in plain.items() if not _HYPERNETWORK.fullmatch(key)}
    for key in _ROWS:
        wide[key] = plain[key][torch.tensor(origin)]
    for key, value in plain.items():
        match = _HYPERNETWORK.fullmatch(key)
        for token, source in enumerate(origin):
            if match and int(match[1]) == source:
                wide[f"mask_decoder.output_hypernetworks_mlps.{token}.{match[2]}"] = value.clone()
    return wide
