"""A small picture of a case, and what its labels measure: enough to look at many cases and to find odd ones."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Shaped

from segdistill.data.finite import filled
from segdistill.data.held import WHOLE
from segdistill.data.image import ImageSource
from segdistill.data.normalisation import PercentileRule, measure_range, normalise
from segdistill.data.overlays import find_overlays
from segdistill.data.pieces import boxes_of, pieces_of
from segdistill.data.scans import says_written_on
from segdistill.data.survey import Seen

SIDE = 256
"""Longer side of the picture, pixels at most."""

_SAMPLE = 4096
"""Pixels per channel that are kept as the file holds them."""


@dataclass(frozen=True)
class LabelMeasures:
    """What the labels of one set are like in one case, at full size."""

    pixels: Mapping[int, int]
    """Number in the file, other than 0, to how many pixels have it."""

    torn: tuple[int, ...]
    """Numbers whose pixels lie in several pieces, which are connected by sides or corners."""

    cut: tuple[int, ...]
    """Numbers that touch the edge of the image: objects that may go on beyond it."""

    size: int
    """Pixels of the whole plane."""

    @property
    def covered(self) -> float:
        """Share of the plane that is not background."""
        return sum(self.pixels.values()) / self.size


@dataclass(frozen=True, eq=False)
class Glimpse:
    """A case, small."""

    name: str
    """Of the case."""

    channels: tuple[str, ...]
    """Of the image."""

    view: Float32[np.ndarray, "c y x"]
    """The whole image by every so manieth pixel, 0 to 1 by the percentiles that students are given."""

    sample: Float[np.ndarray, "c n"]
    """Some pixels, evenly spread, as the file holds them."""

    normalised: Float[np.ndarray, "c n"]
    """The same pixels, normalised."""

    clipped: tuple[float, ...]
    """Per channel: share of the sampled pixels that have the largest number of their type; 0 for fractions."""

    labels: Mapping[str, Int[np.ndarray, "y x"]]
    """Label set to its numbers on the same grid as the view."""

    measures: Mapping[str, LabelMeasures]
    """Label set to what was measured at full size."""

    overlays: tuple[str, ...]
    """What seems to be written into the picture, or is said to be, in words; see ``find_overlays``."""

    counts: Bool[np.ndarray, "y x"]
    """False where a pixel counts for nothing."""


def glimpse(seen: Seen, *, side: int = SIDE) -> Glimpse:
    """Return a small picture of a case.

    Args:
        seen: As ``survey`` hands it out. Nothing of it is kept.
        side: Longer side of the picture, pixels at most.

    Raises:
        DataError: The image cannot be read.
    """
    image = seen.image
    _, height, width = image.shape
    stride = max(1, -(-max(height, width) // side))
    low, high = measure_range(image, PercentileRule(), names=image.channels, ignore_non_finite=True)
    thin, whole = _thinned(image, stride)
    every = max(1, -(-thin[0].size // _SAMPLE))
    sample = thin.reshape(len(image.channels), -1)[:, ::every]
    most = np.iinfo(thin.dtype).max if thin.dtype.kind in "iu" else np.inf
    return Glimpse(
        name=seen.case.name,
        channels=image.channels,
        view=normalise(thin, low, high),
        sample=sample.astype(np.float64),
        normalised=normalise(sample[:, None], low, high)[:, 0].astype(np.float64),
        clipped=tuple((sample == most).mean(axis=1).tolist()),
        labels={name: plane[::stride, ::stride].copy() for name, plane in seen.labels.items()},
        measures={name: measure_labels(plane) for name, plane in seen.labels.items()},
        overlays=(
            *(("text is burnt in, as its DICOM file says",) if says_written_on(seen.case) else ()),
            *(() if whole is None else find_overlays(whole, image.channels)),
        ),
        counts=seen.counts[::stride, ::stride].copy(),
    )


def measure_labels(plane: Int[np.ndarray, "y x"]) -> LabelMeasures:
    """Return how large the objects of a label image are, and which lie in pieces.

    >>> measure_labels(np.array([[1, 0, 1, 7]]))
    LabelMeasures(pixels={1: 2, 7: 1}, torn=(1,), cut=(1, 7), size=4)
    """
    numbers, inverse, sizes = np.unique(plane, return_inverse=True, return_counts=True)
    places = inverse.reshape(plane.shape) + 1  # 0 is what no window is looked for
    torn = [
        int(numbers[place - 1])
        for place, window in boxes_of(places)
        if numbers[place - 1] and pieces_of(places[window] == place)[1] > 1
    ]
    pixels = {int(number): int(size) for number, size in zip(numbers, sizes, strict=True) if number}
    edge = np.unique(np.concatenate([plane[0], plane[-1], plane[:, 0], plane[:, -1]]))
    return LabelMeasures(pixels, tuple(torn), tuple(edge[edge > 0].tolist()), plane.size)


def _thinned(
    opened: ImageSource, stride: int
) -> tuple[Shaped[np.ndarray, "c y x"], Shaped[np.ndarray, "c _ _"] | None]:
    """Return every so manieth pixel, finite; and the whole image where it is not too large."""
    _, height, width = opened.shape
    if height * width <= WHOLE:
        whole = filled(opened.read())
        return np.ascontiguousarray(whole[:, ::stride, ::stride]), whole
    rows = [opened.read((slice(y, y + 1), slice(0, width)))[:, :, ::stride] for y in range(0, height, stride)]
    return filled(np.concatenate(rows, axis=1)), None
