"""A data set: its cases, and what their labels mean."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Int

from segdistill.data.case import Case, Split, numbered, shown
from segdistill.data.channels import check_names
from segdistill.data.folders import Found, read_folder
from segdistill.data.label_kinds import infer_kind
from segdistill.data.labels import KINDS, Kind, LabelSet, Structure, read_labels, structures_of
from segdistill.data.manifest import read_manifest
from segdistill.data.outlines import is_outlines
from segdistill.data.scans import scan_notes
from segdistill.errors import ConfigError, DataError, UnknownName

__all__ = ["Case", "Dataset", "Split", "read_dataset"]

_SAMPLE = 50
"""So many label files of a set are read to tell its kind."""


@dataclass(frozen=True)
class Dataset:
    """Cases, and what their labels mean."""

    cases: tuple[Case, ...]
    """By name, or in the order of the manifest."""

    label_sets: tuple[LabelSet, ...]
    """Empty where nothing is labelled."""

    channels: tuple[str, ...] | None
    """Names for the channels in the order of the files; None takes the files' own."""

    axes: str | None
    """Meaning of the files' axes, as "cyx"; None takes the files' own."""

    root: Path
    """The folder, or the manifest's folder."""

    notes: tuple[str, ...] = ()
    """What was left aside, found without its partner or inferred: for people to read."""

    fill_missing: bool = False
    """Whether tiles or chunks of which a file stores nothing are empty on purpose; see ``open_image``."""

    @property
    def structures(self) -> tuple[Structure, ...]:
        """What there is to segment, in order."""
        return structures_of(self.label_sets)


def read_dataset(
    path: Path,
    *,
    channels: Sequence[str] | None = None,
    axes: str | None = None,
    label_kind: str | Mapping[str, str] | None = None,
    structure: str = "cell",
    value_names: Mapping[int, str] | None = None,
    pattern: str | None = None,
    fill_missing: bool = False,
) -> Dataset:
    """Return the data set of a folder or of a CSV manifest; no image is read.

    Of DICOM, NIfTI and TIFF files the headers are read, and of clips which frames they hold: each plane is a case, and
    what they say is noted where it matters.

    Args:
        path: A folder with ``images/`` and, where they exist, ``labels/``, ``ignore/`` (nonzero
            pixels do not count) and ``field_of_view/`` (only nonzero pixels count), paired by stem;
            or a manifest (see ``segdistill.data.manifest``).
        channels: Names of the channels in the order of the files, or, where each channel has its own
            file, which of them to use and in which order. None takes the files' own, and all.
        axes: Meaning of the files' axes. None takes the files' own.
        label_kind: What the numbers in label files mean: instances, binary, classes or bits; one for
            all label sets, or by label set. None infers it from up to 50 files of each.
        structure: What is labelled where the folder or manifest does not name it.
        value_names: Of a label set of classes or bits: structure by class number or bit value. None
            names the values that occur after the label set ("organ_1", "organ_4").
        pattern: Of the files in ``images/``, with ``{name}`` and ``{channel}``, where each channel
            has its own file. None means one file per image.
        fill_missing: Whether tiles or chunks of which an image or label file stores nothing are
            empty on purpose. Otherwise such files are refused when they are read.

    Raises:
        DataError: Files are missing, doubled or without partner; see ``read_folder`` and
            ``read_manifest``.
        ConfigError: The kind of labels cannot be inferred, or settings contradict each other.
        UnknownName: There is no such kind, or no such label set.
    """
    if path.is_dir():
        found, root = read_folder(path, structure=structure, pattern=pattern, axes=axes), path
    elif path.suffix.lower() == ".csv" and path.is_file():
        found, root = _from_manifest(path, structure, pattern, axes), path.parent
    else:
        raise DataError(f"{path} is neither a folder with images/ nor a CSV manifest. Check the path.")
    found = found if channels is None else _in_order(found, channels)
    kinds = _kinds(label_kind, found.label_sets)
    try:
        made = [
            _label_set(name, _label_files(found, name, fill_missing), kinds.get(name), value_names)
            for name in found.label_sets
        ]
    except DataError as error:  # the first of the files that tell what labels mean
        raise DataError(f"{error} `segdistill check {path}` lists every file that cannot be used.") from error
    if value_names and not any(label_set.values for label_set, _ in made):
        raise ConfigError(f"Names are given for the values {sorted(value_names)}, but no labels are classes or bits.")
    label_sets = tuple(label_set for label_set, _ in made)
    structures_of(label_sets)  # refuses two of one name
    of_labels = (note for _, notes in made for note in notes)
    notes = (*found.notes, *_on_regions(found.cases), *scan_notes(found.cases), *of_labels)
    names = None if channels is None else tuple(channels)
    return Dataset(found.cases, label_sets, names, axes, root, notes, fill_missing)


