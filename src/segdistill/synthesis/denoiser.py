"""The network of a diffusion model: a U-Net of diffusers for images of any number of channels."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segdistill.errors import ConfigError, MissingExtra

WIDTHS: Mapping[int, tuple[int, ...]] = MappingProxyType(
    {32: (1, 2, 4), 64: (1, 2, 2, 4), 128: (1, 1, 2, 2, 4), 256: (1, 1, 2, 2, 4, 4)}
)
"""Side of an image to the width of the maps at each resolution, finest first, in multiples of the first."""

_GROUPS = 8
"""Of channels that are normalised together; it divides every width."""


def diffusers() -> Any:
    """Return the package that the network and the solvers come from.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        import diffusers as package
    except ImportError as error:
        raise MissingExtra("diffusers", "diffusion", "Drawing images from a diffusion model") from error
    return package


class Denoiser(nn.Module):
    """Tells the velocity of a noisy image: noise and image, mixed so that it says both.

    Args:
        channels: Of the image, ≥ 1.
        maps: Of the masks that an image is drawn for; 0: of none.
        side: Of the image, pixels; a key of ``WIDTHS``. The coarsest maps are 8 × 8 and have attention.
        width: Of the finest maps, a multiple of 8.
        blocks: Residual blocks at each resolution, ≥ 1.

    Raises:
        ConfigError: There is no network for this side or width.
        MissingExtra: diffusers is not installed.

    Source:
        Ho, Jain, Abbeel 2020, arXiv:2006.11239, appendix B, for the shape of the network.
    """

    def __init__(self, *, channels: int, side: int, width: int, blocks: int, maps: int = 0) -> None:
        super().__init__()
        if side not in WIDTHS or width < 1 or width % _GROUPS:
            raise ConfigError(
                f"There is no denoiser for images of {side} pixels with maps {width} wide. Sides are"
                f" {', '.join(map(str, WIDTHS))}; widths are multiples of {_GROUPS}."
            )
        widths = [width * factor for factor in WIDTHS[side]]
        plain = len(widths) - 1
        self.channels, self.side, self.maps = channels, side, maps
        self.unet = diffusers().UNet2DModel(
            sample_size=side,
            in_channels=channels + maps,
            out_channels=channels,
            block_out_channels=widths,
            layers_per_block=blocks,
            down_block_types=["DownBlock2D"] * plain + ["AttnDownBlock2D"],
            up_block_types=["AttnUpBlock2D"] + ["UpBlock2D"] * plain,
            norm_num_groups=_GROUPS,
            attention_head_dim=_GROUPS,
        )

    def forward(
        self, noisy: Float[Tensor, "b c y x"], time: Int[Tensor, " b"], maps: Float[Tensor, "b o y x"] | None = None
    ) -> Float[Tensor, "b c y x"]:
        """Return the velocity of every pixel.

        Args:
            noisy: Images from −1 to 1, with noise.
            time: How noisy each is, a step of the schedule.
            maps: Masks: 1 where there is something, −1 where there is not, 0 where nobody says. None: nobody says.
        """
        if self.maps:
            given = noisy.new_zeros((len(noisy), self.maps, *noisy.shape[2:])) if maps is None else maps
            noisy = torch.cat([noisy, given.to(noisy.dtype)], dim=1)
        return self.unet(noisy, time, return_dict=False)[0]


class Guided(nn.Module):
    """A denoiser that draws for masks, the difference they make exaggerated.

    Args:
        denoiser: Learnt with masks, and without.
        maps: One set of masks for each image of a batch; see ``Denoiser.forward``.
        guidance: 1 is the denoiser as it is, 0 leaves the masks out.

    Source:
        Ho, Salimans 2022, arXiv:2207.12598, equation 6, whose w is this less 1.
    """

    def __init__(self, denoiser: Denoiser, maps: Float[Tensor, "b o y x"], guidance: float) -> None:
        super().__init__()
        self.denoiser, self.maps, self.guidance = denoiser, maps, guidance

    def forward(self, noisy: Float[Tensor, "b c y x"], time: Int[Tensor, " b"]) -> Float[Tensor, "b c y x"]:
        """Return the velocity of every pixel; see ``Denoiser``."""
        if self.guidance == 0:
            return self.denoiser(noisy, time)
        told = self.denoiser(noisy, time, self.maps)
        if self.guidance == 1:
            return told
        free = self.denoiser(noisy, time)
        return free + self.guidance * (told - free)


def new_denoiser(*, channels: int, side: int, width: int, blocks: int, seed: int, maps: int = 0) -> Denoiser:
    """Return a denoiser with weights drawn from a seed."""
    torch.manual_seed(seed)
    return Denoiser(channels=channels, side=side, width=width, blocks=blocks, maps=maps)
