"""Zarr arrays whose missing or cut chunks are refused, where zarr makes something up.

Measured: zarr reads a chunk without a file as fill values, and a cut chunk that Blosc compressed as
whatever lay in memory.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segdistill.errors import DataError

if TYPE_CHECKING:
    import zarr

_SHOWN = 5
_BLOSC_HEADER = 16


@dataclass(frozen=True)
class CheckedChunks:
    """A Zarr array in a local folder; what a window needs is checked before it is read."""

    array: "zarr.Array"
    """The array."""

    folder: Path
    """Where its chunks lie."""

    fill_missing: bool
    """Whether chunks of which there is no file hold the fill value on purpose."""

    @property
    def dtype(self) -> np.dtype:
        """Type of the stored pixels."""
        return np.dtype(self.array.dtype)

    def __getitem__(self, index: tuple[int | slice, ...], /) -> Any:
        spans = [part if isinstance(part, slice) else slice(part, part + 1) for part in index]
        # A forged shape fails here, before its chunks are counted; the memory is not touched.
        np.empty([span.stop - span.start for span in spans], self.dtype)
        keys = self._keys(spans)
        there = {key: (self.folder / key).is_file() for key in keys}
        missing = [key for key, exists in there.items() if not exists]
        if missing and not self.fill_missing:
            raise DataError(
                f"{self.folder} lacks {len(missing)} of the {len(keys)} chunks that are needed: {_listed(missing)}."
                " If the program that wrote it leaves out empty chunks, use --fill-missing;"
                " otherwise copy or make it again."
            )
        cut = [key for key, exists in there.items() if exists and self._is_cut(key)]
        if cut:
            raise DataError(
                f"{self.folder} has {len(cut)} chunks that are shorter than they say: {_listed(cut)}."
                " Copying or writing it was interrupted: copy or make it again."
            )
        return self.array[index]

    def _keys(self, spans: Sequence[slice]) -> list[str]:
        """Return the names of the chunk files, or of the files of shards, that a window touches."""
        lengths = self.array.shards or self.array.chunks
        places = [
            range(span.start // length, -(-span.stop // length)) for span, length in zip(spans, lengths, strict=True)
        ]
        return [self.array.metadata.encode_chunk_key(place) for place in product(*places)]

    def _is_cut(self, key: str) -> bool:
        """Return whether a chunk that Blosc compressed has fewer bytes than its header says."""
        last = self.array.compressors[-1:]
        if self.array.shards or not last or "blosc" not in type(last[0]).__name__.lower():
            return False
        with (self.folder / key).open("rb") as handle:
            header = handle.read(_BLOSC_HEADER)
        return (
            len(header) < _BLOSC_HEADER or struct.unpack_from("<I", header, 12)[0] > (self.folder / key).stat().st_size
        )


def _listed(keys: list[str]) -> str:
    return ", ".join(keys[:_SHOWN]) + (", ..." if len(keys) > _SHOWN else "")
