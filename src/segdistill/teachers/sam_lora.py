"""Low-rank changes of a SAM's attentions: queries and values learn, keys stay as they are to the bit.

The encoder's queries, keys and values come out of one fused layer, so an adapter for plain linear
layers would change the keys too. One class serves it and the decoder's plain layers: they are the case
of one range of rows.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from transformers import SamModel
from transformers.models.sam.modeling_sam import SamAttention, SamVisionAttention

SCALING = 1.0
"""What B A is multiplied by, as in SAMed, whose layers have none: in the usual words, alpha equals the rank."""


class LowRank(nn.Module):
    """A frozen linear layer and a change of low rank of some of its outputs: W x + b, plus B A x on some rows.

    A is drawn as Kaiming's, B is zero: at first the layer is the frozen one.

    Source:
        Hu et al. 2021, arXiv:2106.09685 (low rank); Zhang, Liu 2023, arXiv:2304.13785 (SAMed: on the queries
        and values of SAM, and the scale).
    """

    def __init__(self, layer: nn.Linear, rows: Sequence[slice], *, rank: int, generator: torch.Generator) -> None:
        """Wrap a layer.

        Args:
            layer: Frozen; kept, and called as ever.
            rows: Ranges of its outputs that learn, each with matrices of its own.
            rank: Of every change, ≥ 1.
            generator: Of the first values of A.
        """
        super().__init__()
        self.layer = layer
        self.rows = tuple(rows)
        weight = layer.weight
        lengths = [len(range(*each.indices(layer.out_features))) for each in self.rows]
        self.down = nn.ParameterList([torch.empty(rank, layer.in_features) for _ in lengths])
        self.up = nn.ParameterList([torch.zeros(length, rank) for length in lengths])
        for down in self.down:
            nn.init.kaiming_uniform_(down, a=math.sqrt(5), generator=generator)
        self.to(weight.device)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch outputs"]:
        """Return the layer's outputs, changed on its rows."""
        outputs = self.layer(x)
        for rows, down, up in zip(self.rows, self.down, self.up, strict=True):
            outputs[..., rows].add_(F.linear(F.linear(x, down), up), alpha=SCALING)
        return outputs

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """Return the layer with the change added to its weights; rows that do not learn keep every bit."""
        for rows, down, up in zip(self.rows, self.down, self.up, strict=True):
            self.layer.weight[rows].add_(up @ down, alpha=SCALING)
        return self.layer


def add_low_rank(model: SamModel, rank: int, *, seed: int) -> None:
    """Let queries and values of every attention of encoder and mask decoder learn, with a rank.

    Args:
        model: Frozen; changed in place.
        rank: Of every change, ≥ 1.
        seed: Of their first values.
    """
    generator = torch.Generator().manual_seed(seed)
    for attention in _attentions(model.vision_encoder, SamVisionAttention):
        width = attention.qkv.out_features // 3
        rows = (slice(0, width), slice(2 * width, 3 * width))  # the keys lie between
        attention.qkv = LowRank(attention.qkv, rows, rank=rank, generator=generator)
    for attention in _attentions(model.mask_decoder, SamAttention):
        for name in ("q_proj", "v_proj"):
            plain = getattr(attention, name)
            setattr(attention, name, LowRank(plain, (slice(None),), rank=rank, generator=generator))


def merge_low_rank(model: SamModel) -> None:
    """Add every low-rank change to the weights of its layer: the model is a plain SAM again."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LowRank):
                setattr(parent, name, child.merged())


def _attentions(part: nn.Module, kind: type[nn.Module]) -> list[Any]:
    return [module for module in part.modules() if isinstance(module, kind)]
