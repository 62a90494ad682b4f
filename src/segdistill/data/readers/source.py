"""The one opened image that all readers return: a lazily read array and what its parts mean."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Shaped

from segdistill.data.image import Window, checked_window
from segdistill.data.readers.faults import native_dtype, reading
from segdistill.data.readers.layout import Layout
from segdistill.errors import DataError


@runtime_checkable
class StoredArray(Protocol):
    """An array whose pixels are read when it is indexed: a part of a file, a Zarr array, a picture not yet decoded."""

    @property
    def dtype(self) -> np.dtype:
        """Type of the stored pixels."""
        ...

    def __getitem__(self, index: Any, /) -> Any:
        """Return the indexed pixels, in memory of their own."""
        ...


@dataclass(eq=False, kw_only=True)
class OpenedImage:
    """An opened image file: what every reader of this package returns as its ``ImageSource``."""

    stored: StoredArray
    """The pixels, in the file's axes."""

    layout: Layout
    """Where channel, y and x lie in ``stored``."""

    channels: tuple[str, ...]
    """Names, without the alpha channel."""

    source: str
    """File name."""

    kind: str
    """Format, for messages."""

    pixel_size: float | None = None
    """Micrometres, or None where the file does not say."""

    alpha: bool = False
    """Whether the last stored channel is an alpha channel: checked and dropped when read."""

    stated: tuple[str, ...] = ()
    """Names that the file itself states, where those of ``channels`` stand in their place; else empty."""

    on_close: Callable[[], object] | None = None
    """Closes the file."""

    dtype: np.dtype = field(init=False)
    """Of the pixels that ``read`` returns."""

    shape: tuple[int, int, int] = field(init=False)
    """Channels, y, x."""

    _opacity: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.dtype = native_dtype(self.stored.dtype, source=self.source)
        self.shape = (self.layout.count - self.alpha, *self.layout.size)
        if 0 in self.shape:
            raise DataError(
                f"{self.source} has no pixels: its shape is {self.shape} (channel, y, x). Remove it or export it again."
            )

    def read(self, window: Window | None = None) -> Shaped[np.ndarray, "c y x"]:
        """Return a window of all channels, or the whole image; see ``ImageSource.read``."""
        window = checked_window(window, self.layout.size, source=self.source)
        with reading(self.source, self.kind):
            block = np.asarray(self.stored[self.layout.index(window)])
            array = self.layout.arrange(block)
            if self.alpha:
                self._check_opacity(array[-1])
                array = array[:-1]
            if array.dtype.kind == "b":
                array = np.where(array, np.uint8(255), np.uint8(0))
            return np.ascontiguousarray(array, dtype=self.dtype)

    def _check_opacity(self, alpha: Shaped[np.ndarray, "y x"]) -> None:
        """Refuse an alpha channel that differs from pixel to pixel, also between windows."""
        if self._opacity is None:
            self._opacity = alpha[0, 0].item()
        different = np.count_nonzero(alpha != self._opacity)
        if different:
            raise DataError(
                f"{self.source} has an alpha channel that varies ({different} of the {alpha.size} pixels read are not"
                f" {self._opacity}), so its colours depend on what it is shown upon."
                " Flatten it onto a background, or save it without alpha."
            )

    def close(self) -> None:
        """Close the file. Closing it again does nothing."""
        close, self.on_close = self.on_close, None
        if close is not None:
            close()

    def __enter__(self) -> "OpenedImage":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
