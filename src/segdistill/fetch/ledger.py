"""What the files of a folder were when they came: one line each, as ``sha256sum --check`` reads them.

Where nobody published a checksum, the first download is trusted, and every later look compares with it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segdistill.errors import DataError
from segdistill.fetch.item import Item, checksum_of
from segdistill.files import whole_file

NAME = "checksums.sha256"
"""Of the ledger in each folder."""

_LINE = re.compile(r"([0-9a-f]{64})  (.+)")

State = Literal["pinned", "recorded", "new", "wrong", "absent"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """How a file compares with what is known of it."""

    path: Path
    """The file."""

    state: State
    """As published (pinned), as it was when it came (recorded), never compared (new), something else (wrong), or not
    there (absent)."""

    words: str
    """The same for a person."""


def check(item: Item, folder: Path) -> Finding:
    """Return how a file compares with its published checksum, or else with that of its first download.

    Args:
        item: What it should be.
        folder: Where it should be.
    """
    path = folder / item.name
    if not path.is_file():
        return Finding(path=path, state="absent", words=f"{path}: not there")
    if item.checksum is not None:
        found = checksum_of(path, like=item.checksum)
        return _compared(path, found, item.checksum, "pinned", "the published one")
    known = recorded(folder).get(item.name)
    found = checksum_of(path)
    if known is None:
        words = f"{path}: {found}. Nobody published a checksum, and it did not come through here: not compared"
        return Finding(path=path, state="new", words=words)
    return _compared(path, found, known, "recorded", "that of the first download; nobody published one")


def check_recorded(folder: Path) -> tuple[Finding, ...]:
    """Return how every file of a folder's ledger compares with it."""
    findings = []
    for name, known in recorded(folder).items():
        path = folder / name
        if path.is_file():
            findings.append(_compared(path, checksum_of(path), known, "recorded", "what it was when it came"))
        else:
            findings.append(Finding(path=path, state="wrong", words=f"{path}: not there any more"))
    return tuple(findings)


def _compared(path: Path, found: str, wanted: str, state: State, whose: str) -> Finding:
    if found == wanted:
        return Finding(path=path, state=state, words=f"{path}: {found}, {whose}")
    return Finding(path=path, state="wrong", words=f"{path}: {found}, but {wanted} is {whose}")


def recorded(folder: Path) -> dict[str, str]:
    """Return file name to checksum of the ledger; empty where there is none.

    Raises:
        DataError: A line is not one of a ledger.
    """
    ledger = folder / NAME
    if not ledger.is_file():
        return {}
    lines = [line for line in ledger.read_text(encoding="utf-8").splitlines() if line]
    matches = [_LINE.fullmatch(line) for line in lines]
    for line, match in zip(lines, matches, strict=True):
        if match is None:
            raise DataError(f"{ledger} has a line that is no checksum: {line!r}. Correct or delete the file.")
    return {match[2]: f"sha256:{match[1]}" for match in matches if match}


def record(folder: Path, names: Iterable[str]) -> Mapping[str, str]:
    """Add the checksums of some files to the folder's ledger, and return them.

    Raises:
        EnvironmentFault: The ledger cannot be written.
    """
    found = {name: checksum_of(folder / name) for name in names}
    lines = {**recorded(folder), **found}
    with whole_file(folder / NAME) as partial:
        text = "".join(f"{checksum.partition(':')[2]}  {name}\n" for name, checksum in sorted(lines.items()))
        partial.write_text(text, encoding="utf-8")
    return found
