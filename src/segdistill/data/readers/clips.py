"""Clips, .mp4, .m4v, .mov and .avi, one frame at a time, through PyAV: grey, or red, green and blue."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from segdistill.data.readers.clip_decoder import decode_frame
from segdistill.data.readers.clip_index import KIND, read_index
from segdistill.data.readers.layout import find_layout
from segdistill.data.readers.naming import colour_names, name_channels
from segdistill.data.readers.planes import chosen_plane, file_of
from segdistill.data.readers.source import OpenedImage


@dataclass(eq=False)
class _Frame:
    """A frame that is decoded when its pixels are first asked for, and kept until it is closed."""

    path: Path
    number: int
    dtype: np.dtype
    _pixels: np.ndarray | None = field(init=False, default=None)

    def __getitem__(self, index: Any, /) -> np.ndarray:
        if self._pixels is None:
            self._pixels = decode_frame(self.path, self.number)
        return self._pixels[index].copy()

    def forget(self) -> None:
        """Free the memory of the frame."""
        self._pixels = None


def open_clip(path: Path, *, channels: Sequence[str] | None, axes: str | None, fill_missing: bool) -> OpenedImage:
    """Return one frame of a clip; it is decoded when a window is first read.

    Read in order, each frame is decoded once. What was compressed as brightness and colour becomes red, green and blue,
    of 16 bits where the file has more than 8; what is stored as grey alone stays grey.

    Args:
        path: A path to a frame in the file, see ``segdistill.data.readers.planes``.
        channels: Names of the channels; None takes red, green and blue, or none.
        axes: The file states its axes; others are refused.
        fill_missing: Nothing can be missing.

    Raises:
        MissingExtra: PyAV is not installed.
        DataError: See ``read_index``, or the file has no such frame. That a frame is damaged is seen when it is read.
    """
    del fill_missing
    source = str(path)
    index = read_index(file_of(path))
    frame = _Frame(file_of(path), chosen_plane(path, len(index.times), what="frames"), index.dtype)
    shape = index.size if index.colours == 1 else (*index.size, index.colours)
    return OpenedImage(
        stored=frame,
        layout=find_layout(shape, "yxs"[: len(shape)], axes, source=source),
        channels=name_channels(index.colours, found=colour_names(index.colours), given=channels, source=source),
        source=source,
        kind=KIND,
        on_close=frame.forget,
    )


def count_frames(path: Path) -> int:
    """Return how many frames a clip holds; see ``read_index`` for what is raised."""
    return len(read_index(path).times)
