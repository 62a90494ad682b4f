"""Writing clips, frame by frame, whole or not at all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from segdistill.errors import MissingExtra, ShapeError
from segdistill.files import whole_file

Add = Callable[[UInt8[np.ndarray, "..."]], None]
"""Takes the next frame."""


@dataclass(frozen=True)
class Codec:
    """How frames are compressed. Both are built into every FFmpeg, and every frame can be read without another one."""

    name: str
    """In FFmpeg's words."""
    given: str
    """Layout of the frames that are handed over."""
    stored: str
    """Layout in which they are stored."""
    options: tuple[tuple[str, str], ...]


COLOUR = Codec("mjpeg", "rgb24", "yuvj444p", (("qmin", "2"), ("qmax", "3")))
"""y x 3, as JPEG pictures of full colour resolution, so that thin coloured lines stay sharp."""

GREY = Codec("ffv1", "gray", "gray", (("level", "3"), ("slicecrc", "1"), ("g", "1")))
"""y x, without loss; damage is found by checksums."""


@contextmanager
def clip_file(path: Path, *, size: tuple[int, int], rate: Fraction, codec: Codec) -> Iterator[Add]:
    """Yield what takes the frames of a clip in order; on success the file is there.

    Args:
        path: Ends in .avi.
        size: Pixels along y and x.
        rate: Frames per second.
        codec: ``COLOUR`` or ``GREY``.

    Raises:
        MissingExtra: PyAV is not installed.
        ShapeError: A frame has another size.
        EnvironmentFault: The disk is full or the folder cannot be written.
    """
    try:
        import av
    except ImportError as error:
        raise MissingExtra("PyAV", "video", f"Writing {path}") from error
    height, width = size
    with whole_file(path) as partial, av.open(str(partial), "w", format="avi", options={"fflags": "bitexact"}) as file:
        stream: Any = file.add_stream(codec.name, rate=rate, options=dict(codec.options))
        stream.width, stream.height, stream.pix_fmt = width, height, codec.stored

        def add(frame: UInt8[np.ndarray, "..."]) -> None:
            if frame.shape[:2] != size:
                own, wanted = (" × ".join(map(str, each)) for each in (frame.shape[:2], size))
                raise ShapeError(f"A frame of {own} pixels (y × x) was given to {path}, whose frames have {wanted}.")
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format=codec.given)
            file.mux(stream.encode(picture))

        yield add
        file.mux(stream.encode(None))
