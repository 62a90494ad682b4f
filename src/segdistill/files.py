"""Files and folders that are whole or absent, and their hashes; standard library only.

A file is written under ``NAME.partial``, flushed to the disk and renamed: whoever finds the final
name finds the whole file (FAULTS.md, R2 and R4).
"""

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from segdistill.errors import EnvironmentFault

_NO_SPACE = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a partial name to write to; on success flush it and give it the final name.

    Args:
        path: The final name. Its folder is made. An older file of that name stays until the new
            one is whole.

    Raises:
        EnvironmentFault: The disk is full or the folder cannot be written. Nothing with the final
            name has changed and the partial file is gone.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with whole_file(target) as partial:
    ...     _ = partial.write_text("whole")
    >>> target.read_text(), partial.exists()
    ('whole', False)
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb+") as handle:
            os.fsync(handle.fileno())
        partial.replace(path)
    except OSError as error:
        raise _fault(path, partial, error) from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder of a partial name to fill; on success flush its files and give it the final name.

    Args:
        path: The final name. An older folder of that name stays until the new one is whole.

    Raises:
        EnvironmentFault: The disk is full or the folder cannot be written. Nothing with the final
            name has changed and the partial folder is gone.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.zarr"
    >>> with whole_folder(target) as partial:
    ...     _ = (partial / "zarr.json").write_text("{}")
    >>> [each.name for each in target.iterdir()], partial.exists()
    (['zarr.json'], False)
    """
    partial, old = (path.with_name(f"{path.name}.{word}.partial") for word in ("new", "old"))
    try:
        remove(partial)
        partial.mkdir(parents=True)
        yield partial
        for file in _files_below(partial):
            with file.open("rb+") as handle:
                os.fsync(handle.fileno())
        remove(old)
        if path.exists():
            path.replace(old)
        partial.replace(path)
        remove(old)
    except OSError as error:
        raise _fault(path, partial, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def remove(path: Path) -> None:
    """Remove a file, or a folder and all that is in it, if it is there.

    Raises:
        OSError: It cannot be removed.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _fault(path: Path, partial: Path, error: OSError) -> EnvironmentFault:
    if isinstance(error, EnvironmentFault):
        return error
    if error.errno in _NO_SPACE:
        written = _size(partial)
        free = shutil.disk_usage(path.parent).free if path.parent.exists() else 0
        return EnvironmentFault(
            f"There is no room to write {path}: {written:,} bytes were written and {free:,} bytes are free"
            " (or a file-size limit holds). Make room and run the same command again."
        )
    return EnvironmentFault(f"{path} cannot be written: {error}. Choose a folder that can be written.")


def _size(path: Path) -> int:
    files = _files_below(path) if path.is_dir() else [path] if path.exists() else []
    return sum(file.stat().st_size for file in files)


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_path(path: Path) -> str | None:
    """Return the SHA-256 of a file, or of the names and bytes of all files below a folder; None if it is not there."""
    if path.is_file():
        return sha256_file(path)
    if not path.is_dir():
        return None
    digest = hashlib.sha256()
    for file in _files_below(path):
        digest.update(f"{sha256_file(file)} {file.relative_to(path).as_posix()}\n".encode())
    return digest.hexdigest()


def sha256_array(array: Any) -> str:
    """Return the SHA-256 of an array's type, shape and values, in hexadecimal.

    Two arrays have equal hashes if type, shape and every value are equal, whatever their memory
    layout or byte order.

    >>> import numpy
    >>> sha256_array(numpy.arange(3)) == sha256_array(numpy.arange(3)[::-1][::-1])
    True
    """
    native = array.astype(array.dtype.newbyteorder("="), order="C", copy=False)
    digest = hashlib.sha256(f"{native.dtype.str[1:]} {native.shape}".encode())
    digest.update(memoryview(native.reshape(-1)).cast("B") if native.size else b"")
    return digest.hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, whole or not at all."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def append_line(path: Path, text: str) -> None:
    """Append one line to a text file.

    It is there for whoever reads the file next, also if this process is killed; only after ``settle`` will it
    also be there if the machine loses its power.

    Raises:
        EnvironmentFault: The line could not be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as handle:
            handle.write(text.rstrip("\n") + "\n")
    except OSError as error:
        raise EnvironmentFault(f"A line could not be added to {path}: {error}.") from error


def settle(path: Path) -> None:
    """Wait until what was appended to a file is on the disk.

    Raises:
        EnvironmentFault: The disk did not take it.
    """
    try:
        with path.open("ab") as handle:
            os.fsync(handle.fileno())
    except OSError as error:
        raise EnvironmentFault(f"{path} could not be put on the disk: {error}.") from error


def neutral_cell(text: str) -> str:
    """Return text that a spreadsheet will not take for a formula.

    >>> neutral_cell("=1+1"), neutral_cell("cell_1")
    ("'=1+1", 'cell_1')
    """
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def take_lock(handle: IO[str]) -> bool:
    """Lock an open file for this process, and return whether that went; it does not where another has it.

    The system lets go of it when the process ends, however it ends, or the file is closed.

    Raises:
        OSError: The disk supports no locks.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            handle.seek(1 << 20)  # a byte far behind any text, so that the file can be read
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
