"""The box finder of CellSAM: anchor points look at a picture's tokens, and each says what box lies there.

A transformer of the Anchor DETR type. An encoder lets every token see its row and its column; a
decoder lets every anchor see the other anchors, then the tokens. Attention over the tokens is
decoupled into an attention over x and one over y, so that its cost grows with the sides of the
picture and not with its area.

Attributes are called as the keys of the published weights, so that those load as they are.

Source:
    Wang, Zhang, Yang, Sun 2021, Anchor DETR, arXiv:2109.07107, sections 3.2 to 3.4; Carion et al.
    2020, DETR, arXiv:2005.12872, appendix A.4 (layers, boxes); Israel et al. 2023, CellSAM,
    bioRxiv 2023.11.17.567630. Numbers and names: ``cellSAM/modelconfig.yaml`` and the module
    definitions of github.com/vanvalenlab/cellSAM. The code is this package's own.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

_GROUPS = 32
"""Groups of the normalisation that follows the projection of the tokens."""

_BASE = 10_000.0
"""Longest wave of a position's encoding is this many times the shortest."""

_EDGE = 1e-5
"""Anchors are kept this far from 0 and 1 before their logit is taken."""


@dataclass(frozen=True, kw_only=True)
class FinderSize:
    """The numbers of a box finder. What is preset is CellSAM's."""

    features: int = 768
    """Length of the tokens that it is given."""

    width: int = 256
    """Length of its own tokens."""

    heads: int = 8
    """Heads of every attention."""

    inner: int = 1024
    """Width of the hidden layer between attentions."""

    encoder_layers: int = 6
    """Layers that look at the tokens alone."""

    decoder_layers: int = 6
    """Layers that look from the anchors."""

    anchors: int = 3500
    """Points that look for a box, so the most boxes that can be found."""

    classes: int = 2
    """Scores per anchor."""


class Boxes(nn.Module):
    """From a grid of tokens to one box and its scores per anchor.

    Args:
        size: Its numbers.
    """

    def __init__(self, size: FinderSize) -> None:
        super().__init__()
        project = nn.Sequential(nn.Conv2d(size.features, size.width, 1), nn.GroupNorm(_GROUPS, size.width))
        self.input_proj = nn.ModuleList([project])
        self.transformer = _Transformer(size)

    def forward(self, tokens: Float[Tensor, "b f y x"]) -> tuple[Float[Tensor, "b n 4"], Float[Tensor, "b n k"]]:
        """Return boxes as (x, y, width, height) of centre and size, 0…1 of the picture, and their scores, logits."""
        return self.transformer(self.input_proj[0](tokens).permute(0, 2, 3, 1))


