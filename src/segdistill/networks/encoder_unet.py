"""U-Nets whose encoder is one of timm's."""

import math
from typing import Any

import segmentation_models_pytorch as smp
from torch import nn

from segdistill.networks.any_size import AnySize

_STRIDE = 32

# Swin's masks are made for one image size unless it is told otherwise.
_OPTIONS: dict[str, dict[str, Any]] = {
    "swin_": {"strict_img_size": False},
    "swinv2_": {"strict_img_size": False},
}


def build_encoder_unet(encoder: str, channels: int, outputs: int) -> AnySize:
    """Return a new U-Net with this timm encoder, its weights drawn from torch's generator.

    Args:
        encoder: A name that timm knows, such as "resnet18". Nothing is downloaded.
        channels: Channels of the image.
        outputs: Score maps.

    Source:
        Ronneberger, Fischer, Brox 2015, arXiv:1505.04597, as segmentation_models.pytorch builds it:
        five levels, decoder widths 256, 128, 64, 32, 16.
    """
    options = next((options for prefix, options in _OPTIONS.items() if encoder.startswith(prefix)), {})
    network = smp.Unet(f"tu-{encoder}", encoder_weights=None, in_channels=channels, classes=outputs, **options)
    return AnySize(network, channels=channels, stride=_STRIDE, grid=attention_grid(network, stride=_STRIDE))


def attention_grid(network: nn.Module, *, stride: int) -> int:
    """Return on which multiples parts of an image begin so that attention windows lie in them as in the whole, pixels.

    Args:
        network: Its windows, where it has some, lie side by side from the image's first pixel on, at every step of
            its coarsest grid or finer ones (Liu et al. 2021, arXiv:2103.14030).
        stride: Of its coarsest grid, pixels.

    Returns:
        The stride itself for a network without such windows.
    """
    windows = [getattr(module, "window_size", None) for module in network.modules() if hasattr(module, "shift_size")]
    return stride * math.lcm(*(side for window in windows if isinstance(window, tuple) for side in window))
