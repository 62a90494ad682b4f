"""A shard: a file of arrays, and an index file that says what they are; both only ever grow.

Bytes are flushed to the disk before the line that names them. So whenever a process is killed, the
index names whole records, and perhaps ends in a torn line; what follows the last whole record is
cut off by the next writer. Folders of slices keep writers apart: no two share a file.
"""

import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from segdistill.engine.lock import held
from segdistill.errors import ConfigError, EnvironmentFault
from segdistill.targets.record import Key, Place, Record, from_line, to_line

ALIGNMENT = 64
"""Arrays begin at multiples of this, bytes: a cache line, and enough for every number type."""

LIMIT = 2**31
"""A shard that has grown beyond this is followed by another, bytes."""


@dataclass(frozen=True)
class Shard:
    """The two files of a shard."""

    data: Path

    @property
    def index(self) -> Path:
        """The file that says what the other holds."""
        return self.data.with_suffix(".jsonl")


def slice_folder(folder: Path, part: tuple[int, int]) -> Path:
    """Return where one of several writers writes.

    Args:
        folder: The store.
        part: (k, n): the k-th of n, counted from 0.

    Raises:
        ConfigError: There is no k-th of n.

    >>> slice_folder(Path("store"), (1, 4)).as_posix()
    'store/slice-1-of-4'
    """
    number, count = part
    if not 0 <= number < count:
        raise ConfigError(f"There is no slice {number} of {count}: slices are counted from 0 to {count - 1}.")
    return folder / f"slice-{number}-of-{count}"


def shards(folder: Path) -> list[Shard]:
    """Return all shards of a store, of whatever slices, in a fixed order."""
    return [Shard(path) for path in sorted(folder.glob("slice-*-of-*/*.bin"))]


def read_index(shard: Shard) -> list[Record]:
    """Return the whole records of a shard: torn and damaged lines, and records cut off, are left out."""
    if not shard.index.is_file():
        return []
    size = shard.data.stat().st_size
    return [record for record in _records(_whole_lines(shard.index)) if record.end <= size]


class Writer:
    """Adds records to one slice of a store. From ``writing``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        existing = sorted(folder.glob("*.bin"))
        self._shard = Shard(existing[-1] if existing else folder / "0000.bin")
        self._end = _recover(self._shard)

    def put(self, key: Key, arrays: Mapping[str, Shaped[np.ndarray, "..."]], parameters: Mapping[str, Any]) -> None:
        """Add a record and flush it to the disk. A record of the same key stays behind it, unused.

        Args:
            key: What it is about.
            arrays: By name, any shapes and number types.
            parameters: JSON values.

        Raises:
            EnvironmentFault: The disk is full. Everything put before is safe.
        """
        if self._end > LIMIT:
            self._shard = Shard(self._folder / f"{int(self._shard.data.stem) + 1:04d}.bin")
            self._end = _recover(self._shard)
        try:
            record = self._add_arrays(key, arrays, parameters)
            _append(self._shard.index, (to_line(record) + "\n").encode())
        except OSError as error:
            raise EnvironmentFault(
                f"Targets cannot be written to {self._shard.data}: {error}. What was written before is safe."
                " Make room and run the same command again: it goes on from there."
            ) from error
        self._end = max(self._end, record.end)

    def _add_arrays(
        self, key: Key, arrays: Mapping[str, Shaped[np.ndarray, "..."]], parameters: Mapping[str, Any]
    ) -> Record:
        places = {}
        end = self._end
        with self._shard.data.open("r+b") as handle:
            for name, array in arrays.items():
                content = np.ascontiguousarray(array).tobytes()
                offset = -(-end // ALIGNMENT) * ALIGNMENT if content else end
                handle.seek(offset)
                handle.write(content)
                places[name] = Place(offset, array.shape, array.dtype.str, zlib.crc32(content))
                end = places[name].end
            handle.flush()
            os.fsync(handle.fileno())
        return Record(key, places, parameters)


@contextmanager
def writing(folder: Path, part: tuple[int, int] = (0, 1)) -> Iterator[Writer]:
    """Hold one slice of a store and yield its writer.

    Args:
        folder: The store.
        part: (k, n): the k-th of n slices, counted from 0.

    Raises:
        EnvironmentFault: Another process is writing this slice, or the folder cannot be written.
    """
    place = slice_folder(folder, part)
    with held(place):
        yield Writer(place)


def _recover(shard: Shard) -> int:
    """Cut off what a killed writer left behind the last whole record; return where the data ends."""
    try:
        shard.data.touch()
        shard.index.touch()
        lines = _whole_lines(shard.index)
        os.truncate(shard.index, len(lines))
        # A line may name bytes that were cut off since: growing the file makes its checksum fail, not another's.
        end = max((record.end for record in _records(lines)), default=0)
        os.truncate(shard.data, end)
    except OSError as error:
        raise EnvironmentFault(
            f"{shard.data} cannot be written: {error}. Choose a folder that can be written."
        ) from error
    return end


def _whole_lines(index: Path) -> bytes:
    """Return an index up to its last newline; a line without one is torn, even if it can be read."""
    content = index.read_bytes()
    return content[: content.rfind(b"\n") + 1]


def _records(lines: bytes) -> Iterator[Record]:
    for line in lines.decode("utf-8", errors="replace").split("\n"):
        record = from_line(line)
        if record is not None:
            yield record


def _append(path: Path, content: bytes) -> None:
    with path.open("ab") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
