"""An opened image whose pixels are in memory: decoded once, however often it is looked at."""

from dataclasses import dataclass
from types import TracebackType

import numpy as np
from jaxtyping import Shaped

from segdistill.data.image import ImageSource, Window, checked_window, stated_names

WHOLE = 2**24
"""Images of up to so many pixels are held; larger ones are read window by window, as often as they are looked at."""


@dataclass(frozen=True, eq=False)
class Held:
    """An ``ImageSource`` that needs its file no more."""

    array: Shaped[np.ndarray, "c y x"]
    """All of its pixels."""

    channels: tuple[str, ...]
    """As in ``ImageSource``."""

    pixel_size: float | None
    """As in ``ImageSource``."""

    source: str
    """As in ``ImageSource``."""

    stated: tuple[str, ...] = ()
    """As in ``Image``."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, pixels along y, pixels along x."""
        channels, height, width = self.array.shape
        return channels, height, width

    @property
    def dtype(self) -> np.dtype:
        """Type of the pixels."""
        return self.array.dtype

    def read(self, window: Window | None = None) -> Shaped[np.ndarray, "c y x"]:
        """Return the pixels of a window, not to be written to; None means the whole image."""
        return self.array[:, *checked_window(window, self.shape[1:], source=self.source)]

    def close(self) -> None:
        """Do nothing: no file is open."""

    def __enter__(self) -> "Held":
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: no file is open."""


def held(opened: ImageSource) -> ImageSource:
    """Return an opened image with its pixels in memory; as it is if it is larger than ``WHOLE``.

    Raises:
        DataError: It is damaged.
    """
    if opened.shape[1] * opened.shape[2] > WHOLE:
        return opened
    array = opened.read()
    array.flags.writeable = False
    return Held(array, opened.channels, opened.pixel_size, opened.source, stated_names(opened))
