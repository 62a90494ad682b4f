"""TIFF, BigTIFF, OME-TIFF and ImageJ TIFF, through tifffile; windows decode only the tiles or strips they touch."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import tifffile

from segdistill.data.readers.faults import native_dtype, reading
from segdistill.data.readers.layout import Layout, find_layout
from segdistill.data.readers.mapped import MappedPixels
from segdistill.data.readers.naming import colour_names, name_channels
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
    """Return a TIFF image of any flavour.

    Axes, channel names and pixel size are those of the OME or ImageJ metadata; an RGB image has the
    channels red, green and blue. Of a pyramid the full resolution is read.

    Args:
        path: The file.
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
            file = stack.enter_context(tifffile.TiffFile(path))
            series = _only_series(file, source)
            check_whole(file, series, source=source, fill_missing=fill_missing)
            _check_colours(series, source)
            metadata = read_metadata(file, series)
            native_dtype(series.keyframe.dtype, source=source)
            stored = _stored(series)
        layout = find_layout(series.shape, series.axes, axes, source=source)
        samples, alpha = _samples(series, layout)
        return OpenedImage(
            stored=stored,
            layout=layout,
            channels=_names(series, metadata, samples, channels, source),
            source=source,
            kind="TIFF",
            pixel_size=metadata.pixel_size(source),
            alpha=alpha,
            on_close=stack.pop_all().close,
        )


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


def _samples(series: tifffile.TiffPageSeries, layout: Layout) -> tuple[int, bool]:
    """Return the number of channels without alpha, and whether an alpha channel follows them."""
    page = series.keyframe
    place = series.axes.find("S")
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
    colour = series.keyframe.photometric in {tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR}
    found = colour_names(samples) if colour and "S" in series.axes else metadata.channels
    return name_channels(samples, found=found, given=given, source=source)