class _Transformer(nn.Module):
    def __init__(self, size: FinderSize) -> None:
        super().__init__()
        self.pattern = nn.Embedding(1, size.width)
        self.position = nn.Embedding(size.anchors, 2)
        self.adapt_pos2d = _adapter(size.width)
        self.adapt_pos1d = _adapter(size.width)
        self.encoder_layers = nn.ModuleList(_EncoderLayer(size) for _ in range(size.encoder_layers))
        self.decoder_layers = nn.ModuleList(_DecoderLayer(size) for _ in range(size.decoder_layers))
        # The weights hold one pair of heads per decoder layer, for training; all are the same pair.
        scores, corners = nn.Linear(size.width, size.classes), _Corners(size.width)
        self.class_embed = nn.ModuleList([scores] * size.decoder_layers)
        self.bbox_embed = nn.ModuleList([corners] * size.decoder_layers)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        count, height, width, length = tokens.shape
        along_x = self.adapt_pos1d(waves(_middles(width, tokens), length))[:, None]
        along_y = self.adapt_pos1d(waves(_middles(height, tokens), length))[:, :, None]
        for layer in self.encoder_layers:
            tokens = layer(tokens, along_x, along_y)
        anchors = self.position.weight[None].to(tokens.dtype)
        x, y = anchors.unbind(-1)
        places = _Places(
            both=self.adapt_pos2d(torch.cat([waves(y, length // 2), waves(x, length // 2)], dim=-1)),
            x=self.adapt_pos1d(waves(x, length)),
            y=self.adapt_pos1d(waves(y, length)),
        )
        found = self.pattern.weight.expand(count, len(self.position.weight), length)
        for layer in self.decoder_layers:
            found = layer(found, places, tokens, along_x, along_y)
        boxes = self.bbox_embed[-1](found)
        inside = anchors.clamp(0, 1)
        start = torch.log(inside.clamp_min(_EDGE) / (1 - inside).clamp_min(_EDGE))
        return torch.sigmoid(boxes + F.pad(start, (0, 2))), self.class_embed[-1](found)


@dataclass(frozen=True, eq=False)
class _Places:
    """Where the anchors are, as vectors: in the plane, and along each side."""

    both: Tensor
    x: Tensor
    y: Tensor


class _EncoderLayer(nn.Module):
    def __init__(self, size: FinderSize) -> None:
        super().__init__()
        self.self_attn = DecoupledAttention(size.width, size.heads)
        self.norm1 = nn.LayerNorm(size.width)
        self.ffn = _FeedForward(size)

    def forward(self, tokens: Tensor, along_x: Tensor, along_y: Tensor) -> Tensor:
        by_x, by_y = tokens + along_x, tokens + along_y
        seen = self.self_attn(by_x.flatten(1, 2), by_y.flatten(1, 2), by_x, by_y, tokens)
        return self.ffn(self.norm1(tokens + seen.reshape(tokens.shape)))


class _DecoderLayer(nn.Module):
    def __init__(self, size: FinderSize) -> None:
        super().__init__()
        self.cross_attn = DecoupledAttention(size.width, size.heads)
        self.norm1 = nn.LayerNorm(size.width)
        self.self_attn = nn.MultiheadAttention(size.width, size.heads, batch_first=True)
        self.norm2 = nn.LayerNorm(size.width)
        self.ffn = _FeedForward(size)

    def forward(self, found: Tensor, places: _Places, tokens: Tensor, along_x: Tensor, along_y: Tensor) -> Tensor:
        placed = found + places.both
        found = self.norm2(found + self.self_attn(placed, placed, found, need_weights=False)[0])
        seen = self.cross_attn(found + places.x, found + places.y, tokens + along_x, tokens + along_y, tokens)
        return self.ffn(self.norm1(found + seen))


class DecoupledAttention(nn.Module):
    """Attention over a grid of tokens, first along x, then along y.

    Per head a query has a weight for every column and, from a second query, one for every row; what
    it sees is the sum of the grid's values weighed by the product of both. A column's key is the
    mean of its tokens' keys, and so is a row's.

    Args:
        width: Length of a token.
        heads: Number of heads; divides the width.

    Source:
        Wang et al. 2021, arXiv:2109.07107, section 3.4, equations 6 and 7.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(5 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(5 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(
        self,
        query_x: Float[Tensor, "b q c"],
        query_y: Float[Tensor, "b q c"],
        key_x: Float[Tensor, "b y x c"],
        key_y: Float[Tensor, "b y x c"],
        value: Float[Tensor, "b y x c"],
    ) -> Float[Tensor, "b q c"]:
        """Return what each query sees."""
        asked = (query_x, query_y, key_x.mean(1), key_y.mean(2), value)
        weights, biases = self.in_proj_weight.chunk(5), self.in_proj_bias.chunk(5)
        query_x, query_y, key_x, key_y, value = (
            F.linear(part, weight, bias) for part, weight, bias in zip(asked, weights, biases, strict=True)
        )
        weight_x, weight_y = self._weights(query_x, key_x), self._weights(query_y, key_y)
        values = value.chunk(self.heads, dim=-1)
        # Head by head: all at once would hold queries × rows × width numbers, a gigabyte at full size.
        seen = [self._seen(weight_x[:, head], weight_y[:, head], part) for head, part in enumerate(values)]
        return self.out_proj(torch.cat(seen, dim=-1))

    def _weights(self, query: Tensor, key: Tensor) -> Float[Tensor, "b h q k"]:
        query, key = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key))
        return torch.softmax(query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]), dim=-1)

    @staticmethod
    def _seen(weight_x: Tensor, weight_y: Tensor, value: Tensor) -> Float[Tensor, "b q d"]:
        by_column = torch.einsum("bqx,byxd->bqyd", weight_x, value)
        return torch.einsum("bqy,bqyd->bqd", weight_y, by_column)


class _FeedForward(nn.Module):
    def __init__(self, size: FinderSize) -> None:
        super().__init__()
        self.linear1 = nn.Linear(size.width, size.inner)
        self.linear2 = nn.Linear(size.inner, size.width)
        self.norm2 = nn.LayerNorm(size.width)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.norm2(tokens + self.linear2(F.relu(self.linear1(tokens))))


class _Corners(nn.Module):
    """From what an anchor found to its box, before the sigmoid and relative to the anchor."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, 4)])

    def forward(self, found: Tensor) -> Tensor:
        first, second, last = self.layers
        return last(F.relu(second(F.relu(first(found)))))


def waves(position: Float[Tensor, "*n"], length: int) -> Float[Tensor, "*n {length}"]:
    """Return positions as sines and cosines of waves of many lengths, sine and cosine side by side.

    Args:
        position: 0…1 along a side.
        length: How many numbers describe one position; even.

    Source:
        Vaswani et al. 2017, arXiv:1706.03762, section 3.5, with one wave per side of the picture.

    >>> [round(value, 6) for value in waves(torch.tensor([0.25]), 2)[0].tolist()]  # sin and cos of a quarter turn
    [1.0, -0.0]
    """
    steps = torch.arange(length // 2, dtype=torch.float32, device=position.device)
    turn = 2 * math.pi * position[..., None].float() / _BASE ** (2 * steps / length)
    return torch.stack([turn.sin(), turn.cos()], dim=-1).flatten(-2).to(position.dtype)


def corner_boxes(boxes: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 4"]:
    """Return boxes of centre and size as first and last corner: (x, y, x, y).

    >>> corner_boxes(torch.tensor([0.5, 0.5, 0.25, 0.5])).tolist()
    [0.375, 0.25, 0.625, 0.75]
    """
    centre, size = boxes.chunk(2, dim=-1)
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


def dynamic_threshold(scores: Iterable[float], *, base: float) -> float:
    """Return the score above which boxes count: two thirds the base, one third from the scores themselves.

    The scores are divided into two clusters so that the squares of the distances to their means add
    up to the least; the middle of the two means is the part that the scores give. As in the original
    the shares are 0.66 and 0.33.

    Args:
        scores: Of all boxes, 0…1. Fewer than two different ones give the base alone.
        base: CellSAM's threshold, 0…1.

    Source:
        ``generate_bounding_boxes`` of github.com/vanvalenlab/cellSAM. It divides by k-means from random
        starts; on a line the best division can be found outright.

    >>> round(dynamic_threshold([0.0, 0.0, 0.0, 1.0], base=0.4), 3)  # 0.66 · 0.4 + 0.33 · 0.5
    0.429
    """
    ordered = torch.sort(torch.as_tensor(list(scores), dtype=torch.float64)).values
    if len(ordered) < 2 or ordered[0] == ordered[-1]:
        return base
    below = torch.arange(1, len(ordered), dtype=torch.float64)
    above = len(ordered) - below
    left = ordered.cumsum(0)[:-1]
    right = ordered.sum() - left
    # The sum of squares within is that of all scores less this, so the best division has the most of it.
    between = left.square() / below + right.square() / above
    best = int(between.argmax())
    middle = float(left[best] / below[best] + right[best] / above[best]) / 2
    return 0.66 * base + 0.33 * middle


def _adapter(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))


def _middles(count: int, like: Tensor) -> Float[Tensor, "1 {count}"]:
    """Return the middles of equal fields along a side, 0…1."""
    return ((torch.arange(count, device=like.device) + 0.5) / count)[None].to(like.dtype)
