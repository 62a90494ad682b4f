"""Segmenting one array or file, in memory."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Shaped, UInt32

from segdistill.data.image import Image, ImageSource
from segdistill.data.normalisation import rule_from_json
from segdistill.data.readers import open_image
from segdistill.data.rescale import nearest
from segdistill.errors import ConfigError, ShapeError
from segdistill.inference.instances import segment
from segdistill.inference.one_image import halo_of, side_of, strangeness
from segdistill.inference.options import Options
from segdistill.inference.ready import Ready, make_ready
from segdistill.inference.scale import at_model_scale
from segdistill.inference.windows import assembled, run_windows, view_of
from segdistill.networks.card import ModelCard

if TYPE_CHECKING:
    from segdistill.networks.model import Model

_USUAL = Options(device="cpu")


class UnlikeTraining(UserWarning):
    """An image is unlike those that the model was trained on: look at its masks."""


def predict(
    model: "Model | Path | str",
    image: Shaped[np.ndarray, "..."] | Path | str | Mapping[str, Path],
    *,
    channels: Sequence[str] | None = None,
    options: Options = _USUAL,
) -> dict[str, UInt32[np.ndarray, "y x"]]:
    """Return the masks of one image.

    For many images, or large ones, use ``predict_files``: it keeps nothing in memory and what it has done.

    Args:
        model: A student, its folder, or the folder of an exported one, which needs no PyTorch.
        image: A file, the file of each channel by its name, or pixels ``c y x`` or ``y x`` of any type,
            taken to have the model's pixel size.
        channels: Names of the image's channels, in its order. None takes those of the file; an array
            of one channel is taken for the channel of a model that takes one.
        options: How; ``outputs``, ``probabilities`` and ``pattern`` mean nothing here, and ``channels`` is not
            looked at.

    Warns:
        UnlikeTraining: The image is unlike those that the model was trained on.

    Returns:
        By structure, object numbers from 1, or 0 and 1 where objects are not told apart.

    Raises:
        ConfigError: The channels of an array are not named.
        ShapeError: An array is no image.
        DataError: The image cannot be used.
    """
    ready = make_ready(Path(model) if isinstance(model, str) else model, options, notice=lambda _: None)
    if isinstance(image, np.ndarray):
        return _masks(ready, _image_of(image, channels, ready.card), options)
    files = image if isinstance(image, Mapping) else Path(image)
    with open_image(files, channels=channels, axes=options.axes, fill_missing=options.fill_missing) as opened:
        return _masks(ready, opened, options)


def _masks(model: Ready, image: Image | ImageSource, options: Options) -> dict[str, UInt32[np.ndarray, "y x"]]:
    card = model.card
    source, _ = at_model_scale(image, card, policy=options.pixel_size, fill_non_finite=options.fill_non_finite)
    view = view_of(source, card.channels, rule_from_json(card.normalisation), fill=options.fill_non_finite)
    predictor = model.predictor
    strange = strangeness(predictor, view, card, size=source.pixel_size)
    if strange:
        warnings.warn(
            f"{source.source} is unlike the images that the model was trained on: {'; '.join(strange)}.",
            UnlikeTraining,
            stacklevel=3,
        )
    maps = np.zeros((len(card.outputs), *view.shape), np.float32)
    if not view.constant:
        parts = run_windows(
            predictor.run(lambda _: None),
            view,
            tile=side_of(options, predictor),
            halo=halo_of(card, options),
            stride=predictor.stride,
            batch=predictor.at_once,
        )
        maps = assembled(parts, outputs=len(maps), shape=view.shape)
    masks = segment(maps, card.structures, card.thresholds)
    shape = (image.array if isinstance(image, Image) else image).shape[1:]
    return {name: nearest(mask[None], shape)[0] for name, mask in masks.items()}


def _image_of(array: np.ndarray, channels: Sequence[str] | None, card: ModelCard) -> Image:
    wanted = card.channels
    if array.ndim not in {2, 3} or array.size == 0:
        raise ShapeError(f"An array of shape {array.shape} is no image. Give one of axes c y x, or y x.")
    pixels = array[None] if array.ndim == 2 else array
    if channels is None and not len(pixels) == len(wanted) == 1:
        raise ConfigError(
            f"The array has {len(pixels)} channels (its axes are c y x) and the model takes {', '.join(wanted)}."
            " Name the array's channels, in its order."
        )
    return Image(pixels, tuple(wanted if channels is None else channels), card.pixel_size, "the array")
