"""`vit-tiny`: a plain vision transformer with a light decoder."""

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from timm.layers.norm import LayerNorm2d
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from segdistill.networks.any_size import AnySize

PATCH = 16
"""Side of a patch, pixels."""

HEADS = 12
"""Attention heads of `vit-tiny`: MAE-Lite's. timm's ViT-Tiny has 3, with weights of the same names and shapes."""

DEPTHS = (3, 6, 9, 12)
"""After which of its blocks, counted from 1, the encoder gives its tokens."""

_WIDTH, _TABLE_SIDE = 192, 224
_DECODER_WIDTHS = (_WIDTH, 96, 48, 24, 16)


class VitEncoder(nn.Module):
    """A vision transformer's tokens as grids, for images of any size and any number of channels.

    Args:
        channels: Of the image.
        heads: Attention heads of each block; they divide the width and leave no trace in the weights.

    Source:
        Dosovitskiy et al. 2021, arXiv:2010.11929; the size is that of Touvron et al. 2021, arXiv:2012.12877
        (DeiT-Ti), with the 12 heads of Wang et al. 2023, arXiv:2205.14443 (MAE-Lite).
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.model: Any = VisionTransformer(
            img_size=_TABLE_SIDE,
            patch_size=PATCH,
            in_chans=channels,
            num_classes=0,
            embed_dim=_WIDTH,
            depth=DEPTHS[-1],
            num_heads=heads,
        )

    def forward(self, image: Float[Tensor, "b c y x"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Return the token grids of ``DEPTHS``, the last one after the encoder's norm; y and x are multiples of 16."""
        tokens, rows, columns = self.embed(image)
        _, grids = self.attend(tokens)
        return [grid.transpose(1, 2).unflatten(2, (rows, columns)) for grid in grids]

    def embed(self, image: Float[Tensor, "b c y x"]) -> tuple[Float[Tensor, "b n d"], int, int]:
        """Return one token per patch, row by row, with its position added, and the rows and columns of the grid."""
        patches = self.model.patch_embed.proj(image)
        rows, columns = patches.shape[2], patches.shape[3]
        positions = resized_positions(self._table(), rows, columns)
        return patches.flatten(2).transpose(1, 2) + positions.flatten(0, 1), rows, columns

    def attend(self, tokens: Float[Tensor, "b n d"]) -> tuple[Float[Tensor, "b d"], list[Float[Tensor, "b n d"]]]:
        """Return the class token, and the other tokens at ``DEPTHS``.

        Args:
            tokens: From ``embed``: all of an image's, or those of them that may be seen.
        """
        first = self.model.cls_token + self.model.pos_embed[:, :1]
        tokens = torch.cat([first.expand(tokens.shape[0], -1, -1), tokens], dim=1)
        kept = []
        for number, block in enumerate(self.model.blocks, start=1):
            tokens = block(tokens)
            if number in DEPTHS[:-1]:
                kept.append(tokens[:, 1:])
        tokens = self.model.norm(tokens)
        return tokens[:, 0], [*kept, tokens[:, 1:]]

    def depth_of(self, name: str) -> int:
        """Return how deep a weight of the encoder lies: 0 for patches and positions, then its block's number.

        Args:
            name: Of one of the encoder's parameters. The norm after the last block counts with it.

        >>> encoder = VitEncoder(1, HEADS)
        >>> [encoder.depth_of(name) for name in ("model.pos_embed", "model.blocks.0.norm1.weight", "model.norm.bias")]
        [0, 1, 12]
        """
        parts = name.split(".")
        if "blocks" in parts:
            return int(parts[parts.index("blocks") + 1]) + 1
        return DEPTHS[-1] if "norm" in parts else 0

    def _table(self) -> Float[Tensor, "y x d"]:
        side = _TABLE_SIDE // PATCH
        return self.model.pos_embed[0, 1:].unflatten(0, (side, side))


def resized_positions(table: Float[Tensor, "y x d"], rows: int, columns: int) -> Float[Tensor, "_ _ d"]:
    """Return a table of positions for another grid, interpolated linearly along both axes.

    The weights are those of ``interpolation_weights``, made by operations whose sizes torch.export can
    follow; for a grid as large as the table's the table is returned to the bit.

    >>> resized_positions(torch.tensor([[[0.0], [4.0]]]), 1, 4).flatten().tolist()
    [0.0, 1.0, 3.0, 4.0]
    """
    along_y, along_x = (_weights(old, new, table) for old, new in zip(table.shape[:2], (rows, columns), strict=True))
    wide = torch.tensordot(along_y, table, dims=([1], [0]))  # pyright: ignore[reportArgumentType]
    return torch.tensordot(along_x, wide, dims=([1], [1])).transpose(0, 1)  # pyright: ignore[reportArgumentType]


def _weights(old: int, new: int, like: Tensor) -> Float[Tensor, "new old"]:
    cells = torch.arange(new, device=like.device, dtype=like.dtype)
    step = old / torch.ones_like(cells).sum()  # a tensor: of a size, torch.export would want to know if it exceeds 1
    middles = (cells + 0.5) * step - 0.5
    away = (middles[:, None] - torch.arange(old, device=like.device, dtype=like.dtype)).abs()
    weights = (1 - away / step.clamp(min=1)).clamp(min=0)
    return weights / weights.sum(dim=1, keepdim=True)


class VitNetwork(nn.Module):
    """A vision transformer and a decoder that makes scores of its last tokens, doubling the grid four times.

    Every convolution is followed by a norm over the channels of each pixel alone, so that scores depend neither
    on the batch nor on the rest of a tile.

    Source:
        Zheng et al. 2021, arXiv:2012.15840 (SETR): progressive upsampling. The widths are ours.
    """

    def __init__(self, channels: int, outputs: int, heads: int) -> None:
        super().__init__()
        self.encoder = VitEncoder(channels, heads)
        self.decoder = nn.ModuleList(
            nn.Sequential(nn.Conv2d(coarse, fine, 3, padding=1), LayerNorm2d(fine), nn.GELU())
            for coarse, fine in pairwise(_DECODER_WIDTHS)
        )
        self.head = nn.Conv2d(_DECODER_WIDTHS[-1], outputs, kernel_size=1)

    def forward(self, image: Float[Tensor, "b _ y x"]) -> Float[Tensor, "b _ y x"]:
        """Return scores; y and x must be multiples of the patch."""
        grid = self.encoder(image)[-1]
        for level in self.decoder:
            grid = level(F.interpolate(grid, scale_factor=2.0, mode="bilinear"))
        return self.head(grid)


def build_vit(heads: int, channels: int, outputs: int) -> AnySize:
    """Return a new ViT-Tiny with a decoder, its weights drawn from torch's generator.

    Args:
        heads: Attention heads, a divisor of 192.
        channels: Channels of the image.
        outputs: Score maps.

    >>> build_vit(HEADS, 1, 2)(torch.rand(1, 1, 17, 40)).shape
    torch.Size([1, 2, 17, 40])
    """
    return AnySize(VitNetwork(channels, outputs, heads), channels=channels, stride=PATCH)
