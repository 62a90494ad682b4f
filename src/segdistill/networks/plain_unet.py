"""`unet-tiny`: a small U-Net without normalisation, for laptops and tests."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segdistill.networks.any_size import AnySize

_WIDTHS = (8, 16, 24, 32)


class PlainEncoder(nn.Module):
    """The way down: two convolutions per level, halved between levels by the maximum of 2 × 2."""

    def __init__(self, channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(_two_convolutions(below, above) for below, above in pairwise((channels, *widths)))

    def forward(self, image: Float[Tensor, "b c y x"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Return the features of every level, finest first."""
        features = [self.levels[0](image)]
        for level in self.levels[1:]:
            features.append(level(F.max_pool2d(features[-1], 2)))
        return features


class PlainUNet(nn.Module):
    """A U-Net of plain convolutions and rectifiers.

    Note [No normalisation]: without batch statistics an image's scores depend neither on its batch
    nor on how a batch is split, in training as in use; and what a pixel sees ends at a fixed
    distance, so that tiles can be exact. Four shallow levels train well from He's initial weights:
    on simulated cells, better than with batch, group or layer normalisation.

    Note [Channels last]: so few channels are convolved a third quicker on a processor where those of a
    pixel lie together; wider networks gain nothing (`benchmarks/memory_layout.py`).

    Source:
        Ronneberger, Fischer, Brox 2015, arXiv:1505.04597; initial weights: He et al. 2015,
        arXiv:1502.01852.
    """

    def __init__(self, channels: int, outputs: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder = PlainEncoder(channels, widths)
        self.decoder = nn.ModuleList(
            _two_convolutions(coarse + fine, fine) for coarse, fine in pairwise(reversed(widths))
        )
        self.head = nn.Conv2d(widths[0], outputs, kernel_size=1)
        nn.init.normal_(self.head.weight, std=0.01)  # probabilities begin near ½
        _no_bias(self.head)

    def forward(self, image: Float[Tensor, "b _ y x"]) -> Float[Tensor, "b _ y x"]:
        """Return scores; y and x must be multiples of the stride."""
        if image.device.type == "cpu":
            image = image.to(memory_format=torch.channels_last)
        *skips, coarse = self.encoder(image)
        for level, skip in zip(self.decoder, reversed(skips), strict=True):
            coarse = level(torch.cat([F.interpolate(coarse, scale_factor=2, mode="bilinear"), skip], dim=1))
        return self.head(coarse)


def build_plain_unet(channels: int, outputs: int) -> AnySize:
    """Return a new `unet-tiny`, its weights drawn from torch's generator."""
    return AnySize(PlainUNet(channels, outputs, _WIDTHS), channels=channels, stride=2 ** (len(_WIDTHS) - 1))


def _two_convolutions(channels: int, width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs in (channels, width):
        convolution = nn.Conv2d(inputs, width, kernel_size=3, padding=1)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        _no_bias(convolution)
        layers += [convolution, nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _no_bias(convolution: nn.Conv2d) -> None:
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
