"""Unpacking zip and tar: everything is looked at before anything is written, and nothing leads out of the folder.

Source:
    What is refused: GHSA-x6ww (zip slip) and the like; PEP 706 for tar.
"""

import lzma
import os
import shutil
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from segdistill.errors import DataError, EnvironmentFault

_CHUNK = 2**20
_HARMLESS = 100 * 2**20
"""Archives that unpack to less than this may be packed as tightly as they like, bytes."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much an archive may hold."""

    files: int = 1_000_000
    """Files and folders."""

    size: int = 100 * 2**30
    """All files together, bytes."""

    ratio: float = 100.0
    """All files together, as a multiple of the archive; what is below 100 MB is not measured."""


_LIMITS = Limits()
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, struct.error, EOFError)


@dataclass(frozen=True)
class _Member:
    """One file of an archive."""

    name: str
    size: int
    open: Callable[[], Any]
    """Returns its content, to be read and closed."""


def unpack(archive: Path, folder: Path, *, limits: Limits = _LIMITS) -> None:
    """Unpack an archive into a new folder, whole or not at all.

    Owners, permissions and times are not taken over; empty folders are not made.

    Args:
        archive: A zip, or a tar (also compressed by gzip, bzip2 or xz).
        folder: Where to. It must not exist.
        limits: How much it may hold.

    Raises:
        DataError: It is damaged, encrypted or neither zip nor tar; it holds links, devices, or names that
            lead out of the folder or meet in one; or it holds more than it may.
        EnvironmentFault: The folder exists or cannot be written, or the disk has too little room.
    """
    if folder.exists():
        raise EnvironmentFault(f"{folder} exists. Delete or rename it, then unpack {archive} again.")
    partial = folder.with_name(f"{folder.name}.partial")
    try:
        with ExitStack() as opened, _reading(archive):
            members = list(_checked(_members(archive, opened), archive, limits))
            _refuse_full(archive, folder, sum(member.size for member in members))
            with _writing(folder):
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir(parents=True)
            for member in members:
                _write(member, partial / member.name, archive)
        with _writing(folder):
            partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _reading(archive: Path) -> Iterator[None]:
    """Turn whatever goes wrong with what an archive holds into a message; damage takes many forms."""
    try:
        yield
    except (DataError, EnvironmentFault):
        raise
    except (*_DAMAGED, OSError, ValueError, RuntimeError, LookupError) as error:
        raise DataError(f"{archive} is damaged or of a kind that is not known: {error}. Get it again.") from error


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EnvironmentFault(f"{folder} cannot be written: {error}. Make room, or choose another folder.") from error


def _members(archive: Path, opened: ExitStack) -> Iterator[_Member]:
    if zipfile.is_zipfile(archive):
        yield from _zip_members(opened.enter_context(zipfile.ZipFile(archive)), archive)
    elif tarfile.is_tarfile(archive):
        yield from _tar_members(opened.enter_context(tarfile.open(archive)), archive)  # noqa: SIM115
    else:
        raise DataError(f"{archive} is neither a zip nor a tar archive. Get it again, or unpack it by hand.")


def _zip_members(handle: zipfile.ZipFile, archive: Path) -> Iterator[_Member]:
    for info in handle.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            raise DataError(f"{archive} holds {info.filename!r}, which is a link or a device. It is not unpacked.")
        if info.flag_bits & 1:
            raise DataError(f"{archive} is encrypted. Unpack it by hand.")
        if not info.is_dir():
            yield _Member(info.orig_filename, info.file_size, lambda info=info: handle.open(info))


def _tar_members(handle: tarfile.TarFile, archive: Path) -> Iterator[_Member]:
    for info in handle:
        if not info.isfile() and not info.isdir():
            raise DataError(f"{archive} holds {info.name!r}, which is a link or a device. It is not unpacked.")
        if info.isfile():
            yield _Member(info.name, info.size, lambda info=info: _tar_file(handle, info))


def _tar_file(handle: tarfile.TarFile, info: tarfile.TarInfo) -> Any:
    content = handle.extractfile(info)
    if content is None:
        raise tarfile.TarError(f"{info.name!r} has no content")
    return content


def _checked(members: Iterator[_Member], archive: Path, limits: Limits) -> Iterator[_Member]:
    """Yield members as long as nothing speaks against the archive; sizes are added as they are read."""
    seen: dict[str, str] = {}
    most = min(limits.size, max(_HARMLESS, int(limits.ratio * archive.stat().st_size)))
    size = 0
    for member in members:
        _refuse_name(member.name, archive)
        size += member.size
        if size > most or len(seen) >= limits.files:
            raise DataError(
                f"{archive} unpacks to more than {most:,} bytes or {limits.files:,} files, which is more than is"
                f" believed of an archive of {archive.stat().st_size:,} bytes. It is not unpacked; do it by hand if"
                " you trust it."
            )
        same = unicodedata.normalize("NFC", PurePosixPath(member.name).as_posix()).casefold()
        if same in seen:
            raise DataError(
                f"{archive} holds both {seen[same]!r} and {member.name!r}, which are one file on some disks. It is not"
                " unpacked."
            )
        seen[same] = member.name
        yield member


def _refuse_name(name: str, archive: Path) -> None:
    """Refuse names that are not plainly below the folder, as any system would read them."""
    parts = PurePosixPath(name).parts
    strange = "\\" in name or any(not letter.isprintable() for letter in name)
    windows = PureWindowsPath(name)
    if not parts or strange or PurePosixPath(name).is_absolute() or windows.drive or windows.root or ".." in parts:
        raise DataError(
            f"{archive} holds {name!r}, whose name leads out of its folder or is no name. It is not unpacked."
        )


def _refuse_full(archive: Path, folder: Path, size: int) -> None:
    place = next(parent for parent in folder.absolute().parents if parent.exists())
    free = shutil.disk_usage(place).free
    if size > free:
        raise EnvironmentFault(
            f"There is no room to unpack {archive}: it holds {size:,} bytes, but {free:,} are free at {place}. Make"
            " room."
        )


def _write(member: _Member, path: Path, archive: Path) -> None:
    """Write one file, and no more of it than it claimed."""
    left = member.size
    with member.open() as content, ExitStack() as opened:
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = opened.enter_context(path.open("xb"))
        while chunk := content.read(min(_CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise DataError(f"{archive} holds more of {member.name!r} than it says. It is not unpacked.")
            with _writing(path):
                handle.write(chunk)
        with _writing(path):
            handle.flush()
            os.fsync(handle.fileno())
    if left:
        raise DataError(f"{archive} holds {left:,} bytes less of {member.name!r} than it says. Get it again.")
