"""A vision transformer that learns to say what is in the patches it is not shown."""

import math

import torch
from jaxtyping import Float, Int
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from segdistill.networks.vit import PATCH, VitEncoder

_WIDTH, _HEADS = 96, 3


class MaskedAutoencoder(nn.Module):
    """An encoder that sees some patches, and a light decoder that predicts all; what is kept is the encoder.

    Args:
        encoder: Learns.
        channels: Of the image.
        hidden: Share of the patches that it is not shown, above 0 to below 1.

    Source:
        He et al. 2022, arXiv:2111.06377 (MAE); a decoder of one block of width 96 is MAE-Lite's, Wang et al. 2023,
        arXiv:2205.14443.
    """

    def __init__(self, encoder: VitEncoder, channels: int, hidden: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.hidden = hidden
        self.narrow = nn.Linear(encoder.model.embed_dim, _WIDTH)
        self.unseen = nn.Parameter(torch.zeros(1, 1, _WIDTH))
        self.block = Block(_WIDTH, _HEADS, qkv_bias=True)
        self.norm = nn.LayerNorm(_WIDTH)
        self.predict = nn.Linear(_WIDTH, channels * PATCH**2)
        nn.init.normal_(self.unseen, std=0.02)

    def seen(self, patches: int) -> int:
        """Return how many of so many patches are shown, at least one."""
        return max(1, round(patches * (1 - self.hidden)))

    def forward(self, image: Float[Tensor, "b c y x"], order: Int[Tensor, "b n"]) -> Float[Tensor, "b n _"]:
        """Return a prediction of the pixels of every patch, row by row; see ``patches_of``.

        Args:
            image: Its sides are multiples of the patch's.
            order: The patches of each image in any order; the first ``seen`` of them are shown.
        """
        tokens, rows, columns = self.encoder.embed(image)
        shown = _taken(tokens, order[:, : self.seen(order.shape[1])])
        _, grids = self.encoder.attend(shown)
        known = self.narrow(grids[-1])
        unseen = self.unseen.to(known).expand(len(known), order.shape[1] - known.shape[1], -1)
        whole = _taken(torch.cat([known, unseen], dim=1), order.argsort(dim=1))
        return self.predict(self.norm(self.block(whole + wave_positions(rows, columns, _WIDTH).to(whole))))


def wave_positions(rows: int, columns: int, width: int) -> Float[Tensor, "n d"]:
    """Return fixed positions of a grid's cells, row by row: sines and cosines of y, then of x.

    Args:
        rows: Of the grid.
        columns: Of the grid.
        width: Of a position, a multiple of 4.

    Source:
        Vaswani et al. 2017, arXiv:1706.03762, section 3.5, for each axis half of the width.

    >>> (100 * wave_positions(1, 2, 4)).round().tolist()
    [[0.0, 100.0, 0.0, 100.0], [0.0, 100.0, 84.0, 54.0]]
    """
    speeds = torch.exp(torch.arange(width // 4) * (-math.log(10_000) / (width // 4)))

    def waves(cells: int) -> Tensor:
        angles = torch.arange(cells)[:, None] * speeds
        return torch.cat([angles.sin(), angles.cos()], dim=1)

    along_y, along_x = waves(rows)[:, None].expand(-1, columns, -1), waves(columns)[None].expand(rows, -1, -1)
    return torch.cat([along_y, along_x], dim=2).flatten(0, 1)


def _taken(tokens: Float[Tensor, "b n d"], places: Int[Tensor, "b m"]) -> Float[Tensor, "b m d"]:
    return tokens.gather(1, places[:, :, None].expand(-1, -1, tokens.shape[2]))
