"""Names that say nothing about a patient: made from the files' own contents, so they stay the same and need no key."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from segdistill.data.case import Case, image_files
from segdistill.data.readers.planes import file_of
from segdistill.errors import DataError
from segdistill.files import sha256_file

_DIGITS = 10
"""Of a hash: among ten thousand images, two of one beginning are a matter of one in twenty thousand."""


def pseudonymous(cases: Sequence[Case]) -> tuple[Case, ...]:
    """Return cases under pseudonyms: ``image-`` and the beginning of the SHA-256 of the image's file.

    Who holds the images finds each again with ``sha256sum``; who holds the results alone learns nothing
    from the names. Of several files, one per channel, it is that of the first. A folder, as OME-Zarr is
    one, has the hash of the lines "hash name" of its files in order. Equal images are numbered, and so are the planes
    of a file that holds many.

    A group becomes ``group-`` and the least beginning among its images; a case that is a group by
    itself keeps it that way.

    Args:
        cases: Of one data set, in an order that stays the same.

    Raises:
        DataError: A file cannot be read.
    """
    names = pseudonyms({case.name: image_files(case)[0] for case in cases})
    groups = group_pseudonyms({case.name: case.group for case in cases}, names)
    return tuple(replace(case, name=names[case.name], group=groups[case.group]) for case in cases)


def pseudonyms(files: Mapping[str, Path], *, kind: str = "image") -> dict[str, str]:
    """Return name to pseudonym: a word, and the beginning of the SHA-256 of the file; equal files are numbered.

    Args:
        files: Name to the file that stands for it, in an order that stays the same.
        kind: The word.

    Raises:
        DataError: A file cannot be read.
    """
    seen: Counter[str] = Counter()
    names = {}
    for name, path in files.items():
        digits = _hash(path)[:_DIGITS]
        seen[digits] += 1
        names[name] = f"{kind}-{digits}" + (f"-{seen[digits]}" if seen[digits] > 1 else "")
    return names


def group_pseudonyms(groups: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    """Return group to pseudonym: ``group-`` and the least beginning among its members.

    Args:
        groups: Name to group. A name that is a group by itself keeps being one.
        names: Name to pseudonym.

    >>> group_pseudonyms({"a": "Ann", "b": "Ann", "c": "c"}, {"a": "image-2f", "b": "image-1e", "c": "image-3d"})
    {'Ann': 'group-1e', 'c': 'image-3d'}
    """
    members: dict[str, list[str]] = {}
    for name, group in groups.items():
        members.setdefault(group, []).append(names[name])
    return {
        group: own[0] if len(own) == 1 and names.get(group) == own[0] else f"group-{min(map(_digits, own))}"
        for group, own in members.items()
    }


def is_pseudonym(name: str) -> bool:
    """Return whether a name is a pseudonym of an image, and so says nothing about it.

    >>> is_pseudonym("image-0123456789"), is_pseudonym("image-0123456789-2"), is_pseudonym("image-7")
    (True, True, False)
    """
    return re.fullmatch(rf"image-[0-9a-f]{{{_DIGITS}}}(-\d+)?", name) is not None


def _digits(pseudonym: str) -> str:
    return pseudonym.partition("-")[2]


def image_sha256(case: Case) -> str:
    """Return the SHA-256 of a case's image file, of which a pseudonym is the beginning; see ``pseudonymous``.

    Raises:
        DataError: The file cannot be read.
    """
    return _hash(image_files(case)[0])


def _hash(path: Path) -> str:
    """Return the hash of a file, of the file that a plane is in, or of a folder."""
    file = file_of(path)
    try:
        if not file.is_dir():
            facts = file.stat()
            return _hash_once(file, facts.st_mtime_ns, facts.st_size)
        files = sorted(each for each in file.rglob("*") if each.is_file())
        lines = "".join(f"{sha256_file(each)} {each.relative_to(file).as_posix()}\n" for each in files)
        return hashlib.sha256(lines.encode()).hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error


@lru_cache(maxsize=8)
def _hash_once(file: Path, changed: int, size: int) -> str:
    """Return the hash of a file, for all its planes."""
    del changed, size  # they tell a file from what it was before
    return sha256_file(file)
