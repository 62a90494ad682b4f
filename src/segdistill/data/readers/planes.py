"""Planes of files that hold many: slices of a volume, frames of a scan.

One image is one plane. What belongs to a plane is named by a path into its file that is no file of its own:
``images/scan.nii.gz/0003.plane`` is the third plane of ``images/scan.nii.gz``.
"""

from pathlib import Path
from typing import NoReturn

from segdistill.errors import DataError

SUFFIX = ".plane"
"""Of a path into a file of many planes."""


def plane_path(path: Path, number: int) -> Path:
    """Return the path that stands for one plane of a file, counted from 1.

    >>> plane_path(Path("scan.nii.gz"), 3).as_posix()
    'scan.nii.gz/0003.plane'
    """
    return path / f"{number:04d}{SUFFIX}"


def file_of(path: Path) -> Path:
    """Return the file that a path leads to: that of a plane, or the path itself.

    >>> file_of(Path("scan.dcm/0003.plane")).as_posix(), file_of(Path("a.tif")).as_posix()
    ('scan.dcm', 'a.tif')
    """
    return path if number_of(path) is None else path.parent


def number_of(path: Path) -> int | None:
    """Return which plane a path stands for, counted from 1; None for a path of a whole file.

    >>> number_of(Path("scan.dcm/0003.plane")), number_of(Path("scan.dcm"))
    (3, None)
    """
    return int(path.stem) if path.suffix == SUFFIX and path.stem.isdecimal() else None


def chosen_plane(path: Path, count: int, *, what: str) -> int:
    """Return the place, from 0, of the one plane that a path means.

    Args:
        path: Of a plane, or of a file of a single one.
        count: How many the file has.
        what: Planes are called in the file's format, such as "frames".

    Raises:
        DataError: The file has no such plane, or several and none is named.
    """
    number = number_of(path)
    if number is None and count != 1:
        _refuse_many(path, count, what)
    if number is not None and not 1 <= number <= count:
        raise DataError(
            f"{file_of(path)} has {count} {what}, but {path.name} names number {number}. Choose 1 to {count}."
        )
    return 0 if number is None else number - 1


def _refuse_many(path: Path, count: int, what: str) -> NoReturn:
    raise DataError(
        f"{path} holds {count} {what}, but one image is one plane. In a data set and for `segdistill predict` each is"
        f" an image of its own; to read one, name it, as {plane_path(path, 1)}."
    )
