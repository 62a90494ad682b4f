"""Names that say nothing about a patient: made from the files' own contents, so they stay the same and need no key."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from segdistill.data.case import Case, image_files
from segdistill.errors import DataError
from segdistill.files import sha256_file

_DIGITS = 10
"""Of a hash: among ten thousand images, two of one beginning are a matter of one in twenty thousand."""


def pseudonymous(cases: Sequence[Case]) -> tuple[Case, ...]:
    """Return cases under pseudonyms: ``image-`` and the beginning of the SHA-256 of the image's file.

    Who holds the images finds each again with ``sha256sum``; who holds the results alone learns nothing
    from the names. Of several files, one per channel, it is that of the first. A folder, as OME-Zarr is
    one, has the hash of the lines "hash name" of its files in order. Equal images are numbered.

    A group becomes ``group-`` and the least beginning among its images; a case that is a group by
    itself keeps it that way.

    Args:
        cases: Of one data set, in an order that stays the same.

    Raises:
        DataError: A file cannot be read.
    """
    seen: Counter[str] = Counter()
    names: dict[str, str] = {}
    for case in cases:
        digits = _hash(image_files(case)[0])[:_DIGITS]
        seen[digits] += 1
        names[case.name] = f"image-{digits}" + (f"-{seen[digits]}" if seen[digits] > 1 else "")
    members: dict[str, list[str]] = {}
    for case in cases:
        members.setdefault(case.group, []).append(names[case.name])
    groups = {
        group: own[0] if len(own) == 1 and names.get(group) == own[0] else f"group-{min(own).removeprefix('image-')}"
        for group, own in members.items()
    }
    return tuple(replace(case, name=names[case.name], group=groups[case.group]) for case in cases)


def _hash(path: Path) -> str:
    try:
        if not path.is_dir():
            return sha256_file(path)
        files = sorted(each for each in path.rglob("*") if each.is_file())
        lines = "".join(f"{sha256_file(each)} {each.relative_to(path).as_posix()}\n" for each in files)
        return hashlib.sha256(lines.encode()).hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
