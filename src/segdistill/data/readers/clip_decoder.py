"""Decoding the frames of a clip one after another, and telling the damaged ones by their numbers."""

import os
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from jaxtyping import Shaped

from segdistill.data.readers.clip_index import KIND, opened, read_index
from segdistill.data.readers.faults import reading
from segdistill.errors import DataError

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream

_WORTH_A_JUMP = 16
"""Frames that are rather decoded than jumped over."""


def decode_frame(path: Path, number: int) -> Shaped[np.ndarray, "..."]:
    """Return a frame of a clip: y x, or y x and three colours.

    The clip stays open, so that the next frame costs no more than to decode it. Others are found from the frame before
    them that builds on no other.

    Args:
        path: The clip.
        number: Of the frame, counted from 0.

    Raises:
        DataError: The frame is damaged, or builds on one that is. Others can still be read.
    """
    with reading(str(path), KIND):
        facts = path.stat()
    return _decoder(path, facts.st_mtime_ns, facts.st_size, os.getpid()).frame(number)


@lru_cache(maxsize=4)
def _decoder(path: Path, changed: int, size: int, process: int) -> "_Decoder":
    del changed, size, process  # they tell a file from what it was before, and an open file from its parent process's
    return _Decoder(path)


@contextmanager
def _overheard(stream: "VideoStream") -> Iterator[list[str]]:
    """Yield a list in which, afterwards, is what a decoder of checksums complained of in this thread.

    FFV1's finds wrong checksums, tells of them in its log, and hands the frame out as if it were whole.
    """
    said: list[str] = []
    if stream.codec_context.name != "ffv1":
        yield said
        return
    from av import logging

    before = logging.get_level()
    logging.set_level(logging.ERROR)
    try:
        with logging.Capture() as lines:
            yield said
        said += [text for _, _, text in lines]
    finally:
        logging.set_level(before)


class _Decoder:
    """A clip that is open, and how far it was decoded."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._index = read_index(path)
        self._lock = Lock()
        self._damaged: dict[int, int] = {}  # frame to the frame with the damage
        self._open()

    def _open(self) -> None:
        """Begin at the first frame."""
        self._stack = ExitStack()
        self._container, self._stream = self._stack.enter_context(opened(self._path))
        self._begin_at(0)

    def _begin_at(self, number: int) -> None:
        self._first = number
        self._shown: tuple[int, VideoFrame | None] | None = None
        self._frames = self._decoded()

    def frame(self, number: int) -> Shaped[np.ndarray, "..."]:
        with self._lock, reading(str(self._path), KIND):
            found = None if number in self._damaged else self._find(number)
            if found is None or number in self._damaged:
                self._refuse(number)
            return self._array(found, number)

    def _find(self, number: int) -> "VideoFrame | None":
        """Return a frame as it is decoded; None: its packet gives none."""
        self._approach(number)
        while self._shown is None or self._shown[0] < number:
            self._shown = next(self._frames, (len(self._index.times), None))  # behind the last there is nothing
        if self._shown[0] == number:
            return self._shown[1]
        self._damaged.setdefault(number, number)
        return None

    def _approach(self, number: int) -> None:
        """Go where decoding reaches a frame soonest."""
        at = -1 if self._shown is None else self._shown[0]
        key = self._index.keys[bisect_right(self._index.keys, number) - 1]
        if at == number or (at < number and key - at <= _WORTH_A_JUMP):
            return
        self._container.seek(self._index.places[key], stream=self._stream, backward=True)
        self._begin_at(key)
        self._shown = next(self._frames, None)
        if self._shown is None or self._shown[0] > key:  # the file's own table of places is wrong
            self._stack.close()
            self._open()

    def _decoded(self) -> "Iterator[tuple[int, VideoFrame]]":
        """Yield frames with their numbers, and note which are damaged."""
        from av.error import FFmpegError

        for packet in self._container.demux(self._stream):
            try:
                with _overheard(self._stream) as said:
                    frames = packet.decode()
            except FFmpegError:
                self._note_damage(packet.pts)
                continue
            if any("CRC" in text for text in said):
                self._note_damage(packet.pts)
            for frame in frames:
                if frame.is_corrupt:
                    self._note_damage(frame.pts)
                number = self._index.numbers.get(-1 if frame.pts is None else frame.pts)
                if number is not None:
                    yield number, frame

    def _note_damage(self, time: int | None) -> None:
        number = self._index.numbers.get(-1 if time is None else time)
        # Frames shown before the one that decoding began with may build on what was jumped over.
        if number is None or number < self._first:
            return
        for other in self._index.resting_on(number):
            self._damaged.setdefault(other, number)

    def _array(self, frame: "VideoFrame", number: int) -> Shaped[np.ndarray, "..."]:
        if frame.rotation % 360:
            raise DataError(
                f"{self._path} asks to be turned by {frame.rotation}° when it is shown, so it is not certain how its"
                f" labels lie on it. Turn its pixels: ffmpeg -i {self._path.name} -c:v mjpeg -q:v 2"
                f" {self._path.stem}.new.avi"
            )
        if (frame.height, frame.width) != self._index.size:
            own, wanted = (" × ".join(map(str, size)) for size in ((frame.height, frame.width), self._index.size))
            raise DataError(
                f"Frame {number + 1} of {self._path} has {own} pixels (y × x), but the clip has {wanted}. Cut the clip"
                " where its size changes."
            )
        return frame.to_ndarray(format=self._index.pixels)

    def _refuse(self, number: int) -> NoReturn:
        root = self._damaged[number]
        what = "is damaged" if root == number else f"builds on frame {root + 1}, which is damaged"
        raise DataError(
            f"Frame {number + 1} of {self._path} {what}. Copy or export the clip again from its source, or do without"
            f" this frame. If other programs show it well: ffmpeg -i {self._path.name} -c:v mjpeg -q:v 2"
            f" {self._path.stem}.new.avi"
        )
