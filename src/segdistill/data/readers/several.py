"""One image from several files, one file per channel."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np
from jaxtyping import Shaped

from segdistill.data.image import ImageSource, Window
from segdistill.data.readers import pixel_size as sizes
from segdistill.errors import DataError


@dataclass(eq=False)
class OneFilePerChannel:
    """Opened files that together are one image."""

    files: Sequence[ImageSource]
    channels: tuple[str, ...]
    source: str
    pixel_size: float | None
    dtype: np.dtype = field(init=False)
    shape: tuple[int, int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.dtype = self.files[0].dtype
        self.shape = (len(self.files), *self.files[0].shape[1:])

    def read(self, window: Window | None = None) -> Shaped[np.ndarray, "c y x"]:
        """Return a window of all channels, or the whole image; see ``ImageSource.read``."""
        return np.concatenate([file.read(window) for file in self.files])

    def close(self) -> None:
        """Close all files."""
        with ExitStack() as stack:
            for file in self.files:
                stack.callback(file.close)

    def __enter__(self) -> "OneFilePerChannel":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def join(files: Mapping[str, ImageSource]) -> OneFilePerChannel:
    """Return opened files of one channel each as one image, its channels named by the mapping's keys.

    Raises:
        DataError: A file has several channels, or sizes, types or pixel sizes differ.
    """
    opened = list(files.values())
    for name, file in files.items():
        if file.shape[0] != 1:
            raise DataError(
                f"{file.source} is to be the channel {name!r}, but has {file.shape[0]} channels itself:"
                f" {', '.join(file.channels)}. Save the one you mean alone."
            )
    _check_equal(
        (f"{file.source} {file.shape[1]} × {file.shape[2]} pixels" for file in opened), [file.shape for file in opened]
    )
    _check_equal((f"{file.source} {file.dtype}" for file in opened), [file.dtype for file in opened])
    known = [file.pixel_size for file in opened if file.pixel_size is not None]
    source = ", ".join(file.source for file in opened)
    size = sizes.square(min(known), max(known), source=f"The image of the files {source}") if known else None
    return OneFilePerChannel(opened, tuple(files), source, size)


def _check_equal(described: Iterable[str], values: Sequence[object]) -> None:
    if any(value != values[0] for value in values):
        raise DataError(
            f"Files that are to be the channels of one image differ: {'; '.join(described)}."
            " Save them alike, in one size and one type of pixel."
        )
