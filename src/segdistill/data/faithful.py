"""Refusals of label files whose numbers are not those that somebody gave: what compression or a picture's format did.

A file's name does not tell it all: a JPEG may be called .png, and a TIFF may hold JPEGs.
"""

from contextlib import suppress
from pathlib import Path

import numpy as np
import tifffile
from jaxtyping import Shaped

from segdistill.data.readers import clip_index, pictures, suffix_of, tiff
from segdistill.data.readers.planes import file_of
from segdistill.errors import DataError

_LOSSY = {".jpg", ".jpeg", ".jpe", ".webp", *clip_index.SUFFIXES}
_JPEG = b"\xff\xd8\xff"
_JPEG_IN_TIFF = {6, 7, 33007, 34892}
"""Numbers by which a TIFF names JPEG compression, old and new."""

_PNG, _GREY = b"\x89PNG\r\n\x1a\n", 0


def refuse_lossy(path: Path) -> None:
    """Refuse a label file that was compressed with loss, by its name or by what it holds.

    A file that cannot be read passes: whoever reads it says what is wrong.

    Raises:
        DataError: It was.
    """
    file = file_of(path)
    how = "" if file.suffix.lower() in _LOSSY else _how(file)
    if how is not None:
        raise DataError(
            f"{path} is compressed with loss{how}, which changes label numbers."
            " Save labels as PNG or TIFF from the original annotation."
        )


def refuse_stretched(array: Shaped[np.ndarray, "y x"], path: Path) -> None:
    """Refuse a PNG of greys of 2 or 4 bits, of which some programs read 1, 2, 3 and others 85, 170, 255.

    With one number besides 0 it is certain all the same what is meant, and nothing is refused.

    Args:
        array: The numbers that were read.
        path: The file.

    Raises:
        DataError: It is one.
    """
    depth = _grey_depth(path)
    if depth in {2, 4} and np.unique(array[array > 0]).size > 1:
        step = 255 // (2**depth - 1)
        raise DataError(
            f"{path} has greys of {depth} bits, of which some programs make the numbers 1, 2, 3 and others {step},"
            f" {2 * step}, {3 * step}: it is not certain which labels are meant. Save it as PNG of 8 or 16 bits, or as"
            " TIFF."
        )


def _how(file: Path) -> str | None:
    """Return how a file is compressed with loss though its name does not say so; None: it is not, as far as is seen."""
    suffix = suffix_of(file)
    if suffix in pictures.SUFFIXES and _begins(file, len(_JPEG)) == _JPEG:
        return ": it is a JPEG, whatever it is called"
    if suffix in tiff.SUFFIXES:
        with suppress(Exception), tifffile.TiffFile(file) as opened:  # damaged files raise nearly everything
            if opened.series[0].keyframe.compression in _JPEG_IN_TIFF:
                return ": its pixels are JPEGs"
    return None


def _begins(file: Path, count: int) -> bytes:
    """Return a file's first bytes; none of one that cannot be read."""
    with suppress(OSError), file.open("rb") as handle:
        return handle.read(count)
    return b""


def _grey_depth(path: Path) -> int | None:
    """Return the bits of a grey PNG; None for any other file."""
    head = _begins(path, 26)
    return head[24] if head[:8] == _PNG and len(head) == 26 and head[25] == _GREY else None
