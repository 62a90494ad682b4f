"""One run per folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segdistill.errors import EnvironmentFault
from segdistill.files import take_lock

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
            free = take_lock(handle)
        except OSError as error:
            raise EnvironmentFault(
                f"{folder} cannot be locked: {error}. Choose a folder on a disk that supports file locks."
            ) from error
        if not free:
            raise EnvironmentFault(f"Another run is using {folder}. Wait until it ends, or choose another folder.")
        yield