def _on_regions(cases: Sequence[Case]) -> Iterator[str]:
    """Yield what the masks do that say where pixels count, which have no kind and are no labels."""
    for name, which, found in (
        ("ignore", "not 0", [case for case in cases if case.ignore is not None]),
        ("field_of_view", "0", [case for case in cases if case.field_of_view is not None]),
    ):
        if found:
            yield (
                f"{name}: masks of {len(found)} of {numbered(len(cases), 'image')}; pixels where they are {which} count"
                " for nothing, neither in training nor in scores."
            )


def _from_manifest(path: Path, structure: str, pattern: str | None, axes: str | None) -> Found:
    if pattern is not None:
        raise ConfigError(
            f"The pattern {pattern!r} is for folders; in the manifest {path} name the files of each channel in"
            " columns image:CHANNEL."
        )
    return read_manifest(path, structure=structure, axes=axes)


def _in_order(found: Found, channels: Sequence[str]) -> Found:
    """Return the cases with those files of theirs that are the channels asked for, in that order."""
    cases, left = [], set()
    for case in found.cases:
        if isinstance(case.image, Mapping):
            check_names(case.image, channels, source=f"{case.name} (one file per channel)")
            left |= set(case.image) - set(channels)
            case = replace(case, image={name: case.image[name] for name in channels})  # noqa: PLW2901
        cases.append(case)
    notes = (f"channels left aside: {shown(sorted(left))}.",) if left else ()
    return Found(tuple(cases), found.label_sets, (*found.notes, *notes))


def _kinds(label_kind: str | Mapping[str, str] | None, label_sets: tuple[str, ...]) -> dict[str, Kind]:
    """Return label set to kind, for the label sets whose kind is given."""
    if label_kind is None:
        return {}
    given = dict.fromkeys(label_sets, label_kind) if isinstance(label_kind, str) else label_kind
    for kind in {label_kind} if isinstance(label_kind, str) else label_kind.values():
        if kind not in KINDS:
            raise UnknownName("label kind", kind, KINDS)
    for name in given:
        if name not in label_sets:
            raise UnknownName("label set", name, label_sets)
    return {name: cast("Kind", kind) for name, kind in given.items()}


@dataclass(frozen=True)
class _LabelFiles:
    """The files of a label set, each read when it is its turn."""

    paths: tuple[Path, ...]
    fill_missing: bool

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[Int[np.ndarray, "_ _"]]:
        return (read_labels(path, fill_missing=self.fill_missing) for path in self.paths)

    def some(self, count: int) -> "_LabelFiles":
        """Return so many of them, or all, from all over the set."""
        places = np.linspace(0, len(self) - 1, min(len(self), count)).round().astype(int)
        return replace(self, paths=tuple(self.paths[place] for place in places))


def _label_files(found: Found, name: str, fill_missing: bool) -> _LabelFiles:
    return _LabelFiles(tuple(case.labels[name] for case in found.cases if name in case.labels), fill_missing)


def _label_set(
    name: str, files: _LabelFiles, kind: Kind | None, value_names: Mapping[int, str] | None
) -> tuple[LabelSet, list[str]]:
    """Return a label set, and notes on what was inferred."""
    notes = []
    drawn = sum(map(is_outlines, files.paths))
    if kind is None and drawn:
        kind = "instances"
        notes.append(f"{name}: kind 'instances', since {drawn} of {len(files)} label files are outlines of objects.")
    elif kind is None:
        kind, read = _inferred(name, files)
        notes.append(f"{name}: kind {kind!r} inferred from {read} of {len(files)} label files.")
    if kind in {"instances", "binary"}:
        return LabelSet(name, kind, (name,)), notes
    if drawn:
        raise ConfigError(
            f"Label set {name!r} is of kind {kind}, but {drawn} of its {len(files)} files are outlines of objects,"
            " which are instances or binary. Save those of each structure in a folder of its own."
        )
    if value_names:
        return LabelSet(name, kind, tuple(value_names.values()), tuple(value_names)), notes
    values = _values(kind, files)
    if not values:
        raise ConfigError(
            f"Label set {name!r} is of kind {kind}, but its {len(files)} files hold nothing but 0. Name its {kind}."
        )
    notes.append(f"{name}: {kind} {', '.join(map(str, values))} found in {len(files)} label files.")
    return LabelSet(name, kind, tuple(f"{name}_{value}" for value in values), values), notes


def _inferred(name: str, files: _LabelFiles) -> tuple[Kind, int]:
    """Return the kind, and how many files were read to find it."""
    few = files.some(_SAMPLE)
    used = few if any(labels.any() for labels in few) else files
    try:
        return infer_kind(used), len(used)
    except ConfigError as error:
        raise ConfigError(f"Label set {name!r}, {len(used)} of {len(files)} files read: {error}") from error


def _values(kind: Kind, files: _LabelFiles) -> tuple[int, ...]:
    """Return the classes, or the bits, that occur in some label files."""
    values = {value for labels in files for value in np.unique(labels).tolist()} - {0}
    if kind == "classes":
        return tuple(sorted(values))
    every = int(np.bitwise_or.reduce([*values, 0]))
    return tuple(1 << bit for bit in range(every.bit_length()) if every >> bit & 1)
