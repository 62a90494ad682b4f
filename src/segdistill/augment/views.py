"""Views of an image: which crop, how large, how turned. Drawn once, recorded, applied to all maps alike.

A view of a sample is a function of (seed, step, slot) and the image's shape alone: not of the
batch, the process or what was drawn before. So a resumed run sees what an uninterrupted one would
have seen, and splitting a batch changes nothing.

Work is shared between two places. On the host, ``window`` says which part of the (perhaps huge)
image is needed; all windows of a run are squares of one side, so they stack to a batch. On the
device, ``segdistill.augment.apply_views`` scales and turns the whole batch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Shaped

from segdistill.errors import ConfigError, ShapeError

_STREAM = 1  # tells these draws from others of the same seed, step and slot


@dataclass(frozen=True)
class View:
    """One recorded transform: a window of the image, scaled about its middle, flipped, then turned."""

    crop: int
    """Side of the result, pixels."""

    side: int
    """Side of the window that is read, pixels of the image."""

    origin: tuple[int, int]
    """The window's first row and column in the image; negative where it begins before the image."""

    scale: float = 1.0
    """Pixels of the result per pixel of the image: 1.25 shows everything a quarter larger."""

    flip: bool = False
    """Whether x is mirrored, before turning."""

    turns: int = 0
    """Quarter turns counter-clockwise, as ``numpy.rot90`` counts them, 0 to 3."""


@dataclass(frozen=True)
class Window:
    """What to read of an image, and what to add around it; all pairs are (y, x), in pixels."""

    read: tuple[slice, slice]
    """The part of the image."""

    pad: tuple[tuple[int, int], tuple[int, int]]
    """Pixels to add before and after it, so that it becomes a square of the view's side."""


def draw_views(
    *,
    seed: int,
    step: int,
    slots: Sequence[int],
    shapes: Sequence[tuple[int, int]],
    crop: int,
    scale: tuple[float, float] = (0.75, 1.25),
    flips: bool = True,
    turns: bool = True,
) -> tuple[View, ...]:
    """Return one random view for each sample.

    Args:
        seed: Of the run, ≥ 0.
        step: The optimiser step, ≥ 0.
        slots: Each sample's place in the whole batch of this step, ≥ 0. Samples of other processes
            and micro-batches have other places.
        shapes: Each sample's image size (y, x), pixels, in the order of ``slots``.
        crop: Side of the results, pixels.
        scale: Least and greatest magnification; every value between is equally likely.
        flips: Whether half of the views are mirrored.
        turns: Whether views are turned by 0 to 3 quarter turns.

    Returns:
        Views that lie inside their image wherever it is large enough, every place equally likely;
        otherwise centred on it.

    Raises:
        ConfigError: The crop or a scale is not positive, or the scales are in the wrong order.
        ShapeError: There are not as many shapes as slots, or an image has no pixels.

    >>> first, second = draw_views(seed=0, step=3, slots=[0, 1], shapes=[(200, 300)] * 2, crop=128)
    >>> (second,) == draw_views(seed=0, step=3, slots=[1], shapes=[(200, 300)], crop=128)
    True
    """
    low, high = scale
    if crop < 1 or not 0 < low <= high < math.inf:
        raise ConfigError(
            f"Views cannot have a crop of {crop} px and scales from {low} to {high}."
            " Choose a crop of at least 1 px and two scales above 0, the smaller first, such as 0.75 1.25."
        )
    if len(slots) != len(shapes):
        raise ShapeError(f"There are {len(slots)} slots but {len(shapes)} image shapes. Give one shape per slot.")
    side = window_side(crop, low)
    views = []
    for slot, shape in zip(slots, shapes, strict=True):
        # Always five numbers, used or not: switching turns off leaves the crops as they were.
        size, turn, mirror, y, x = np.random.default_rng((seed, step, slot, _STREAM)).random(5).tolist()
        magnification = low + (high - low) * size
        reach = (crop - 1) / 2 / magnification
        origin = (_origin(shape[0], y, side=side, reach=reach), _origin(shape[1], x, side=side, reach=reach))
        views.append(View(crop, side, origin, magnification, flips and mirror < 0.5, int(4 * turn) if turns else 0))
    return tuple(views)


def window_side(crop: int, scale: float) -> int:
    """Return the side of the windows from which crops are made at this scale or any larger one.

    Args:
        crop: Side of the crops, pixels.
        scale: The least magnification, > 0.

    The window and the crop are both even or both odd, so that at scale 1 pixels fall on pixels.

    >>> window_side(128, 1.0), window_side(128, 0.75)
    (128, 172)
    """
    side = math.ceil((crop - 1) / scale) + 1
    return side + (side - crop) % 2


def window(view: View, shape: tuple[int, int]) -> Window:
    """Return which part of an image a view needs.

    Args:
        view: Drawn for an image of this shape.
        shape: The image's size (y, x), pixels.

    Raises:
        ShapeError: The view lies wholly outside the image, so it was drawn for another.

    >>> window(View(crop=4, side=4, origin=(-1, 2)), (3, 10))
    Window(read=(slice(0, 3, None), slice(2, 6, None)), pad=((1, 0), (0, 0)))
    """
    spans = [_span(first, view.side, length) for first, length in zip(view.origin, shape, strict=True)]
    if any(read.stop <= read.start for read, _ in spans):
        raise ShapeError(
            f"A view of {view.side} px at (y, x) = {view.origin} does not touch an image of {shape} px."
            " Draw the view with the shape of the image that it is used for."
        )
    (rows, above), (columns, before) = spans
    return Window((rows, columns), (above, before))


def pad_mirrored(pixels: Shaped[np.ndarray, "*c y x"], place: Window) -> Shaped[np.ndarray, "*c side side"]:
    """Return what was read for a view, mirrored outwards to the view's side.

    Args:
        pixels: An image, label planes or dense targets: ``array[..., *place.read]``.
        place: What ``window`` returned.

    >>> pad_mirrored(np.array([[1, 2, 3]]), Window((slice(0, 1), slice(0, 3)), ((2, 2), (2, 0))))[0]
    array([3, 2, 1, 2, 3])
    """
    return _pad(pixels, place, mode="reflect")


def pad_uncounted(counts: Bool[np.ndarray, "*c y x"], place: Window) -> Bool[np.ndarray, "*c side side"]:
    """Return which pixels count, widened to the view's side: what was added does not count.

    >>> pad_uncounted(np.array([[True, True]]), Window((slice(0, 1), slice(0, 2)), ((0, 2), (1, 0))))[0]
    array([False,  True,  True])
    """
    return _pad(counts, place, mode="constant")


def _pad(array: np.ndarray, place: Window, *, mode: str) -> np.ndarray:
    return np.pad(array, [(0, 0)] * (array.ndim - 2) + list(place.pad), mode=mode)  # pyright: ignore[reportCallIssue, reportArgumentType]


def _origin(length: int, where: float, *, side: int, reach: float) -> int:
    """Return the first pixel of a window along one axis, so that what it shows lies in the image if it can.

    ``reach`` is how far the crop's outermost pixels lie from its middle, in pixels of the image.
    """
    if length < 1:
        raise ShapeError(f"An image of {length} pixels along one axis has nothing to view. Leave it out.")
    middle = (side - 1) / 2
    first, last = math.ceil(reach - middle), math.floor(length - 1 - reach - middle)
    if first > last:
        return (length - side) // 2
    return first + int(where * (last - first + 1))


def _span(first: int, side: int, length: int) -> tuple[slice, tuple[int, int]]:
    start, stop = max(first, 0), min(first + side, length)
    return slice(start, stop), (start - first, first + side - stop)
