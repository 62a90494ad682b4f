"""DICOM files written by hand, from the standard's own description."""

import struct
from pathlib import Path

import numpy as np
import pytest

IMPLICIT, EXPLICIT, JPEG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"
_LONG = {"OW", "SQ", "UN"}


def element(tag: int, kind: str, value: bytes, *, explicit: bool, length: int | None = None) -> bytes:
    value += b"\0" * (len(value) % 2)
    size = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if not explicit:
        return head + struct.pack("<I", size) + value
    if kind in _LONG:
        return head + kind.encode() + struct.pack("<2xI", size) + value
    return head + kind.encode() + struct.pack("<H", size) + value


def sequence(*, explicit: bool) -> bytes:
    """A sequence of unstated length, with an item of unstated length and one of stated length in it."""
    inner = element(0x00080060, "CS", b"MR", explicit=explicit)
    unstated = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + inner + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
    stated = struct.pack("<HHI", 0xFFFE, 0xE000, len(inner)) + inner
    end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return element(0x00081140, "SQ", unstated + stated + end, explicit=explicit, length=0xFFFFFFFF)


def write_dicom(
    path: Path,
    pixels: np.ndarray,
    *,
    syntax: str = EXPLICIT,
    stored: int | None = None,
    light: bytes = b"MONOCHROME2",
    frames: bytes | None = None,
    spacing: bytes | None = b"0.5\\0.5",
    rescale: tuple[bytes, bytes] | None = None,
    drop: tuple[int, ...] = (),
) -> Path:
    explicit = syntax != IMPLICIT
    bits = 8 * pixels.dtype.itemsize
    used = stored or bits

    def short(tag: int, value: int) -> tuple[int, bytes]:
        return tag, element(tag, "US", struct.pack("<H", value), explicit=explicit)

    def text(tag: int, kind: str, value: bytes) -> tuple[int, bytes]:
        return tag, element(tag, kind, value, explicit=explicit)

    elements = [
        text(0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.4"),
        (0x00081140, sequence(explicit=explicit)),
        short(0x00280002, 1),
        text(0x00280004, "CS", light),
        *([] if frames is None else [text(0x00280008, "IS", frames)]),
        short(0x00280010, pixels.shape[0]),
        short(0x00280011, pixels.shape[1]),
        *([] if spacing is None else [text(0x00280030, "DS", spacing)]),
        short(0x00280100, bits),
        short(0x00280101, used),
        short(0x00280102, used - 1),
        short(0x00280103, int(pixels.dtype.kind == "i")),
        *([] if rescale is None else [text(0x00281052, "DS", rescale[0]), text(0x00281053, "DS", rescale[1])]),
        (
            0x7FE00010,
            element(0x7FE00010, "OW", pixels.astype(pixels.dtype.newbyteorder("<")).tobytes(), explicit=explicit),
        ),
    ]
    meta = element(0x00020010, "UI", syntax.encode(), explicit=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    body = b"".join(content for tag, content in elements if tag not in drop)
    path.write_bytes(b"\0" * 128 + b"DICM" + meta + body)
    return path


@pytest.fixture
def dicom():
    return write_dicom
