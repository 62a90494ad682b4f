"""What is known of a data set, and what its layout becomes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from segdistill.data.case import Split
from segdistill.errors import DataError
from segdistill.fetch import Item

_HIDDEN = ("__MACOSX", ".")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One image of a manifest."""

    name: str
    """Unique in the manifest."""

    image: Path | Mapping[str, Path]
    """One file, or channel name to file."""

    labels: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))
    """Structure to file."""

    group: str = ""
    """What must not be torn apart by a split; empty: the image alone."""

    split: Split | None = None
    """As its authors divided it; None: they did not."""

    field_of_view: Path | None = None
    """Mask of the pixels that count; None: all do."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a layout becomes."""

    manifests: Mapping[str, tuple[Row, ...]]
    """Name of a manifest, without suffix, to its rows."""

    notes: tuple[str, ...] = ()
    """What a person must know of it."""


Prepare = Callable[[Path, Path], Prepared]
"""From the folder of a download, and the folder of the manifests, into which new files may be written."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One file of a data set."""

    item: Item
    """The file as it is published."""

    into: str | None = None
    """Folder that it is unpacked into; None: it is no archive."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A public data set."""

    what: str
    """What it shows."""

    labels: str
    """What is labelled, and how."""

    licence: str
    """On what terms."""

    page: str
    """Where it is described."""

    layout: str
    """What the folder of a download holds."""

    prepare: Prepare
    """Makes the rows of its manifests."""

    parts: tuple[Part, ...] = ()
    """What can be fetched; empty where only a person can."""

    by_hand: str = ""
    """What a person has to do where nothing, or not all, can be fetched."""

    settings: str = ""
    """Settings of ``segdistill`` that it wants; empty: none."""


OPEN_SPLIT = (
    "The authors gave no validation images, so training images have no split yet: --split 0.8 0.2 0 divides them."
)


def opened(rows: list[Row]) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """Return rows whose training images are left to be divided where there are no validation images, and a note of it.

    >>> rows = [Row(name="a", image=Path("a"), split="train"), Row(name="b", image=Path("b"), split="test")]
    >>> [row.split for row in opened(rows)[0]]
    [None, 'test']
    """
    splits = {row.split for row in rows}
    if "train" not in splits or "validation" in splits:
        return tuple(rows), ()
    return tuple(replace(row, split=None) if row.split == "train" else row for row in rows), (OPEN_SPLIT,)


def files(source: Path, pattern: str) -> list[Path]:
    """Return the files and folders below a folder that match a pattern, in order; hidden ones are passed over.

    Args:
        source: Where to look, at any depth.
        pattern: As ``Path.rglob`` takes it.
    """
    found = source.rglob(pattern)
    return sorted(
        path for path in found if not any(part.startswith(_HIDDEN) for part in path.relative_to(source).parts)
    )


def refuse_empty(found: object, source: Path, layout: str) -> None:
    """Refuse a folder in which nothing was found.

    Raises:
        DataError: The first argument is empty.
    """
    if not found:
        raise DataError(f"{source} does not hold the data set: expected is {layout}. Check the folder.")
