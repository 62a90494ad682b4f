"""The files of labels, of predictions, or of masks: in a folder, or in a COCO file."""

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from segdistill import plugins
from segdistill.data.case import numbered, shown
from segdistill.data.coco import CocoFile, is_coco, read_coco
from segdistill.data.coco_pairing import inner_files, notes_on_crowds
from segdistill.data.folders import coco_files, label_stem
from segdistill.data.outlines import is_outlines
from segdistill.data.readers import BUILTIN, clip_index, conversion_hint, is_known
from segdistill.data.readers.ome_zarr import is_zarr
from segdistill.data.stacks import named_planes
from segdistill.errors import ConfigError, DataError, nearest
from segdistill.evaluation.predicted import ORDER, first_written, is_predicted, lost_planes

Coco = tuple[tuple[Path, CocoFile], ...]
"""COCO files, each with what it holds."""


def is_folder(path: Path) -> bool:
    """Return whether a path holds the files of many images: a folder, but no Zarr picture; or a COCO file."""
    return (path.is_dir() and not _is_zarr(path)) or is_coco(path)


def coco_of(path: Path) -> Coco:
    """Return the COCO files that a path is or, if it is a folder, holds and nothing else; none otherwise.

    Raises:
        DataError: One is damaged, or no COCO file of objects.
    """
    files = [path] if path.is_file() and is_coco(path) else coco_files(path)
    return tuple((each, read_coco(each)) for each in files)


def folders_in(path: Path) -> tuple[str, ...]:
    """Return the names of the sub-folders of a folder, but for hidden ones and Zarr pictures; of a file none."""
    entries = sorted(path.iterdir()) if path.is_dir() and not _is_zarr(path) else []
    return tuple(each.name for each in entries if each.is_dir() and each.name[0] != "." and not _is_zarr(each))


def inner_labels(
    coco: Coco, names: Collection[str], *, structure: str, exactly: bool
) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Return the objects of one category of COCO files by name of their image, and remarks on crowds.

    Args:
        coco: The files.
        names: By which images are known on the other side; see ``names_in``.
        structure: Name of the category.
        exactly: Whether it must be that one. Otherwise it may be the only one that there is.

    Raises:
        ConfigError: There is no such category.
        DataError: Two images have one name.
    """
    titles = list(dict.fromkeys(name for _, file in coco for name in file.categories.values()))
    title = structure if structure in titles or len(titles) != 1 or exactly else titles[0]
    if title not in titles:
        raise ConfigError(
            f"{shown(path for path, _ in coco)} has no category {title!r}.{nearest(title, titles)} It has:"
            f" {shown(titles) or 'none'}. Say which with --structure, or several with --structures."
        )
    files = inner_files(coco, names, category=title).get(title, {})
    notes = [
        note
        for path, file in coco
        for note in notes_on_crowds(path, file, {number for number, each in file.categories.items() if each == title})
    ]
    return files, tuple(notes)


def picture_files(folder: Path) -> dict[str, Path]:
    """Return the pictures below a folder by name: the path in it without suffix.

    Files that no reader knows, such as tables, are passed over.

    Raises:
        DataError: There is none, two have one name, or one must be converted first.
    """
    return _by_name(folder, [path for path in _below(folder) if not is_outlines(path)], "picture")[0]


def label_files(folder: Path) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Return the pictures and files of outlines below a folder by name, and remarks. Overlays are none.

    Of several files of one name that ``segdistill predict`` wrote it is the first of ``predicted.ORDER``, as of
    ``picture_files``. Frames that it could not segment are left out: their pages are empty, and no masks.

    Raises:
        DataError: There is none, or two have one name.
    """
    files = [path for path in _below(folder) if path.suffix.lower() not in clip_index.SUFFIXES]
    return _by_name(folder, files, "picture and no outlines")


def _by_name(folder: Path, files: list[Path], what: str) -> tuple[dict[str, Path], tuple[str, ...]]:
    known = {*BUILTIN, *(f".{name}" for name in plugins.names("reader"))}
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for path in files:
        if is_known(path) or path.is_dir() or is_outlines(path):
            found[label_stem(path.relative_to(folder))].append(path)
    _refuse_to_convert(path for path in files if label_stem(path.relative_to(folder)) not in found)
    if not found:
        raise DataError(f"{folder} holds no {what}. Files are known by their suffix: {', '.join(sorted(known))}.")
    whole, several = _one_each(folder, found)
    planes: defaultdict[str, list[Path]] = defaultdict(list)
    lost = lost_planes(folder)
    for stem, path in whole.items():
        for name, plane in named_planes(stem, path):
            if plane.absolute() not in lost:
                planes[name].append(plane)
    named, more = _one_each(folder, planes)
    if not several + more:
        return named, ()
    return named, (
        f"{folder} has several files of {numbered(several + more, 'image')}, as predict wrote them: of each the first"
        f" of {', '.join(ORDER)} is taken.",
    )


def _one_each(folder: Path, found: Mapping[str, list[Path]]) -> tuple[dict[str, Path], int]:
    """Return the one file of each name, and how often it had to be chosen.

    Raises:
        DataError: There are several, and nothing says which is meant.
    """
    doubled = {name: sorted(paths) for name, paths in found.items() if len(paths) > 1}
    chosen = {name: first_written(paths) for name, paths in doubled.items()} if is_predicted(folder) else {}
    unclear = sorted(name for name in doubled if chosen.get(name) is None)
    if unclear:
        raise DataError(
            f"{folder} has several files of one stem, as {' and '.join(map(str, doubled[unclear[0]]))}:"
            f" {numbered(len(unclear), 'stem')} of {len(found):,} in all. Keep one file of each."
        )
    return {name: chosen.get(name) or paths[0] for name, paths in found.items()}, len(doubled)


def _refuse_to_convert(files: Iterable[Path]) -> None:
    """Refuse files that must be converted first: passed over, they would be missing from every score."""
    hints = {path: hint for path in sorted(files) if (hint := conversion_hint(path)) is not None}
    if hints:
        first, hint = next(iter(hints.items()))
        raise DataError(f"There is no reader for {shown(hints)}. Of {first.name}: {hint}")


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


def _is_zarr(path: Path) -> bool:
    return path.suffix.lower() == ".zarr" or is_zarr(path)
