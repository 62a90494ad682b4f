"""Images of any size through a network that wants multiples of its stride."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segdistill.errors import ShapeError


class AnySize(nn.Module):
    """A student: a network, made to take an image of any size and give scores of that size.

    The image is continued below and to the right by repeating its last row and column, up to the
    next multiple of the stride, and the scores are cut back. Row and column 0 stay where they are,
    so the network's grid is that of the image whatever its size.

    Args:
        network: Takes ``b c y x`` with y and x multiples of the stride and gives ``b o y x``. Its
            attribute ``encoder`` is the part that can be pre-trained. Export the network alone where
            sizes are left open: torch.export cannot follow the padding.
        channels: Channels of the image.
        stride: Pixels per step of the network's coarsest grid.
        grid: Where an image is cut, parts had better begin on its multiples, pixels: those of the stride on which the
            windows lie within which a network attends. None: the stride.

    >>> import torch
    >>> student = AnySize(torch.nn.Conv2d(1, 2, 1), channels=1, stride=8)
    >>> student(torch.rand(1, 1, 7, 13)).shape
    torch.Size([1, 2, 7, 13])
    """

    def __init__(self, network: nn.Module, *, channels: int, stride: int, grid: int | None = None) -> None:
        super().__init__()
        self.network = network
        self.channels = channels
        self.stride = stride
        self.grid = stride if grid is None else grid

    @property
    def encoder(self) -> nn.Module:
        """The part of the network that can be pre-trained; its features feed the decoder."""
        return self.network.get_submodule("encoder")

    def forward(self, image: Float[Tensor, "b _ y x"]) -> Float[Tensor, "b _ y x"]:
        """Return the scores (logits) of every pixel.

        Args:
            image: Normalised to 0..1.

        Raises:
            ShapeError: The image has another number of channels, or no pixels.
        """
        height, width = image.shape[2:]
        if image.shape[1] != self.channels:
            raise ShapeError(
                f"This student takes {self.channels} channels, but the image has {image.shape[1]}"
                f" (its shape is {tuple(image.shape)}: batch, channel, y, x). Choose the channels it was built for."
            )
        if height == 0 or width == 0:
            raise ShapeError(f"An image of {height} × {width} pixels (y × x) has nothing to segment. Leave it out.")
        right, below = -width % self.stride, -height % self.stride
        scores = self.network(F.pad(image, (0, right, 0, below), mode="replicate"))
        return scores[..., :height, :width]
