"""Images of any size, computed window by window. What computes the windows is not known here."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice, product

import numpy as np
from jaxtyping import Float

from segdistill.data.channels import select
from segdistill.data.finite import refuse_non_finite
from segdistill.data.image import Image, ImageSource, Window
from segdistill.data.normalisation import Rule, measure_range, normalise
from segdistill.errors import ConfigError
from segdistill.inference.predictor import Run

Part = tuple[Window, np.ndarray]
"""Where in the image (y, x) probability maps belong, and the maps ``o y x``."""

STRIDE = 32
"""Pixels per step of most networks' coarsest grid."""

WINDOW = 512
"""Side of a window where nobody says, and no network wants more, pixels."""


@dataclass(frozen=True, eq=False)
class View:
    """What a network is shown of an image: its own channels, on its own scale."""

    source: Image | ImageSource
    """The image."""

    channels: tuple[str, ...]
    """Names of the network's channels, in its order."""

    low: Float[np.ndarray, " c"]
    """Per channel, becomes 0. Of the whole image, because a window cannot know its image's percentiles."""

    high: Float[np.ndarray, " c"]
    """Per channel, becomes 1."""

    fill: bool = False
    """Whether pixels that are not numbers become 0; otherwise they are refused."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, pixels."""
        array = self.source.array if isinstance(self.source, Image) else self.source
        return array.shape[1], array.shape[2]

    @property
    def constant(self) -> bool:
        """Whether every pixel is like every other, in each channel: there is nothing to see."""
        return bool(np.all(self.high <= self.low))

    def read(self, window: Window) -> Float[np.ndarray, "c y x"]:
        """Return a window as the network wants it, 0…1.

        Raises:
            DataError: A channel is missing, or pixels are not numbers and ``fill`` is off.
        """
        array = self.source.array[:, *window] if isinstance(self.source, Image) else self.source.read(window)
        chosen = select(array, self.source.channels, self.channels, source=self.source.source)
        if not self.fill:
            refuse_non_finite(chosen, self.channels, source=self.source.source)
            return normalise(chosen, self.low, self.high)
        return np.where(np.isfinite(chosen), normalise(chosen, self.low, self.high), np.float32(0))


def view_of(source: Image | ImageSource, channels: tuple[str, ...], rule: Rule, *, fill: bool = False) -> View:
    """Return what a network with these channels and this normalisation is shown of an image.

    Args:
        source: The whole image.
        channels: Names of the network's channels, in its order.
        rule: The network's normalisation.
        fill: Whether pixels that are not numbers become 0; otherwise they are refused.

    Raises:
        DataError: A channel is missing (those found are named), or pixels are not numbers.
    """
    low, high = measure_range(source, rule, names=channels, ignore_non_finite=fill)
    return View(source, channels, low, high, fill)


def assembled(parts: Iterable[Part], *, outputs: int, shape: tuple[int, int]) -> Float[np.ndarray, "o y x"]:
    """Return the maps of a whole image from those of its parts."""
    maps = np.empty((outputs, *shape), dtype=np.float32)
    for (rows, columns), values in parts:
        maps[:, rows, columns] = values
    return maps


def blank_maps(shape: tuple[int, int], *, outputs: int) -> Iterator[Part]:
    """Yield maps of nothing, for an image in which there is nothing to see."""
    for top in range(0, shape[0], STRIDE):
        rows = slice(top, min(top + STRIDE, shape[0]))
        yield (rows, slice(0, shape[1])), np.zeros((outputs, rows.stop - top, shape[1]), np.float32)


def run_windows(run: Run, view: View, *, tile: int, halo: int, stride: int, batch: int) -> Iterator[Part]:
    """Yield each part of an image with its probability maps, row by row; they cover it exactly once.

    Args:
        run: Computes windows.
        view: The image as the network sees it.
        tile: Side of a window, pixels. An image that fits into one window is not cut.
        halo: Border of a window that is computed and thrown away, pixels.
        stride: Pixels per step of the network's coarsest grid.
        batch: Windows that are computed together, at most.

    Raises:
        ConfigError: The halo leaves nothing of a window.
    """
    return run_planned(run, view, plan_windows(view.shape, side=tile, halo=halo, stride=stride), batch=batch)


