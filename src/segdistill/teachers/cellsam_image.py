"""What CellSAM does to a picture before each of its two networks sees it.

Source:
    ``utils.normalize_image``, ``sam_bbox_preprocessing`` and ``prep_2`` of github.com/vanvalenlab/cellSAM
    (weights of version 1.2). There several standardisations follow each other; each is undone by the
    stretch of every channel to 0…1 that comes last, so only what has an effect is done here.
"""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from skimage.exposure import equalize_adapthist
from torch import Tensor

from segdistill.teachers.sam_image import DEVIATION, MEAN

_FIELD = 128
"""Side of the fields whose histograms are equalised, pixels."""

_BRIGHTEST = 0.995
"""Of all values above 0, in all channels together, this share is below the value that is white."""


def equalised(image: Float[np.ndarray, "3 y x"]) -> Float32[np.ndarray, "3 y x"]:
    """Return an image with the contrast of each channel equalised field by field (CLAHE).

    Args:
        image: Values 0…1. A channel that is constant becomes 0.
    """
    return np.stack([_equalised(channel) for channel in image]).astype(np.float32)


def _equalised(channel: Float[np.ndarray, "y x"]) -> Float[np.ndarray, "y x"]:
    low, high = float(channel.min()), float(channel.max())
    if low == high:
        return np.zeros(channel.shape)
    return equalize_adapthist((channel.astype(np.float64) - low) / (high - low), kernel_size=_FIELD)


def finder_input(image: Float[Tensor, "3 y x"], side: int) -> Float[Tensor, "1 3 side side"]:
    """Return what the box finder sees: the image drawn out to a square, each channel stretched to 0…1.

    Of green and blue, which hold nucleus and membrane, one that is empty is filled with the other.

    Args:
        image: From ``equalised``.
        side: Of the square, pixels.
    """
    # The original passes through a picture of 8 bits here.
    stretched = _stretched((_square(image, side) * 255).floor())
    for empty, other in ((1, 2), (2, 1)):
        if not stretched[0, empty].any():
            stretched[0, empty] = stretched[0, other]
    return stretched


def segmenter_input(image: Float[Tensor, "3 y x"], side: int) -> Float[Tensor, "1 3 side side"]:
    """Return what the mask network sees: as the box finder, but with the brightest values cut off, standardised.

    Args:
        image: From ``equalised``.
        side: Of the square, pixels.
    """
    square = _square(image, side)
    bright = square[square != 0]
    if len(bright):
        high = float(np.percentile(bright.cpu().numpy(), 100 * _BRIGHTEST))
        square = square.clamp(float(bright.min()), high)
    mean, deviation = (torch.tensor(values, device=image.device).reshape(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    return (_stretched(square) - mean) / deviation


def _square(image: Float[Tensor, "3 y x"], side: int) -> Float[Tensor, "1 3 side side"]:
    return F.interpolate(image[None], (side, side), mode="bilinear", antialias=True, align_corners=False)


def _stretched(image: Float[Tensor, "1 3 y x"]) -> Float[Tensor, "1 3 y x"]:
    """Return an image with the lowest and highest value of each channel at 0 and 1; constant channels are 0."""
    low, high = image.amin((2, 3), keepdim=True), image.amax((2, 3), keepdim=True)
    return torch.where(high > low, (image - low) / (high - low).clamp_min(torch.finfo(image.dtype).tiny), 0.0)
