"""TIFF, BigTIFF, OME-TIFF and ImageJ TIFF, through tifffile; windows decode only the tiles or strips they touch.

Of a file with an axis of time each frame is an image of its own.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from segdistill.data.readers.faults import native_dtype, reading
from segdistill.data.readers.layout import Layout, find_frames, find_layout
from segdistill.data.readers.mapped import MappedPixels
from segdistill.data.readers.naming import colour_names, name_channels, replaced_names
from segdistill.data.readers.planes import chosen_plane, file_of, number_of
from segdistill.data.readers.source import OpenedImage, StoredArray
from segdistill.data.readers.tiff_damage import check_whole
from segdistill.data.readers.tiff_metadata import Metadata, read_metadata
from segdistill.errors import DataError

SUFFIXES = (".tif", ".tiff", ".btf", ".tf2", ".tf8")
_LESSER = {"thumbnail", "label", "macro", "overview", "label image", "macro image", "overview image"}
_MEANT_AS_IS = {"ome", "imagej"}
_REFUSED = {
    "SEPARATED": "it is CMYK, made for printing",
    "PALETTE": "its numbers are places in a palette",
    "MINISWHITE": "it stores white as zero",
    "YCBCR": "it stores brightness and colour differences",
    "CIELAB": "it stores CIELAB colours",
    "ICCLAB": "it stores CIELAB colours",
    "ITULAB": "it stores CIELAB colours",
    "LOGLUV": "it stores LogLuv colours",
    "CFA": "it is the raw mosaic of a camera",
    "MASK": "it is a transparency mask",
}


def open_tiff(path: Path, *, channels: Sequence[str] | None, axes: str | None, fill_missing: bool) -> OpenedImage:
    """Return a TIFF image of any flavour, or one frame of it.

    Axes, channel names and pixel size are those of the OME or ImageJ metadata; an RGB image has the
    channels red, green and blue. Of a pyramid the full resolution is read.

    Args:
        path: The file, if it holds one frame; else a path into it, see ``segdistill.data.readers.planes``. Such a path
            says itself that the planes of a file that does not call them anything, or depth, are frames.
        channels: Names, in the file's order; None takes the file's own.
        axes: Letters, in the file's order; None takes the file's own.
        fill_missing: Whether tiles that the file leaves out are zeros on purpose.

    Raises:
        DataError: The file is cut short, planes or tiles are missing, it holds several images, or
            what it holds is ambiguous or not grey or RGB.
    """
    source = str(path)
    with ExitStack() as stack:
        with reading(source, "TIFF"):
            file = stack.enter_context(tifffile.TiffFile(file_of(path)))
            series = _only_series(file, source)
            if number_of(path) is None:
                check_whole(file, series, source=source, fill_missing=fill_missing)
            else:
                facts = file_of(path).stat()
                _check_once(file_of(path), facts.st_mtime_ns, facts.st_size, fill_missing)
            _check_colours(series, source)
            metadata = read_metadata(file, series)
            native_dtype(series.keyframe.dtype, source=source)
            stored = _stored(series)
        frames = _frames(series, axes, source, anyhow=number_of(path) is not None)
        place = chosen_plane(path, frames.count, what="frames")
        if frames.axis is not None:
            stored = _Frame(stored, frames.axis, place)
        layout = find_layout(frames.rest(series.shape), "".join(frames.rest(frames.letters)), None, source=source)
        samples, alpha = _samples(series, layout, "".join(frames.rest(series.axes)))
        return OpenedImage(
            stored=stored,
            layout=layout,
            channels=_names(series, metadata, samples, channels, source),
            stated=() if _is_colour(series) else replaced_names(metadata.channels, channels),
            source=source,
            kind="TIFF",
            pixel_size=metadata.pixel_size(source),
            alpha=alpha,
            on_close=stack.pop_all().close,
        )


def count_frames(path: Path, axes: str | None = None) -> int:
    """Return how many frames a file holds: how long its axis of time is.

    Raises:
        DataError: It cannot be read, or its axes are not those that were stated.
    """
    with reading(str(path), "TIFF"), tifffile.TiffFile(path) as file:
        return _frames(_only_series(file, str(path)), axes, str(path), anyhow=False).count


def count_label_frames(path: Path) -> int:
    """Return how many planes of labels a file holds: they are frames or slices, since labels have no channels.

    Raises:
        DataError: It cannot be read.
    """
    with reading(str(path), "TIFF"), tifffile.TiffFile(path) as file:
        return _frames(_only_series(file, str(path)), None, str(path), anyhow=True).count


@dataclass(frozen=True)
class _Frames:
    """Where a file's frames are."""

    letters: str
    """Of all axes."""

    axis: int | None
    """Which of them counts frames; None: there is one frame."""

    count: int

    def rest(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """Return what belongs to the axes of one frame."""
        return tuple(value for place, value in enumerate(values) if place != self.axis)


def _frames(series: tifffile.TiffPageSeries, axes: str | None, source: str, *, anyhow: bool) -> _Frames:
    """Return where the frames of a file are; ``anyhow`` also takes the one axis of planes that are not channels."""
    letters, axis = find_frames(series.shape, series.axes, axes, source=source)
    if axis is None and anyhow:
        planes = [
            place
            for place, (letter, length) in enumerate(zip(letters, series.shape, strict=True))
            if length != 1 and letter not in "yxcs"
        ]
        axis = planes[0] if len(planes) == 1 else None
    return _Frames(letters, axis, 1 if axis is None else series.shape[axis])


@dataclass(frozen=True, eq=False)
class _Frame:
    """One frame of a stored film."""

    stored: StoredArray
    axis: int
    place: int

    @property
    def dtype(self) -> np.dtype:
        """Type of the pixels."""
        return self.stored.dtype

    def __getitem__(self, index: Any, /) -> np.ndarray:
        return np.asarray(self.stored[(*index[: self.axis], self.place, *index[self.axis :])])


@lru_cache(maxsize=64)
def _check_once(path: Path, changed: int, size: int, fill_missing: bool) -> None:
    """Refuse a file that does not hold all it says; of many frames each asks."""
    del changed, size  # they tell a file from what it was before
    with tifffile.TiffFile(path) as file:
        check_whole(file, _only_series(file, str(path)), source=str(path), fill_missing=fill_missing)


def _only_series(file: tifffile.TiffFile, source: str) -> tifffile.TiffPageSeries:
    """Return the image of a file that holds one, thumbnails and slide labels aside."""
    images = [
        series
        for place, series in enumerate(file.series)
        if place == 0 or not (series.keyframe.is_reduced or series.name.lower() in _LESSER)
    ]
    if not images:
        raise DataError(f"{source} holds no image. Export it again from its source.")
    if len(images) > 1:
        shapes = ", ".join("×".join(map(str, series.shape)) for series in images)
        raise DataError(f"{source} holds {len(images)} images ({shapes}). Save the one you mean in a file of its own.")
    return images[0]


def _check_colours(series: tifffile.TiffPageSeries, source: str) -> None:
    page = series.keyframe
    name = tifffile.PHOTOMETRIC(page.photometric).name
    # tifffile turns YCbCr compressed by JPEG into RGB. ImageJ and OME files with a palette show measured
    # numbers in colours; their numbers are what was measured.
    decoded = name == "YCBCR" and "JPEG" in tifffile.COMPRESSION(page.compression).name
    measured = name in {"PALETTE", "MINISWHITE"} and series.kind in _MEANT_AS_IS
    if name in _REFUSED and not (decoded or measured):
        raise DataError(
            f"{source} is neither grey nor RGB: {_REFUSED[name]} ({name})."
            " Convert it to grey or RGB in the program it comes from and save it again."
        )
    turned = page.tags.valueof(274, 1)
    if turned not in {0, 1}:
        raise DataError(
            f"{source} asks to be turned when it is shown (TIFF orientation {int(turned)}), so it is not certain how"
            " its label lies on it. Turn the pixels themselves and save the picture without this tag."
        )


def _stored(series: tifffile.TiffPageSeries) -> StoredArray:
    """Return the pixels, unread: mapped where they lie in the file as they are, else tile by tile."""
    page = series.keyframe
    if series.dataoffset is not None and page.is_memmappable and not series.is_multifile:
        assert page.dtype is not None  # noqa: S101 - the caller has refused files without
        stored = page.dtype.newbyteorder(page.parent.byteorder)
        return MappedPixels(Path(page.parent.filehandle.path), stored, series.dataoffset, series.shape)
    import zarr

    return zarr.open_array(store=series.aszarr(level=0), mode="r")


def _samples(series: tifffile.TiffPageSeries, layout: Layout, axes: str) -> tuple[int, bool]:
    """Return the number of channels without alpha, and whether an alpha channel follows them.

    Args:
        series: The image.
        layout: Of one frame.
        axes: The file's own letters for it.
    """
    page = series.keyframe
    place = axes.find("S")
    if place < 0 or layout.channel != place:
        return layout.count, False
    colour = page.photometric in {tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR}
    extra = tuple(page.extrasamples or ())
    declared = bool(extra) and extra[-1] in {tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA}
    alpha = declared or (colour and layout.count == 4)
    return layout.count - alpha, alpha


def _names(
    series: tifffile.TiffPageSeries, metadata: Metadata, samples: int, given: Sequence[str] | None, source: str
) -> tuple[str, ...]:
    found = colour_names(samples) if _is_colour(series) else metadata.channels
    return name_channels(samples, found=found, given=given, source=source)


def _is_colour(series: tifffile.TiffPageSeries) -> bool:
    colours = {tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR}
    return series.keyframe.photometric in colours and "S" in series.axes
