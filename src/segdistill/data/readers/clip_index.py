"""Which frames a clip holds, and when each is shown: found by going through its packets, of which none is decoded."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from segdistill.data.readers.faults import reading
from segdistill.errors import DataError, MissingExtra

if TYPE_CHECKING:
    from av import VideoFormat, VideoStream
    from av.container import InputContainer

SUFFIXES = (".mp4", ".m4v", ".mov", ".avi")
"""Files that say how many frames they hold, so that it is seen when some are missing."""

KIND = "video"
"""For messages."""


@dataclass(frozen=True)
class ClipIndex:
    """The frames of a clip, in the order in which they are shown and counted from 0."""

    times: tuple[int, ...]
    """When each is shown, in units of the file's own clock. No two are equal."""

    places: tuple[int, ...]
    """Where to go in the file to begin with each, in the same units: when it is decoded."""

    keys: tuple[int, ...]
    """Frames that build on no other, in order; the first is among them."""

    order: tuple[int, ...]
    """The frames in the order in which they are stored and decoded, which need not be that in which they are shown."""

    size: tuple[int, int]
    """Pixels along y and x."""

    pixels: str
    """What a frame is turned into, in FFmpeg's words: grey or red, green and blue, of 8 or 16 bits."""

    rate: Fraction | None
    """Frames per second, their mean; None where the file does not say."""

    @cached_property
    def numbers(self) -> dict[int, int]:
        """Time to frame."""
        return {time: number for number, time in enumerate(self.times)}

    @property
    def dtype(self) -> np.dtype:
        """Type of a frame's pixels."""
        return np.dtype(np.uint16 if self.pixels.endswith("le") else np.uint8)

    @property
    def colours(self) -> int:
        """Samples of a pixel: 1 or 3."""
        return 1 if self.pixels.startswith("gray") else 3

    def resting_on(self, number: int) -> Iterator[int]:
        """Yield a frame and all that are decoded from it: those up to the next frame that builds on no other.

        Frames that are stored after that one and shown before it look back over it, and are among them.
        """
        keys = set(self.keys)
        yield number
        end: int | None = None
        for other in self.order[self.order.index(number) + 1 :]:
            if end is None and other in keys:
                end = other
            elif end is None or other < end:
                yield other
            else:
                return


def read_index(path: Path) -> ClipIndex:
    """Return the index of a clip; that of the last few is kept in memory.

    Raises:
        MissingExtra: PyAV is not installed.
        DataError: The file is damaged or cut short, holds no video or several, does not say when frames are shown, or
            its frames are see-through or of pixels that are not square.
    """
    with reading(str(path), KIND):
        facts = path.stat()
        return _read(path, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=32)
def _read(path: Path, changed: int, size: int) -> ClipIndex:
    del changed, size  # they tell a file from what it was before
    with opened(path) as (container, stream):
        found = [packet for packet in container.demux(stream) if packet.size]
        if len(found) < stream.frames:
            _refuse_short(path, len(found), stream.frames)
        shown = [packet for packet in found if not packet.is_discard]  # the rest lies outside of the cut that is shown
        times = [packet.pts for packet in shown]
        if not shown:
            raise DataError(f"{path} holds no frame. Remove it or export it again.")
        if None in times or len(set(times)) < len(times):
            raise DataError(
                f"{path} does not say when each of its frames is shown, so that they cannot be numbered."
                f" Save it anew: ffmpeg -i {path.name} -c:v mjpeg -q:v 2 {path.stem}.new.avi"
            )
        ordered = sorted(shown, key=lambda packet: packet.pts or 0)
        numbers = {packet.pts: number for number, packet in enumerate(ordered)}
        keys = {numbers[packet.pts] for packet in shown if packet.is_keyframe}
        context, rate = stream.codec_context, stream.average_rate
        return ClipIndex(
            times=tuple(packet.pts or 0 for packet in ordered),
            places=tuple((packet.pts if packet.dts is None else packet.dts) or 0 for packet in ordered),
            keys=tuple(sorted(keys | {0})),
            order=tuple(numbers[packet.pts] for packet in shown),
            size=(context.height, context.width),
            pixels=_pixels(context.format, path),
            rate=Fraction(rate.numerator, rate.denominator) if rate else None,
        )


@contextmanager
def opened(path: Path) -> "Iterator[tuple[InputContainer, VideoStream]]":
    """Yield a clip and the one video in it, opened.

    Raises:
        MissingExtra: PyAV is not installed.
        DataError: The file cannot be opened, holds no video or several, or pixels that are not square.
    """
    try:
        import av
    except ImportError as error:
        raise MissingExtra("PyAV", "video", f"Reading {path}") from error
    with reading(str(path), KIND):
        container: Any = av.open(str(path), metadata_errors="replace")
    with container:
        yield container, _only_video(container.streams.video, path)


def _only_video(streams: "Sequence[VideoStream]", path: Path) -> "VideoStream":
    from av.stream import Disposition

    videos = [stream for stream in streams if not stream.disposition & Disposition.attached_pic]
    if len(videos) != 1:
        raise DataError(f"{path} holds {len(videos) or 'no'} videos, but one clip is one video. Save each by itself.")
    video = videos[0]
    if video.sample_aspect_ratio and video.sample_aspect_ratio != 1:  # 0 and None: nothing is said
        raise DataError(
            f"{path} has pixels that are not square (as wide as {video.sample_aspect_ratio} of their height). Bring it"
            f" to square ones: ffmpeg -i {path.name} -vf scale=iw*sar:ih,setsar=1 -c:v mjpeg -q:v 2 {path.stem}.new.avi"
        )
    # Frames decoded by several threads come late, and so would what is wrong with them.
    video.thread_type = "SLICE"
    # Without being told so, decoders make something up where a frame is damaged, and say nothing.
    video.codec_context.options = {"err_detect": "crccheck+explode"}
    if video.codec_context.name == "ffv1":
        video.codec_context.thread_count = 1  # what its decoder says of checksums is heard in one thread alone
    return video


def _pixels(stored: "VideoFormat | None", path: Path) -> str:
    """Return what frames are turned into."""
    if stored is None:
        raise DataError(
            f"{path} is compressed in a way that cannot be decoded here. Convert it: ffmpeg -i {path.name} -c:v mjpeg"
            f" -q:v 2 {path.stem}.new.avi"
        )
    samples, bits = len(stored.components), stored.components[0].bits
    if samples in {2, 4}:
        raise DataError(
            f"{path} is see-through ({stored.name}), so its colours depend on what it is shown upon. Save it without:"
            f" ffmpeg -i {path.name} -pix_fmt yuvj444p -c:v mjpeg -q:v 2 {path.stem}.new.avi"
        )
    if samples == 1 and not stored.has_palette:
        return "gray" if bits <= 8 else "gray16le"
    return "rgb24" if bits <= 8 else "rgb48le"


def _refuse_short(path: Path, found: int, wanted: int) -> NoReturn:
    raise DataError(
        f"{path} is cut short: it holds {found} of the {wanted} frames that it says it has. Copy or export it again"
        f" from its source; or keep what is there: ffmpeg -i {path.name} -c copy {path.stem}.rest{path.suffix}"
    )
