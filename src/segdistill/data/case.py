"""A case: one field with whatever belongs to it, and how files are named."""

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Literal

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SPLIT_WORDS: Mapping[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
"""What a folder or a manifest may call a split."""


@dataclass(frozen=True)
class Case:
    """One field: an image and, where there are any, its labels and regions."""

    name: str
    """Path of the image in its data set without suffix, as "plate3/A01"; unique in the data set."""

    image: Path | Mapping[str, Path]
    """One file, or channel name to file."""

    labels: Mapping[str, Path]
    """Label set to file; empty where nobody labelled the image."""

    ignore: Path | None
    """Mask whose nonzero pixels do not count; None means that there is no such mask."""

    field_of_view: Path | None
    """Mask whose zero pixels do not count; None means that the whole image is seen."""

    group: str
    """What must not be torn apart by a split: a patient, a slide. Its own name where nothing is known."""

    split: Split | None
    """None means that nobody decided yet."""

    remarks: Mapping[str, str] = field(default_factory=dict)
    """Cells of a manifest's columns that begin with '#', by the column's name without it; empty cells are not here."""


def image_files(case: Case) -> tuple[Path, ...]:
    """Return the file or files of a case's image."""
    return tuple(case.image.values()) if isinstance(case.image, Mapping) else (case.image,)


def stem(path: PurePath) -> str:
    """Return what pairs an image with its label: the path without suffix, in one Unicode form.

    ``.ome.tif``, ``.ome.zarr`` and ``.nii.gz`` are suffixes as a whole, in any case.

    >>> stem(PurePath("plate 3/A01.OME.TIF")), stem(PurePath("expert.v2.png")), stem(PurePath("brain.nii.gz"))
    ('plate 3/A01', 'expert.v2', 'brain')
    """
    bare = path.with_suffix("")
    if bare.suffix.lower() == ".ome" or (bare.suffix.lower(), path.suffix.lower()) == (".nii", ".gz"):
        bare = bare.with_suffix("")
    return unicodedata.normalize("NFC", bare.as_posix())


def numbered(count: int, noun: str) -> str:
    """Return how many there are of what takes an s where there are several.

    >>> numbered(1, "image"), numbered(0, "image"), numbered(1234, "image")
    ('1 image', '0 images', '1,234 images')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


_FEW = 10
"""Names that are listed."""


def shown(names: Iterable[object], *, most: int = _FEW) -> str:
    """Return names as text, at most so many of them.

    >>> shown(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    every = [str(name) for name in names]
    rest = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + rest


def notes_on_unlabelled(cases: Collection[Case], label_sets: Iterable[str]) -> Iterator[str]:
    """Say of every label set in how many images it was not outlined, by name where they are few or have no label.

    Args:
        cases: Of a data set.
        label_sets: Their label sets.
    """
    for name in label_sets:
        without = sorted(case.name for case in cases if name not in case.labels)
        bare = sum(not case.labels for case in cases)
        told = f"{name}: {len(without)} of {len(cases)} images have no label"
        if len(without) > _FEW and not bare:
            yield f"{told} (each has one of something else): it counts for nothing there."
        elif without:
            yield f"{told}: {shown(without)}."