def run_planned(run: Run, view: View, windows: Iterable["Cut"], *, batch: int) -> Iterator[Part]:
    """Yield the probability maps of windows; see ``run_windows``."""
    for group in _alike(iter(windows), batch):
        for one, maps in zip(group, run([view.read(one.read) for one in group]), strict=True):
            yield one.write, maps[:, one.keep[0], one.keep[1]]


@dataclass(frozen=True)
class Cut:
    """A window of an image; pairs are (y, x), in pixels."""

    read: Window
    """What the network is shown."""

    keep: Window
    """The part of that which is kept."""

    write: Window
    """Where in the image it belongs. These parts cover the image, each pixel once."""


def plan_windows(shape: tuple[int, int], *, side: int, halo: int, stride: int) -> Iterator[Cut]:
    """Yield the windows of an image, row by row.

    Note [Windows on the grid]: every window begins on a multiple of the stride, so its pooling grid
    is that of the whole image; and it is never padded: the last window of a row reaches back into
    the image instead, and ends where the image ends. So a network whose reach the halo covers says
    the same of a window as of the whole image, up to the image's very edges. All windows are of
    about one size, so one that pools over what it is shown is shown alike.

    Args:
        shape: Of the image, (y, x), pixels.
        side: Of a window, pixels, at most; the last may be less than a stride longer.
        halo: Context of every kept pixel where the image does not end sooner, pixels. Rounded up.
        stride: Pixels per step of the network's coarsest grid.

    Raises:
        ConfigError: The halo leaves nothing to keep.

    >>> [(one.read[1], one.write[1]) for one in plan_windows((8, 22), side=16, halo=3, stride=4)]
    [(slice(0, 16, None), slice(0, 12, None)), (slice(4, 22, None), slice(12, 22, None))]
    """
    sides = (0, 0) if max(shape) <= side else window_sides(side=side, halo=halo, stride=stride)
    rows, columns = (list(_spans(length, *sides, stride)) for length in shape)
    for (read_y, write_y), (read_x, write_x) in product(rows, columns):
        keep_y, keep_x = (
            slice(write.start - read.start, write.stop - read.start)
            for read, write in ((read_y, write_y), (read_x, write_x))
        )
        yield Cut((read_y, read_x), (keep_y, keep_x), (write_y, write_x))


def usual_side(stride: int) -> int:
    """Return the side of a window where nobody says: half of what is computed is kept though the grid be coarse.

    >>> usual_side(32), usual_side(224)
    (512, 896)
    """
    return max(WINDOW, 4 * stride)


def window_sides(*, side: int, halo: int, stride: int) -> tuple[int, int]:
    """Return the sides of what is kept of a window and of the border around it, both on the grid, pixels.

    Raises:
        ConfigError: The halo leaves nothing to keep.

    >>> window_sides(side=512, halo=60, stride=32)
    (384, 64)
    """
    unit = math.lcm(2, stride)
    border = -(-2 * halo // unit) * unit // 2
    core = (side - 2 * border) // stride * stride
    if halo < 0 or core < stride:
        raise ConfigError(
            f"A window of {side} px with a halo of {halo} px on every side leaves nothing to keep: the network works"
            f" in steps of {stride} px. Choose --tile {2 * border + 2 * stride} or more, or a smaller --halo."
        )
    return core, border


def _spans(length: int, core: int, border: int, stride: int) -> Iterator[tuple[slice, slice]]:
    """Yield what is read and what is written along one axis. A core of 0 leaves it uncut."""
    count = 1 if core == 0 else max(1, -(-(length - 2 * border) // core))
    even = -(-(length - 2 * border) // (count * stride)) * stride
    for index in range(count):
        start = index * even
        stop = length if index == count - 1 else start + even + 2 * border
        write = slice(start + border if index else 0, length if stop == length else stop - border)
        if index and stop == length:
            start = max(0, (length - even - 2 * border) // stride * stride)
        yield slice(start, stop), write


def _alike(windows: Iterator[Cut], batch: int) -> Iterator[list[Cut]]:
    """Yield consecutive windows of one shape, at most ``batch`` together."""
    for _, alike in groupby(windows, key=lambda one: [span.stop - span.start for span in one.read]):
        while group := list(islice(alike, batch)):
            yield group
