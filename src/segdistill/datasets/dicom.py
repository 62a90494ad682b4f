"""Reading one slice of a DICOM file: one frame, one grey value per pixel, not compressed.

Enough for the data sets here. Everything else is refused with what it is; converters are many.

Source:
    DICOM PS3.5, sections 7.1 (elements), 7.5 (sequences), 8.1 (pixels); PS3.3, C.7.6.3, C.11.1.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from segdistill.errors import DataError

_IMPLICIT, _EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
"""Types whose length is a number of 32 bits, after two bytes of nothing."""

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_SYNTAX, _SAMPLES, _LIGHT, _FRAMES = 0x00020010, 0x00280002, 0x00280004, 0x00280008
_ROWS, _COLUMNS, _SPACING, _ALLOCATED, _STORED, _SIGNED = (
    0x00280010,
    0x00280011,
    0x00280030,
    0x00280100,
    0x00280101,
    0x00280103,
)
_HIGHEST, _INTERCEPT, _SLOPE, _PIXELS = 0x00280102, 0x00281052, 0x00281053, 0x7FE00010
_KEPT = {
    _SAMPLES,
    _LIGHT,
    _FRAMES,
    _ROWS,
    _COLUMNS,
    _SPACING,
    _ALLOCATED,
    _STORED,
    _SIGNED,
    _HIGHEST,
    _INTERCEPT,
    _SLOPE,
}
_DEEPEST = 16
_LONGEST = 1024
"""Values that are kept are shorter than this, bytes."""

_LARGEST = 1e9
"""No scanner rescales by more."""


@dataclass(frozen=True, eq=False)
class Slice:
    """One image of a DICOM file."""

    pixels: Shaped[np.ndarray, "y x"]
    """Values as the file means them: stored ones, times its slope, plus its intercept."""

    pixel_size: float | None
    """Micrometres; None where the file does not say, or pixels are not square."""


def read_slice(path: Path) -> Slice:
    """Return the image of a DICOM file.

    Raises:
        DataError: It is no DICOM file, is damaged, is compressed, or holds colours, several frames or inverted grey.
    """
    try:
        with path.open("rb") as handle:
            elements, raw = _elements(handle, path)
        _refuse_other(elements, path)
        slope, intercept = _decimal(elements, _SLOPE, 1.0), _decimal(elements, _INTERCEPT, 0.0)
        size = _pixel_size(_text(elements, _SPACING))
    except DataError:
        raise
    except (struct.error, ValueError) as error:
        raise DataError(f"{path} is damaged: {error}. Get it again.") from error
    return Slice(_rescaled(_stored(elements, raw, path), slope, intercept), size)


def _elements(handle: Any, path: Path) -> tuple[dict[int, bytes], bytes]:
    """Return tag to value of what is kept, and the bytes of the pixels."""
    explicit = _syntax(handle, path) == _EXPLICIT
    kept: dict[int, bytes] = {}
    while True:
        tag = _tag(handle)
        length = _length(handle, explicit=explicit)
        if tag == _PIXELS:
            if length == _UNDEFINED:
                raise DataError(f"{path} has compressed pixels. Convert it, for example with `gdcmconv --raw`.")
            return kept, _value(handle, length, most=path.stat().st_size)
        if length == _UNDEFINED:
            _skip_sequence(handle, explicit=explicit, depth=0)
        elif tag in _KEPT:
            kept[tag] = _value(handle, length, most=_LONGEST)
        else:
            handle.seek(length, 1)


def _syntax(handle: Any, path: Path) -> str:
    """Return how the rest of a file is stored, having read what says so.

    Raises:
        DataError: In a way that is not read here.
    """
    if handle.read(132)[128:] != b"DICM":
        raise DataError(f"{path} is no DICOM file: it does not say DICM after 128 bytes.")
    syntax, here = "", handle.tell()
    while (tag := _tag(handle)) >> 16 == 2:
        value = _value(handle, _length(handle, explicit=True), most=_LONGEST)
        syntax = value.rstrip(b"\0 ").decode("ascii") if tag == _SYNTAX else syntax
        here = handle.tell()
    if syntax not in {_IMPLICIT, _EXPLICIT}:
        raise DataError(
            f"{path} is stored in the transfer syntax {syntax or 'of nothing'}, which is compressed or of another"
            " byte order. Convert it, for example with `gdcmconv --raw`."
        )
    handle.seek(here)
    return syntax


def _value(handle: Any, length: int, *, most: int) -> bytes:
    value = handle.read(length) if length <= most else b""
    if len(value) < length:
        raise struct.error(f"a value of {length:,} bytes is longer than it can be")
    return value


def _tag(handle: Any) -> int:
    group, element = struct.unpack("<HH", handle.read(4))
    return group << 16 | element


def _length(handle: Any, *, explicit: bool) -> int:
    if not explicit:
        return struct.unpack("<I", handle.read(4))[0]
    kind = handle.read(2)
    if kind in _LONG:
        return struct.unpack("<2xI", handle.read(6))[0]
    return struct.unpack("<H", handle.read(2))[0]


def _skip_sequence(handle: Any, *, explicit: bool, depth: int) -> None:
    """Pass over a sequence whose length is not stated, and whatever lies in it."""
    if depth > _DEEPEST:
        raise struct.error("sequences lie in each other too deeply")
    while (tag := _tag(handle)) != _SEQUENCE_END:
        (length,) = struct.unpack("<I", handle.read(4))
        if tag != _ITEM:
            raise struct.error(f"a sequence holds {tag:08x}")
        if length == _UNDEFINED:
            _skip_item(handle, explicit=explicit, depth=depth)
        else:
            handle.seek(length, 1)
    handle.read(4)


def _skip_item(handle: Any, *, explicit: bool, depth: int) -> None:
    while _tag(handle) != _ITEM_END:
        length = _length(handle, explicit=explicit)
        if length == _UNDEFINED:
            _skip_sequence(handle, explicit=explicit, depth=depth + 1)
        else:
            handle.seek(length, 1)
    handle.read(4)


def _refuse_other(elements: Mapping[int, bytes], path: Path) -> None:
    light, frames = _text(elements, _LIGHT), _text(elements, _FRAMES) or "1"
    if light != "MONOCHROME2" or _number(elements, _SAMPLES, path) != 1 or frames != "1":
        raise DataError(
            f"{path} holds {light or 'unknown'} pixels in {frames} frames; wanted is one frame of MONOCHROME2."
            " Convert it."
        )


def _stored(elements: Mapping[int, bytes], raw: bytes, path: Path) -> Shaped[np.ndarray, "y x"]:
    """Return the stored values, freed of the bits beside them."""
    rows, columns, bits = (_number(elements, tag, path) for tag in (_ROWS, _COLUMNS, _ALLOCATED))
    used, signed = _number(elements, _STORED, path), _number(elements, _SIGNED, path)
    highest = _number(elements, _HIGHEST, path)
    if bits not in {8, 16} or not 0 < used <= highest + 1 <= bits or not rows * columns:
        raise DataError(
            f"{path} has {rows} x {columns} pixels and stores {used} of {bits} bits of each, up to bit {highest};"
            " wanted are pixels of 8 or 16 bits."
        )
    count = rows * columns
    if len(raw) < count * bits // 8:
        raise DataError(f"{path} claims {rows} x {columns} pixels, but holds {len(raw):,} bytes. Get it again.")
    pixels = np.frombuffer(raw, np.dtype(f"<{'i' if signed else 'u'}{bits // 8}"), count).reshape(rows, columns)
    return (pixels << (bits - 1 - highest)) >> (bits - used)


def _rescaled(stored: Shaped[np.ndarray, "y x"], slope: float, intercept: float) -> Shaped[np.ndarray, "y x"]:
    """Return 16-bit numbers where they hold the values exactly, else 32-bit floating-point ones."""
    if (slope, intercept) == (1.0, 0.0):
        return stored.astype(stored.dtype.newbyteorder("="))
    values = stored * slope + intercept
    short = np.iinfo(np.int16)
    exact = np.array_equal(values, np.round(values)) and values.min() >= short.min and values.max() <= short.max
    return values.astype(np.int16 if exact else np.float32)


def _decimal(elements: Mapping[int, bytes], tag: int, otherwise: float) -> float:
    value = float(_text(elements, tag) or otherwise)
    if not abs(value) < _LARGEST:
        raise ValueError(f"{tag >> 16:04x},{tag & 0xFFFF:04x} is {value}")
    return value


def _pixel_size(spacing: str) -> float | None:
    """Return the side of a pixel in micrometres from the millimetres between rows and between columns."""
    parts = spacing.split("\\")
    if len(parts) != 2 or parts[0] != parts[1] or not float(parts[0]) > 0:
        return None
    return 1000 * float(parts[0])


def _text(elements: Mapping[int, bytes], tag: int) -> str:
    return elements.get(tag, b"").decode("ascii").strip("\0 ")


def _number(elements: Mapping[int, bytes], tag: int, path: Path) -> int:
    value = elements.get(tag, b"")
    if len(value) != 2:
        raise DataError(f"{path} does not say {tag >> 16:04x},{tag & 0xFFFF:04x}, so its pixels cannot be read.")
    return struct.unpack("<H", value)[0]
