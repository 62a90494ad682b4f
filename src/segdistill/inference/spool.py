"""Arrays that wait on the disk for their turn, compressed and without a name."""

import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import Shaped

from segdistill.errors import EnvironmentFault

_IN_MEMORY = 2**24
"""Up to so many bytes no file is made."""


class Spool:
    """Keeps arrays in the order in which they came; they are gone when it is closed, or the process ends.

    Args:
        folder: Where there is room. None is the system's folder for temporary files.

    >>> with Spool(None) as spool:
    ...     spool.append(np.arange(3))
    ...     [array.tolist() for array in spool]
    [[0, 1, 2]]
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, dir=None if folder is None else str(folder))  # noqa: SIM115 - closed by ``close``
        self._index: list[tuple[int, np.dtype, tuple[int, ...]]] = []

    def append(self, array: Shaped[np.ndarray, "..."]) -> None:
        """Keep one more array.

        Raises:
            EnvironmentFault: There is no room for it.
        """
        packed = zlib.compress(np.ascontiguousarray(array).data, level=1)
        try:
            self._file.write(packed)
            self._file.flush()
        except OSError as error:
            raise EnvironmentFault(
                f"There is no room for {len(packed):,} more bytes of temporary data in {self._folder or 'the system'}:"
                f" {error.strerror}. Make room and run the same command again."
            ) from error
        self._index.append((len(packed), array.dtype, array.shape))

    def __iter__(self) -> Iterator[Shaped[np.ndarray, "..."]]:
        self._file.seek(0)
        for size, dtype, shape in self._index:
            yield np.frombuffer(zlib.decompress(self._file.read(size)), dtype).reshape(shape)

    def close(self) -> None:
        """Let go of everything."""
        self._file.close()

    def __enter__(self) -> "Spool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
