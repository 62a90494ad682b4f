"""One run per folder."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from segdistill.errors import EnvironmentFault

NAME = "lock"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder, making it where it is not, so that no second run writes there.

    The system lets go of it when the process ends, however it ends.

    Raises:
        EnvironmentFault: Another process holds it, or it cannot be written or locked.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with held(folder), held(folder):
    ...     pass
    Traceback (most recent call last):
    segdistill.errors.EnvironmentFault: Another run is using ...
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / NAME).open("a")
    except OSError as error:
        raise EnvironmentFault(f"{folder} cannot be written: {error}. Choose a folder that can be written.") from error
    with handle:
        try:
            free = _lock(handle)
        except OSError as error:
            raise EnvironmentFault(
                f"{folder} cannot be locked: {error}. Choose a folder on a disk that supports file locks."
            ) from error
        if not free:
            raise EnvironmentFault(f"Another run is using {folder}. Wait until it ends, or choose another folder.")
        yield


def _lock(handle: IO[str]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
