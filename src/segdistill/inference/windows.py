"""Probability maps of an image of any size, computed window by window."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from segdistill.data.channels import select
from segdistill.data.finite import refuse_non_finite
from segdistill.data.image import Image, ImageSource
from segdistill.data.normalisation import normalise
from segdistill.data.tiling import Tile, padded, tiles

Notice = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class View:
    """What a network is shown of an image: its own channels, on its own scale.

    Args:
        source: The image.
        channels: Names of the network's channels, in its order.
        low: Per channel, becomes 0; measured once on the whole image, because a window cannot
            know its image's percentiles.
        high: Per channel, becomes 1.
        fill: Whether pixels that are not numbers are taken for ``low``; otherwise they are refused.
        window: The part of the image that is looked at as if it were all. None is the whole image.
    """

    source: Image | ImageSource
    channels: tuple[str, ...]
    low: Float[np.ndarray, " c"]
    high: Float[np.ndarray, " c"]
    fill: bool = False
    window: tuple[slice, slice] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, pixels."""
        if self.window is not None:
            return self.window[0].stop - self.window[0].start, self.window[1].stop - self.window[1].start
        array = self.source.array if isinstance(self.source, Image) else self.source
        return array.shape[1], array.shape[2]

    def read(self, window: tuple[slice, slice]) -> Float[np.ndarray, "c y x"]:
        """Return a window of what is looked at, as the network wants it, 0…1.

        Raises:
            DataError: A channel is missing, or pixels are not numbers and ``fill`` is off.
        """
        if self.window is not None:
            window = _within(self.window, window)
        array = self.source.array[:, *window] if isinstance(self.source, Image) else self.source.read(window)
        chosen = select(array, self.source.channels, self.channels, source=self.source.source)
        if self.fill:
            chosen = np.where(np.isfinite(chosen), chosen, self.low.astype(chosen.dtype)[:, None, None])
        else:
            refuse_non_finite(chosen, self.channels, source=self.source.source)
        return normalise(chosen, self.low, self.high)


def _within(outer: tuple[slice, slice], inner: tuple[slice, slice]) -> tuple[slice, slice]:
    rows, columns = (slice(a.start + b.start, a.start + b.stop) for a, b in zip(outer, inner, strict=True))
    return rows, columns


def predict_maps(
    network: nn.Module,
    view: View,
    *,
    outputs: int,
    tile: int = 512,
    halo: int = 64,
    device: str | torch.device = "cpu",
    batch: int = 4,
) -> Float[np.ndarray, "o y x"]:
    """Return the probability maps of a whole image.

    Args:
        network: Takes ``b c y x`` in 0…1 and returns logits ``b o y x``. In evaluation mode.
        view: The image as the network sees it.
        outputs: Number of maps the network returns.
        tile: Side of a window, pixels. An image that fits into one window is not cut.
        halo: Border of a window that is computed and thrown away, pixels.
        device: Where the network is.
        batch: Windows per forward pass; halved where memory is short.

    Returns:
        Probabilities, on the image's grid.
    """
    maps = np.empty((outputs, *view.shape), dtype=np.float32)
    for part, values in stream_maps(network, view, tile=tile, halo=halo, device=device, batch=batch):
        maps[:, part[0], part[1]] = values
    return maps


def stream_maps(
    network: nn.Module,
    view: View,
    *,
    tile: int,
    halo: int,
    device: str | torch.device = "cpu",
    batch: int = 4,
    notice: Notice = lambda _: None,
) -> Iterator[tuple[tuple[slice, slice], Float[np.ndarray, "o y x"]]]:
    """Yield each part of an image with its probability maps; the parts cover it exactly once."""
    height, width = view.shape
    if height <= tile and width <= tile:
        whole = (slice(0, height), slice(0, width))
        yield whole, _forward(network, [view.read(whole)], device, notice)[0]
        return
    waiting: list[Tile] = []
    for one in tiles((height, width), side=tile, halo=halo):
        waiting.append(one)
        if len(waiting) == batch:
            yield from _parts(network, view, waiting, device, notice)
            waiting = []
    if waiting:
        yield from _parts(network, view, waiting, device, notice)


def _parts(
    network: nn.Module, view: View, batch: Sequence[Tile], device: str | torch.device, notice: Notice
) -> Iterator[tuple[tuple[slice, slice], np.ndarray]]:
    windows = [padded(view.read(one.read), one) for one in batch]
    for one, maps in zip(batch, _forward(network, windows, device, notice), strict=True):
        yield one.write, maps[:, one.keep[0], one.keep[1]]


@torch.inference_mode()
def _forward(
    network: nn.Module, windows: Sequence[np.ndarray], device: str | torch.device, notice: Notice
) -> list[np.ndarray]:
    """Run windows through the network; where memory is short, in smaller batches and at last on the CPU.

    The result is the same (FAULTS R23): a window is never left blank.
    """
    try:
        stacked = torch.from_numpy(np.stack(windows)).to(device)
        return list(probabilities(network(stacked)))
    except torch.OutOfMemoryError:
        if len(windows) > 1:
            half = len(windows) // 2
            notice(f"Out of memory with {len(windows)} windows at a time; going on with {half}.")
            return [
                *_forward(network, windows[:half], device, notice),
                *_forward(network, windows[half:], device, notice),
            ]
        if torch.device(device).type == "cpu":
            raise
    notice("Out of memory with a single window; it is computed on the CPU.")
    on_cpu = network.to("cpu")
    try:
        return list(probabilities(on_cpu(torch.from_numpy(windows[0])[None])))
    finally:
        network.to(device)


def probabilities(scores: Float[Tensor, "b o y x"]) -> Float[np.ndarray, "b o y x"]:
    """Return the probabilities of logits; every output is a sigmoid of its own."""
    return torch.sigmoid(scores.float()).cpu().numpy()
