"""NumPy files: npy, memory-mapped, and npz with one array in it."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from segdistill.data.readers.faults import native_dtype, reading, refuse_claim
from segdistill.data.readers.layout import find_layout, unstated
from segdistill.data.readers.mapped import MappedPixels
from segdistill.data.readers.naming import name_channels
from segdistill.data.readers.source import OpenedImage, StoredArray
from segdistill.errors import DataError

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@dataclass(frozen=True)
class _Header:
    """What an npy file says of itself."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype
    offset: int

    @property
    def claimed(self) -> int:
        """Bytes of pixels."""
        count = 1
        for length in self.shape:
            count *= length
        return count * self.dtype.itemsize


@dataclass(eq=False)
class _Member:
    """The array of an npz file, decompressed when its pixels are first asked for."""

    path: Path
    name: str
    dtype: np.dtype
    _pixels: np.ndarray | None = field(init=False, default=None)

    def __getitem__(self, index: Any, /) -> np.ndarray:
        if self._pixels is None:
            with zipfile.ZipFile(self.path) as archive, archive.open(self.name) as handle:
                self._pixels = np.lib.format.read_array(handle, allow_pickle=False)
        return self._pixels[index].copy()

    def forget(self) -> None:
        """Free the memory of the array."""
        self._pixels = None


def open_npy(path: Path, *, channels: Sequence[str] | None, axes: str | None, fill_missing: bool) -> OpenedImage:
    """Return an array that is read from its file by windows.

    Raises:
        DataError: The file is damaged, cut short or holds pickled Python objects, or nothing says
            which axis is which.
    """
    del fill_missing
    source = str(path)
    with reading(source, "npy"), path.open("rb") as handle:
        header = _header(handle, source)
    refuse_claim(header.claimed, path.stat().st_size - header.offset, source=source, exact=True)
    stored = MappedPixels(path, header.dtype, header.offset, header.shape, header.fortran)
    return _opened(stored, header.shape, channels, axes, source)


def open_npz(path: Path, *, channels: Sequence[str] | None, axes: str | None, fill_missing: bool) -> OpenedImage:
    """Return the one array of an npz file.

    Raises:
        DataError: The file holds several arrays, or none, or is refused as an npy file would be.
    """
    del fill_missing
    source = str(path)
    with reading(source, "npz"), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) != 1:
            names = ", ".join(member.filename.removesuffix(".npy") for member in members) or "none"
            raise DataError(f"{source} holds {len(members)} arrays ({names}). Save the image alone in a file.")
        member = members[0]
        with archive.open(member) as handle:
            header = _header(handle, source)
    refuse_claim(header.claimed, member.file_size - header.offset, source=source, exact=True)
    refuse_claim(header.claimed, member.compress_size, source=source)
    stored = _Member(path, member.filename, header.dtype)
    opened = _opened(stored, header.shape, channels, axes, source)
    opened.on_close = stored.forget
    return opened


def _header(handle: Any, source: str) -> _Header:
    version = np.lib.format.read_magic(handle)
    if version not in _HEADERS:
        raise DataError(
            f"{source} is of npy version {version[0]}.{version[1]}; plain arrays are of version 1.0 or 2.0."
        )
    shape, fortran, dtype = _HEADERS[version](handle)
    if dtype.hasobject:
        raise DataError(
            f"{source} holds pickled Python objects, which can run any program when they are loaded, so it is not"
            " opened. If you trust it, load it where it was made and save the plain array in it:"
            " np.save(path, array, allow_pickle=False)."
        )
    native_dtype(dtype, source=source)
    return _Header(shape, fortran, dtype, handle.tell())


def _opened(
    stored: StoredArray, shape: tuple[int, ...], channels: Sequence[str] | None, axes: str | None, source: str
) -> OpenedImage:
    layout = find_layout(shape, unstated(shape), axes, source=source)
    return OpenedImage(
        stored=stored,
        layout=layout,
        channels=name_channels(layout.count, given=channels, source=source),
        source=source,
        kind="NumPy",
    )
