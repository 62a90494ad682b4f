"""Probability maps of an image of any size, by a PyTorch network."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from segdistill.inference.predictor import Notice
from segdistill.inference.runner import Runner
from segdistill.inference.windows import STRIDE, Part, View, assembled, run_windows


def predict_maps(
    network: nn.Module,
    view: View,
    *,
    outputs: int,
    tile: int = 512,
    halo: int = 64,
    device: str | torch.device = "cpu",
    batch: int = 1,
) -> Float[np.ndarray, "o y x"]:
    """Return the probability maps of a whole image.

    Args:
        network: Takes ``b c y x`` in 0…1 and returns logits ``b o y x``. In evaluation mode.
        view: The image as the network sees it.
        outputs: Number of maps the network returns.
        tile: Side of a window, pixels. An image that fits into one window is not cut.
        halo: Border of a window that is computed and thrown away, pixels.
        device: Where the network is.
        batch: Windows per forward pass; fewer where memory is short.

    Returns:
        Probabilities, on the image's grid.

    Raises:
        ConfigError: The halo leaves nothing of a window.
        EnvironmentFault: A single window is too large for this machine's memory.
    """
    parts = stream_maps(network, view, tile=tile, halo=halo, device=device, batch=batch)
    return assembled(parts, outputs=outputs, shape=view.shape)


def stream_maps(
    network: nn.Module,
    view: View,
    *,
    tile: int,
    halo: int,
    device: str | torch.device = "cpu",
    batch: int = 1,
    notice: Notice = lambda _: None,
) -> Iterator[Part]:
    """Yield each part of an image with its probability maps, row by row; they cover it exactly once.

    The arguments, and what is raised, are those of ``predict_maps``. ``notice`` is told where memory is short.
    """
    run = Runner(network, device=device, batch=batch, notice=notice)
    return run_windows(run, view, tile=tile, halo=halo, stride=stride_of(network), batch=batch)


def stride_of(network: nn.Module) -> int:
    """Return the multiples on which windows begin, pixels; a usual number where another package's network is silent.

    They are steps of the network's coarsest grid, on which its attention windows lie as in the whole image.
    """
    found = getattr(network, "grid", getattr(network, "stride", STRIDE))
    return found if isinstance(found, int) else STRIDE
