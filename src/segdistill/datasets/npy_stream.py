"""Arrays in an npz archive, one image at a time, and tables of text in it without running what a pickle says."""

import pickle
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from segdistill.errors import DataError

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, LookupError, TypeError)
"""What damage to an archive, or to a pickle in it, comes to light as."""

_SAFE = {
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
}
"""All that an array of text and numbers needs when it is unpickled."""


def images(path: Path, name: str) -> Iterator[Shaped[np.ndarray, "..."]]:
    """Yield an array along its first axis, holding one step of it at a time.

    Args:
        path: An npz file.
        name: Of the array in it.

    Raises:
        DataError: There is no such array, or it is damaged, pickled, or in Fortran's order.
    """
    with _member(path, name) as handle:
        shape, fortran, dtype = _header(handle, path, name)
        if dtype.hasobject or fortran or not shape:
            raise DataError(f"{path}: the array {name!r} is pickled or not in C's order. Save it as a plain array.")
        step = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
        for _ in range(shape[0]):
            content = handle.read(step)
            if len(content) < step:
                raise DataError(f"{path}: the array {name!r} is cut short. Get it again.")
            yield np.frombuffer(content, dtype).reshape(shape[1:])


def length(path: Path, name: str) -> int:
    """Return how many images an array has."""
    with _member(path, name) as handle:
        return _header(handle, path, name)[0][0]


def table(path: Path, name: str) -> list[dict[str, str]] | None:
    """Return a table that was saved as an array of objects, its first row the heads; None if there is none.

    Objects are pickled, and a pickle can run anything. Here it may make arrays of text and numbers, and
    is refused at the first other thing that it asks for.

    Raises:
        DataError: The pickle asks for something else, or holds no table.
    """
    if name not in _names(path):
        return None
    with _member(path, name) as handle:
        shape, _, dtype = _header(handle, path, name)
        found = (
            _Restricted(handle, path).load() if dtype.hasobject else np.frombuffer(handle.read(), dtype).reshape(shape)
        )
    if not isinstance(found, np.ndarray) or found.ndim != 2 or not len(found):
        raise DataError(f"{path}: {name!r} is no table.")
    heads, *lines = ([str(cell) for cell in row] for row in found.tolist())
    return [dict(zip(heads, line, strict=True)) for line in lines]


class _Restricted(pickle.Unpickler):
    def __init__(self, handle: Any, path: Path) -> None:
        super().__init__(handle)
        self.path = path

    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) not in _SAFE:
            raise DataError(
                f"{self.path} holds a pickle that asks for {module}.{name}; it was refused and nothing was run."
            )
        return super().find_class(module.replace("numpy.core.", "numpy._core."), name)  # its old name warns


def _header(handle: Any, path: Path, name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        return _HEADERS[np.lib.format.read_magic(handle)](handle)
    except (ValueError, KeyError) as error:
        raise DataError(f"{path}: {name!r} is no array: {error}. Get it again.") from error


@contextmanager
def _member(path: Path, name: str) -> Iterator[Any]:
    if name not in _names(path):
        raise DataError(f"{path} holds no array {name!r}. Get it again.")
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as handle:
            yield handle
    except DataError:
        raise
    except (*_DAMAGED, pickle.UnpicklingError) as error:
        raise DataError(f"{path} is damaged: {error}. Get it again.") from error


def _names(path: Path) -> set[str]:
    """Return the names of an archive's arrays."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except _DAMAGED as error:
        raise DataError(f"{path} is damaged: {error}. Get it again.") from error
