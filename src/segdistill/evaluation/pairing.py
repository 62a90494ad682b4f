"""Which prediction belongs to which label: two files, or the files of one stem in two folders."""

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from segdistill import plugins
from segdistill.data.case import shown, stem
from segdistill.data.readers import BUILTIN
from segdistill.data.readers.ome_zarr import is_zarr
from segdistill.errors import ConfigError, DataError


@dataclass(frozen=True)
class Pair:
    """A labelled field and what was predicted of it."""

    name: str
    """Path of the label in its folder without suffix, as "plate3/A01"."""

    label: Path
    """What a person said."""

    prediction: Path | None
    """None means that there is none."""

    ignore: Path | None = None
    """Mask whose nonzero pixels do not count; None means that there is no such mask."""

    field_of_view: Path | None = None
    """Mask whose zero pixels do not count; None means that the whole image is seen."""


@dataclass(frozen=True)
class Pairing:
    """Two folders, paired."""

    pairs: tuple[Pair, ...]
    """One per label, by name."""

    alone: tuple[str, ...] = ()
    """Names of predictions without a label."""


def pair_up(
    predictions: Path, labels: Path, *, ignore: Path | None = None, field_of_view: Path | None = None
) -> Pairing:
    """Return which prediction belongs to which label.

    Args:
        predictions: A folder, searched through, or a file.
        labels: A folder or a file, as the predictions are. In folders, files of one stem belong
            together, whatever their suffixes; two files belong together whatever their names.
        ignore: Folder or file, as the others, of masks whose nonzero pixels do not count. A label
            without a mask counts everywhere. None: there are none.
        field_of_view: The same for masks whose zero pixels do not count.

    Raises:
        ConfigError: One is a folder and another a file.
        DataError: A path does not exist, a folder has several files of one stem or no picture, or
            no prediction or mask belongs to any label.
    """
    paths = {"predictions": predictions, "labels": labels, "--ignore": ignore, "--field-of-view": field_of_view}
    given = {what: path for what, path in paths.items() if path is not None}
    _refuse_mixture(given)
    if not _is_folder(labels):
        return Pairing((Pair(stem(Path(labels.name)), labels, predictions, ignore, field_of_view),))
    files = {what: label_files(path) for what, path in given.items()}
    names = sorted(files["labels"])
    for what, found in files.items():
        _refuse_strangers(what, given[what], found, labels, names)
    masks = [files.get(what, {}) for what in ("--ignore", "--field-of-view")]
    pairs = (
        Pair(name, files["labels"][name], files["predictions"].get(name), *(mask.get(name) for mask in masks))
        for name in names
    )
    return Pairing(tuple(pairs), tuple(sorted(set(files["predictions"]) - set(names))))


def label_files(folder: Path) -> dict[str, Path]:
    """Return the pictures below a folder by name: the path in it without suffix.

    Files that no reader knows, such as tables, are passed over.

    Raises:
        DataError: There is none, or two have one name.
    """
    known = {*BUILTIN, *(f".{name}" for name in plugins.names("reader"))}
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for path in _below(folder):
        if path.suffix.lower() in known or path.is_dir():
            found[stem(path.relative_to(folder))].append(path)
    if not found:
        raise DataError(f"{folder} holds no picture. Files are known by their suffix: {', '.join(sorted(known))}.")
    doubled = [" and ".join(map(str, paths)) for paths in found.values() if len(paths) > 1]
    if doubled:
        raise DataError(f"{folder} has several files of one stem: {shown(doubled)}. Keep one of each.")
    return {name: paths[0] for name, paths in found.items()}


def _below(folder: Path) -> Iterator[Path]:
    """Yield every file below a folder, and every Zarr folder as if it were a file."""
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        zarrs = [name for name in folders if _is_zarr(Path(place, name))]
        folders[:] = [name for name in folders if real not in seen and name not in zarrs and not name.startswith(".")]
        if real not in seen:
            yield from (Path(place, name) for name in [*files, *zarrs] if not name.startswith("."))
        seen.add(real)


def _is_folder(path: Path) -> bool:
    """Return whether a path is a folder of pictures; a Zarr folder is a picture."""
    return path.is_dir() and not _is_zarr(path)


def _is_zarr(path: Path) -> bool:
    return path.suffix.lower() == ".zarr" or is_zarr(path)


def _refuse_mixture(paths: dict[str, Path]) -> None:
    for path in paths.values():
        if not path.exists():
            raise DataError(f"There is no file or folder {path}. Check the path.")
    if len({_is_folder(path) for path in paths.values()}) > 1:
        found = ", ".join(f"{path} is a {'folder' if _is_folder(path) else 'file'}" for path in paths.values())
        raise ConfigError(f"{found}. Name folders throughout, or one file of each.")


def _refuse_strangers(what: str, folder: Path, files: dict[str, Path], labels: Path, names: list[str]) -> None:
    """Refuse a folder none of whose files belongs to a label: surely that is not meant."""
    if not set(files) & set(names):
        raise DataError(
            f"{folder} ({what}) and {labels} (labels) have no two files of the same stem:"
            f" {shown(sorted(files), most=3)}; {shown(names, most=3)}. Check the folders, or rename the files of one."
        )
