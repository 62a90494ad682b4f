"""The network as it is exported: pixels as they are in, probabilities out, any size."""

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from segdistill.networks.any_size import AnySize
from segdistill.networks.card import ModelCard

INPUTS = {
    "image": "float32, b c y x, any b, y and x: pixels as the file has them, channels in the model's order",
    "low": "float32, c: what becomes 0 in each channel, measured by the model's rule over the whole image, not a tile",
    "high": "float32, c: what becomes 1",
}
OUTPUTS = {"probabilities": "float32, b o y x, one sigmoid per output of the model's card, in its order"}


class Graph(nn.Module):
    """A student with its normalisation before it and the sigmoid behind it.

    Note [Sizes that can be followed]: the student continues the image to multiples of its stride; here that is
    a choice of rows and columns, whose sizes torch.export can follow where it cannot follow the padding.

    Args:
        student: In evaluation mode; takes 0…1 and gives logits.

    >>> graph = Graph(AnySize(nn.Conv2d(1, 2, 1), channels=1, stride=8))
    >>> graph(255 * torch.rand(1, 1, 7, 13), torch.zeros(1), torch.full((1,), 255.0)).shape
    torch.Size([1, 2, 7, 13])
    """

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        # A student of another package sees any size by itself.
        self.network = student.network if isinstance(student, AnySize) else student
        self.stride = student.stride if isinstance(student, AnySize) else 1

    def forward(
        self, image: Float32[Tensor, "b c y x"], low: Float32[Tensor, " c"], high: Float32[Tensor, " c"]
    ) -> Float32[Tensor, "b _ y x"]:
        """Return the probabilities of every pixel."""
        height, width = image.shape[2], image.shape[3]
        grown = _grown(_normalised(image, low, high), self.stride)
        return torch.sigmoid(self.network(grown))[:, :, :height, :width]


def _normalised(image: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return what ``data.normalisation.normalise`` does, in 32 bits."""
    low, high = low[:, None, None], high[:, None, None]
    flat = high <= low
    scaled = ((image - low) / torch.where(flat, torch.ones_like(high), high - low)).clamp(0, 1)
    return torch.where(flat, torch.zeros_like(scaled), scaled)


def _grown(image: Tensor, stride: int) -> Tensor:
    """Return the image with its last row and column repeated up to multiples of the stride."""
    height, width = image.shape[2], image.shape[3]
    rows = torch.arange((height + stride - 1) // stride * stride, device=image.device).clamp(max=height - 1)
    columns = torch.arange((width + stride - 1) // stride * stride, device=image.device).clamp(max=width - 1)
    return image.index_select(2, rows).index_select(3, columns)


def example(card: ModelCard) -> tuple[Float[Tensor, "b c y x"], Float[Tensor, " c"], Float[Tensor, " c"]]:
    """Return inputs with which a graph can be followed: no size is 1, or another's."""
    channels = len(card.channels)
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, channels, 70, 101, generator=generator)
    return image, torch.zeros(channels), torch.ones(channels)
