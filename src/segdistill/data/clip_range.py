"""The numbers that become 0 and 1 in all frames of a clip, so that its brightness does not jump from frame to frame."""

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager

import numpy as np
from jaxtyping import Float32, Shaped

from segdistill.data.channels import BLANK, select
from segdistill.data.finite import refuse_non_finite
from segdistill.data.image import ImageSource
from segdistill.data.normalisation import PercentileRule, in_single_precision, percentiles_of
from segdistill.errors import DataError

_MOST = 2**24
"""So many pixels of each channel are measured."""

Open = Callable[[], AbstractContextManager[ImageSource]]
"""Opens a frame."""


def measure_clip_range(
    frames: Sequence[Open], rule: PercentileRule, *, names: Sequence[str], ignore_non_finite: bool = False
) -> tuple[Float32[np.ndarray, " c"], Float32[np.ndarray, " c"]]:
    """Return the numbers that become 0 and 1 in each wanted channel of a clip.

    All frames are read once, in order, and none is kept. Percentiles are those of all pixels of the clip together:
    exact up to 16 megapixels (2**24), else those of every n-th pixel.

    Args:
        frames: Of the clip, in order. Damaged ones are passed over.
        rule: Which percentiles.
        names: Names of the wanted channels, as for ``measure_range``.
        ignore_non_finite: Whether NaN and infinite pixels count as the channel's lowest finite number in the clip
            instead of being refused with their frame.

    Returns:
        As ``measure_range``; as there, where both percentiles are one number they are the lowest and highest.

    Raises:
        DataError: No frame can be read, or the numbers are too large for so small a difference.
    """
    kept: list[np.ndarray] = []
    lowest, highest = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    step, refused, source = 0, None, ""
    for number, frame in enumerate(frames):
        try:
            with frame() as opened:
                source = opened.source
                chosen = select(opened.read(), opened.channels, names, source=source)
            if not ignore_non_finite:
                refuse_non_finite(chosen, names, source=source)
        except DataError as error:
            refused = refused or error
            continue
        pixels = chosen.reshape(len(names), -1)
        step = step or _step(len(frames) * pixels.shape[1], chosen.shape[2])
        finite = np.isfinite(pixels)
        lowest = np.minimum(lowest, np.where(finite, pixels, np.inf).min(axis=1))
        highest = np.maximum(highest, np.where(finite, pixels, -np.inf).max(axis=1))
        kept.append(pixels[:, (-number * pixels.shape[1]) % step :: step].copy())  # as if frames were one long row
    if not kept:
        raise refused or DataError("A clip without frames has no range of brightness. Give at least one frame.")
    ends = np.where(lowest <= highest, np.stack([lowest, highest]), 0).T
    pixels_of = map(np.concatenate, _channels(kept))
    every = zip(pixels_of, ends[:, 0].tolist(), strict=True)
    ranges = np.array([percentiles_of(*each, rule) for each in every], np.float64)
    flat = (ranges[:, 0] == ranges[:, 1]) & [name != BLANK for name in names]
    ranges[flat] = ends[flat]
    return in_single_precision(ranges, names, source)


def _channels(kept: Sequence[Shaped[np.ndarray, "c _"]]) -> Iterable[list[np.ndarray]]:
    return ([pixels[place] for pixels in kept] for place in range(len(kept[0])))


def _step(pixels: int, width: int) -> int:
    """Return every which pixel is measured: no step keeps to some columns.

    >>> _step(1000, 10), _step(3 * 2**24, 9), _step(3 * 2**24, 10)
    (1, 4, 3)
    """
    step = max(1, -(-pixels // _MOST))
    while math.gcd(step, width) > 1:
        step += 1
    return step
