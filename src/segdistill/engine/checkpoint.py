"""Checkpoints that are whole or absent, and that know when they are damaged.

A checkpoint is what ``torch.save`` writes, followed by the SHA-256 of it; ``torch.load`` alone reads it
too. The one before is kept. Both are read with ``weights_only=True`` and only after the hash was right.
"""

import hashlib
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

import torch

from segdistill.errors import DataError
from segdistill.files import whole_file

NEWEST = "newest.ckpt"
PREVIOUS = "previous.ckpt"
_DAMAGED = "damaged.ckpt"
_FORMAT = 1
_DIGEST_BYTES = 32


def save_checkpoint(folder: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint; the newest so far becomes the previous one.

    Args:
        folder: The run's.
        content: Tensors, numbers, strings, lists and dictionaries of such.

    Raises:
        EnvironmentFault: There was no room; the checkpoints that were there still are.
    """
    newest = folder / NEWEST
    with whole_file(newest) as partial:
        _write(partial, {"format": _FORMAT, **content})
        if newest.exists():
            newest.replace(folder / PREVIOUS)


class DamagedRun(DataError):
    """No checkpoint of a run is whole."""


def load_checkpoint(folder: Path, *, notice: Callable[[str], None]) -> dict[str, Any] | None:
    """Return the newest checkpoint that is whole, on the CPU, or None where there never was one.

    Args:
        folder: The run's.
        notice: Told when the newest one is damaged and the previous one is used. The damaged one is renamed.

    Raises:
        DamagedRun: There are checkpoints, but none is whole.
        DataError: They were not made by this version.
    """
    found = [path for path in (folder / NEWEST, folder / PREVIOUS) if path.exists()]
    for path in found:
        content = _read(path)
        if content is not None:
            return content
        if path.name == NEWEST and len(found) > 1:
            path.replace(folder / _DAMAGED)  # or it would become the previous one, in place of the good one
            notice(f"{path} is damaged: using {PREVIOUS} instead. The damaged file is now {_DAMAGED}.")
    if found:
        raise DamagedRun(
            f"{' and '.join(str(path) for path in found)}: no checkpoint here is whole, so this run cannot go on."
            " Restore one from a copy, or delete them (or choose another folder) to begin anew."
        )
    return None


def _write(path: Path, content: dict[str, Any]) -> None:
    with path.open("wb") as handle:
        hashed = _Hashed(handle)
        try:
            torch.save(content, cast(IO[bytes], hashed))
        except RuntimeError as error:
            # torch closes its archive on the way out and complains of that; the disk's own error lies beneath.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise
        handle.write(hashed.digest())
        handle.flush()
        os.fsync(handle.fileno())


def _read(path: Path) -> dict[str, Any] | None:
    """Return the content of a checkpoint, or None where it is damaged."""
    data = path.read_bytes()
    if hashlib.sha256(data[:-_DIGEST_BYTES]).digest() != data[-_DIGEST_BYTES:]:
        return None
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path} holds more than numbers and was not loaded. Delete it; it is no checkpoint."
        ) from error
    if content.get("format") != _FORMAT:
        raise DataError(
            f"{path} has checkpoint format {content.get('format')}, but this version reads format {_FORMAT}."
            " Go on with the version that began this run, or choose another folder."
        )
    return content


class _Hashed(io.RawIOBase):
    """A file to write to that hashes what passes through."""

    def __init__(self, handle: IO[bytes]) -> None:
        super().__init__()
        self._handle = handle
        self._hash = hashlib.sha256()

    def write(self, data: Any, /) -> int:
        self._hash.update(data)
        return self._handle.write(data)

    def digest(self) -> bytes:
        return self._hash.digest()
