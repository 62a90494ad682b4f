"""Bringing an image to the pixel size that a model was trained at."""

import numpy as np

from segdistill.data.channels import select
from segdistill.data.finite import filled, refuse_non_finite
from segdistill.data.image import Image, ImageSource
from segdistill.data.rescale import TOLERANCE, resized
from segdistill.errors import DataError
from segdistill.inference.options import PixelSizePolicy
from segdistill.networks.card import ModelCard

ALIKE = 0.1
"""Pixel sizes that differ by at most this share are as good as equal to a network: training magnifies by more."""

LARGEST = 2**24
"""Only images of at most so many pixels, before and after, are resampled."""


def at_model_scale(
    source: ImageSource | Image, card: ModelCard, *, policy: PixelSizePolicy, fill_non_finite: bool
) -> tuple[ImageSource | Image, float]:
    """Return an image at the model's pixel size, and the factor by which its sides were multiplied.

    Args:
        source: The image. One that does not say its pixel size is taken to have the model's, unless
            it is to be resampled.
        card: The model's.
        policy: "refuse" refuses an image whose pixel size differs by more than a tenth; "resample"
            brings every image to the model's; "ignore" does not look.
        fill_non_finite: Whether pixels that are not numbers are filled before they are resampled.

    Returns:
        The image itself and 1, or one in memory that has the model's channels only.

    Raises:
        DataError: The pixel sizes differ and the image may not, or cannot, be resampled.
    """
    wanted, found = card.pixel_size, source.pixel_size
    if policy == "ignore" or wanted is None:
        return source, 1.0
    if found is None:
        if policy == "resample":
            raise DataError(
                f"{source.source} does not say its pixel size, so it cannot be brought to the model's {wanted:g} µm."
                " Write the pixel size into the file, or use --pixel-size ignore if it is the model's."
            )
        return source, 1.0
    factor = found / wanted
    if abs(factor - 1) < TOLERANCE or (policy == "refuse" and abs(factor - 1) <= ALIKE):
        return source, 1.0
    if policy == "refuse":
        raise DataError(
            f"{source.source} has pixels of {found:g} µm, but the model was trained at {wanted:g} µm."
            " Use --pixel-size resample to bring the image to it, or --pixel-size ignore to segment it as it is."
        )
    return _resampled(source, card, factor, fill_non_finite), factor


def _resampled(source: ImageSource | Image, card: ModelCard, factor: float, fill_non_finite: bool) -> Image:
    size = (source.array if isinstance(source, Image) else source).shape[1:]
    height, width = (max(1, round(side * factor)) for side in size)
    if max(height * width, size[0] * size[1]) > LARGEST:
        raise DataError(
            f"{source.source} is too large to be resampled: {size[0]} × {size[1]} pixels would become"
            f" {height} × {width}, but at most {LARGEST:,} pixels are resampled."
            f" Save it at {card.pixel_size:g} µm, or use --pixel-size ignore."
        )
    array = source.array if isinstance(source, Image) else source.read()
    chosen = select(array, source.channels, card.channels, source=source.source)
    if fill_non_finite:
        chosen = filled(chosen)
    refuse_non_finite(chosen, card.channels, source=source.source)
    return Image(np.asarray(resized(chosen, (height, width))), card.channels, card.pixel_size, source.source)
