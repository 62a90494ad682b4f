"""What an image is, in memory and as an opened file."""

import math
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Shaped

from segdistill.errors import DataError, ShapeError

Window = tuple[slice, slice]
"""A rectangle of an image: a slice of y and a slice of x, in pixels."""


@dataclass(frozen=True, eq=False)
class Image:
    """One field, all of it in memory.

    >>> Image(np.zeros((2, 4, 5), np.uint8), ("nucleus", "membrane"), 0.5, "a test").channels
    ('nucleus', 'membrane')
    """

    array: Shaped[np.ndarray, "c y x"]
    """The pixels, in the type in which the file stores them."""

    channels: tuple[str, ...]
    """Name of each channel, all different."""

    pixel_size: float | None
    """Side of a pixel, micrometres; None where nothing says."""

    source: str
    """The file, or what else the image came from: for messages."""

    inverted: bool = False
    """Whether its brightness was turned round when it was read; see ``segdistill.data.inversion``."""

    stated: tuple[str, ...] = ()
    """Names that its file itself states, where the user gave others; else empty."""

    def __post_init__(self) -> None:
        if len(self.channels) != self.array.shape[0] or len(set(self.channels)) != len(self.channels):
            raise ShapeError(
                f"{self.source} has {self.array.shape[0]} channels, but its names are"
                f" {', '.join(self.channels) or 'none'}. Give each channel one name of its own."
            )
        if self.pixel_size is not None and not (self.pixel_size > 0 and math.isfinite(self.pixel_size)):
            raise DataError(
                f"{self.source} has a pixel size of {self.pixel_size} µm."
                " It must be above 0, or None if it is not known."
            )


@runtime_checkable
class ImageSource(Protocol):
    """An opened image file; nothing is decoded until it is read.

    It is a context manager, and is read by one thread at a time.
    """

    @property
    def channels(self) -> tuple[str, ...]:
        """Name of each channel, all different."""
        ...

    @property
    def pixel_size(self) -> float | None:
        """Side of a pixel, micrometres; None where nothing says."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, pixels along y, pixels along x."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """Type of the pixels that ``read`` returns, in this machine's byte order."""
        ...

    @property
    def source(self) -> str:
        """The file, or what else the image comes from: for messages."""
        ...

    def read(self, window: Window | None = None) -> Shaped[np.ndarray, "c y x"]:
        """Return the pixels of a window; None means the whole image.

        Raises:
            ShapeError: The window is not inside the image.
            DataError: What the window needs is missing or damaged.
        """
        ...

    def close(self) -> None:
        """Close the file. Closing it again does nothing."""
        ...

    def __enter__(self) -> "ImageSource": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def stated_names(image: ImageSource) -> tuple[str, ...]:
    """Return the names that an opened file itself states, where the user gave others; () where it has none.

    Sources other than this package's need not say.
    """
    return getattr(image, "stated", ())


def checked_window(window: Window | None, size: tuple[int, int], *, source: str) -> Window:
    """Return a window whose bounds are all stated, after checking that it lies inside the image.

    Args:
        window: None is the whole image; a bound of None is the image's edge.
        size: Pixels along y and x.
        source: For the message.

    Raises:
        ShapeError: The window is empty, has a step, counts from the end or leaves the image.

    >>> checked_window((slice(1, 3), slice(None)), (4, 5), source="a.tif")
    (slice(1, 3, None), slice(0, 5, None))
    """
    if window is None:
        return slice(0, size[0]), slice(0, size[1])
    spans = [
        (part.start or 0, length if part.stop is None else part.stop) for part, length in zip(window, size, strict=True)
    ]
    steps = [part.step for part in window]
    inside = all(0 <= start < stop <= length for (start, stop), length in zip(spans, size, strict=True))
    if not inside or any(step not in {None, 1} for step in steps):
        asked = ", ".join(f"{part.start}:{part.stop}" + (f":{part.step}" if part.step else "") for part in window)
        raise ShapeError(
            f"The window [{asked}] (y, x) does not lie inside {source}, which has {size[0]} × {size[1]} pixels."
            " Ask for a window of at least one pixel inside the image, without a step."
        )
    return slice(*spans[0]), slice(*spans[1])
