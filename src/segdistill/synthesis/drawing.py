"""Drawing images in bulk: each a function of seed and number, in files that are whole or absent."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from torch import nn

from segdistill.data.image import Image
from segdistill.data.image_writer import write_image
from segdistill.engine.progress import time_left
from segdistill.synthesis.card import SynthesisCard
from segdistill.synthesis.denoiser import Denoiser, Guided
from segdistill.synthesis.diffusion import Solving, without_noise
from segdistill.synthesis.lesson import normal
from segdistill.synthesis.numbers import Numbers, in_numbers

_START, _RANGE = 1, 2
"""Set the noise that a drawing begins with apart from the choice of its range of numbers."""

_SECONDS_BETWEEN_LINES = 10.0


def file_name(number: int, card: SynthesisCard) -> str:
    """Return the name of a drawn image's file: PNG for pictures in red, green and blue, OME-TIFF for all else."""
    picture = card.channels == ("red", "green", "blue") and {each.dtype for each in card.numbers} == {"uint8"}
    return f"drawn_{number:06d}{'.png' if picture else '.ome.tif'}"


def batches(images: int, size: int) -> list[range]:
    """Return the numbers that are drawn together.

    They depend on nothing that an interruption changes: an image would else change in its last bits with its
    neighbours.

    >>> batches(5, 2)
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    return [range(start, min(start + size, images)) for start in range(0, images, size)]


Masks = Callable[[int], Float32[np.ndarray, "o y x"]]
"""Number of an image to the masks that it is drawn for, as ``Denoiser.forward`` takes them."""


def drawn(
    denoiser: Denoiser, numbers: Sequence[int], solving: Solving, *, seed: int, masks: Masks | None = None
) -> Float32[np.ndarray, "b c y x"]:
    """Return drawn images, 0 to 1, by their numbers.

    Args:
        denoiser: Fitted, in evaluation mode.
        numbers: Of the images, ≥ 0.
        solving: How noise is taken out.
        seed: Of all images.
        masks: What they are drawn for; None: they are drawn freely.
    """
    device = next(denoiser.parameters()).device
    shape = (denoiser.channels, denoiser.side, denoiser.side)
    noise = torch.stack([normal(_key(seed, number), shape) for number in numbers]).to(device)
    network: nn.Module = denoiser
    if masks is not None:
        maps = torch.from_numpy(np.stack([masks(number) for number in numbers])).to(device)
        network = Guided(denoiser, maps, solving.guidance)
    return ((without_noise(network, noise, solving) + 1) / 2).cpu().numpy()


def draw_missing(
    denoiser: Denoiser,
    card: SynthesisCard,
    place: Callable[[int], Path],
    solving: Solving,
    *,
    together: Sequence[range],
    seed: int,
    masks: Masks | None = None,
    notice: Callable[[str], None],
) -> int:
    """Draw every image whose file is not there, and return how many were drawn.

    Args:
        denoiser: Of the card.
        card: Says in which numbers the images are written.
        place: Number to file, wherever it now is.
        solving: How noise is taken out.
        together: The numbers of the images, from ``batches``.
        seed: Of all of them.
        masks: What they are drawn for; None: they are drawn freely.
        notice: Told how far it is, now and then.

    Raises:
        EnvironmentFault: The disk is full or the folder cannot be written.
    """
    missing = {batch: [number for number in batch if not place(number).exists()] for batch in together}
    wanted, done = sum(map(len, missing.values())), 0
    began = told = time.monotonic()
    for batch, lacking in missing.items():
        if not lacking:
            continue
        pictures = drawn(denoiser, batch, solving, seed=seed, masks=masks)
        for number in lacking:
            write_image(place(number), _image(pictures[number - batch.start], number, card, seed))
        done += len(lacking)
        now = time.monotonic()
        if done == wanted or now - told > _SECONDS_BETWEEN_LINES:
            told = now
            notice(f"{done} of {wanted} images drawn, {time_left((now - began) / done * (wanted - done))} left")
    return wanted


def numbers_of(number: int, card: SynthesisCard, *, seed: int) -> Numbers:
    """Return in which numbers an image is written: those of one of the images that the model was fitted on."""
    return card.numbers[int(np.random.default_rng((seed, number, _RANGE)).integers(len(card.numbers)))]


def _image(picture: Float32[np.ndarray, "c y x"], number: int, card: SynthesisCard, seed: int) -> Image:
    array = in_numbers(picture, numbers_of(number, card, seed=seed))
    return Image(array, card.channels, card.pixel_size, f"drawing {number}")


def _key(seed: int, number: int) -> int:
    return int(np.random.default_rng((seed, number, _START)).integers(2**63))
