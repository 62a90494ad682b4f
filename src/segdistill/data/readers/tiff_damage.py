"""Finding what a TIFF file lacks before it is read, because readers fill it with zeros or leave it out.

Measured: of an ImageJ stack of 50 planes cut at 60 % tifffile returns one plane and a line in a log;
planes that OME-XML lists and the file has not become zeros; so do tiles of no bytes.
"""

import math
import re
import struct

import numpy as np
import tifffile

from segdistill.data.readers.faults import refuse_claim
from segdistill.errors import DataError

_AGAIN = "Copy or export it again from its source."


def check_whole(file: tifffile.TiffFile, series: tifffile.TiffPageSeries, *, source: str, fill_missing: bool) -> None:
    """Refuse a file that does not hold all it says.

    Args:
        file: The opened file.
        series: The image in it.
        source: File name.
        fill_missing: Whether tiles of no bytes are zeros on purpose.

    Raises:
        DataError: The chain of pages breaks off, planes are missing, or pixels lie beyond the end
            of the file or are fewer than claimed. The message says what was found and expected.
    """
    _check_understood(file, series, source)
    _check_chain(file, source)
    if series.dataoffset is not None and not series.is_multifile:
        refuse_claim(series.nbytes, file.filehandle.size - series.dataoffset, source=source, exact=True)
        return
    pages = list(series)
    found = [page for page in pages if page is not None]
    if len(found) < len(pages) or series.is_truncated:
        raise DataError(
            f"{source} has {len(found)} of the {_planes(series)} planes that its metadata lists."
            f" It is cut short, or a file that it belongs to is missing. {_AGAIN}"
        )
    for plane, page in enumerate(found):
        _check_pieces(page, f"{source}, plane {plane + 1} of {len(found)},", fill_missing)


def _check_understood(file: tifffile.TiffFile, series: tifffile.TiffPageSeries, source: str) -> None:
    """Refuse metadata that tifffile gave up on: it then lays out the pages without it."""
    stated = {"imagej": file.is_imagej, "ome": file.is_ome, "shaped": file.is_shaped}
    kinds = [kind for kind, yes in stated.items() if yes]
    if kinds and series.kind in {"generic", "uniform"}:
        raise DataError(
            f"{source} does not hold what its metadata ({', '.join(kinds)}) lists: found {len(file.pages)} pages"
            f"{_declared(file)} in {file.filehandle.size:,} bytes. It is cut short or its metadata is wrong. {_AGAIN}"
        )


def _check_chain(file: tifffile.TiffFile, source: str) -> None:
    """Refuse a file whose last page that can be read names another one."""
    count = len(file.pages)
    place = file.pages.next_page_offset
    handle = file.filehandle
    if place is None:
        return
    handle.seek(place)
    pointer = handle.read(file.tiff.offsetsize)
    following = struct.unpack(file.tiff.offsetformat, pointer)[0] if len(pointer) == file.tiff.offsetsize else None
    if following != 0:
        raise DataError(
            f"{source} breaks off after page {count}{_declared(file)}: the next should be at byte"
            f" {following or place:,}, and the file has {handle.size:,} bytes. It is cut short. {_AGAIN}"
        )


def _check_pieces(page: tifffile.TiffPage | tifffile.TiffFrame, place: str, fill_missing: bool) -> None:
    """Refuse a page with tiles or strips that are missing, cut short or too small for what they claim."""
    offsets, counts = np.asarray(page.dataoffsets, np.uint64), np.asarray(page.databytecounts, np.uint64)
    expected = math.prod(page.chunked)
    if len(offsets) != expected or len(counts) != expected:
        raise DataError(f"{place} lists {len(offsets)} of the {expected} tiles or strips that it needs. {_AGAIN}")
    size = page.parent.filehandle.size
    absent = (counts == 0) | (offsets == 0)
    beyond = ~absent & (offsets + counts > size)
    if beyond.any():
        raise DataError(
            f"{place} is cut short: {np.count_nonzero(beyond)} of its {expected} tiles or strips lie beyond the end of"
            f" the file ({int((offsets + counts)[beyond].max()):,} bytes expected, {size:,} found). {_AGAIN}"
        )
    if absent.any() and not fill_missing:
        raise DataError(
            f"{place} leaves out {np.count_nonzero(absent)} of its {expected} tiles or strips."
            " If they are empty on purpose, use --fill-missing; otherwise writing it was interrupted:"
            " make it again."
        )
    if not absent.all():
        itemsize = page.dtype.itemsize if page.dtype else 1
        refuse_claim(math.prod(page.chunks) * itemsize, int(counts[~absent].min()), source=place.rstrip(","))


def _planes(series: tifffile.TiffPageSeries) -> int:
    return series.size // max(series.keyframe.size, 1)


def _declared(file: tifffile.TiffFile) -> str:
    """Return how many planes the metadata lists, as text; nothing where it does not say."""
    planes = None
    if file.imagej_metadata:
        planes = file.imagej_metadata.get("images")
    elif file.ome_metadata:
        sizes = [int(size) for size in re.findall(r'\bSize[CZT]="(\d+)"', file.ome_metadata)[:3]]
        planes = math.prod(sizes)
    return "" if planes is None else f" of the {planes} planes listed"
