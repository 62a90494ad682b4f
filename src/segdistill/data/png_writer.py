"""Label images as PNG of 16-bit numbers, row by row."""

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from segdistill.errors import DataError
from segdistill.files import whole_file

LARGEST = 2**16 - 1
"""The largest number that a PNG holds."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _NO_FILTER = 0, b"\0"


def write_png(path: Path, shape: tuple[int, int], bands: Iterable[Shaped[np.ndarray, "_ x"]]) -> None:
    """Write a label image.

    Args:
        path: Of the file.
        shape: (y, x), pixels.
        bands: The labels from top to bottom, 0 to 65,535, in parts as wide as the image.

    Raises:
        DataError: A label is larger.
        EnvironmentFault: The disk is full or the folder cannot be written.

    Source:
        Portable Network Graphics (PNG) Specification, W3C Recommendation, 2003.
    """
    packer = zlib.compressobj()
    with whole_file(path) as partial, partial.open("wb") as handle:
        handle.write(_SIGNATURE)
        handle.write(_chunk(b"IHDR", struct.pack(">IIBBBBB", shape[1], shape[0], 16, _GREY, 0, 0, 0)))
        for band in bands:
            _refuse_large(path, band)
            rows = b"".join(_NO_FILTER + row.tobytes() for row in band.astype(">u2"))
            handle.write(_chunk(b"IDAT", packer.compress(rows)))
        handle.write(_chunk(b"IDAT", packer.flush()))
        handle.write(_chunk(b"IEND", b""))


def _refuse_large(path: Path, labels: Shaped[np.ndarray, "_ x"]) -> None:
    largest = int(labels.max(initial=0))
    if largest > LARGEST:
        raise DataError(
            f"Labels for {path} go up to {largest:,}, but a PNG holds numbers up to {LARGEST:,}."
            f" Write {path.stem}.tif instead."
        )


def _chunk(kind: bytes, content: bytes) -> bytes:
    """Return a part of a PNG: its length, kind, content and checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
