"""Which images are to be segmented, and what their masks are called."""

import hashlib
import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segdistill.data.case import shown, stem
from segdistill.data.folders import join_channels
from segdistill.data.pseudonyms import pseudonyms
from segdistill.data.readers import BUILTIN, conversion_hint, is_known
from segdistill.data.readers.ome_zarr import is_zarr
from segdistill.errors import ConfigError, DataError
from segdistill.files import sha256_file
from segdistill.plugins import names

_LONGEST = 180
"""Bytes of one part of a name, so that it fits a file system with any suffix of ours."""


@dataclass(frozen=True)
class Found:
    """An image that is to be segmented."""

    path: Path
    """The file, or the folder of an OME-Zarr. Where each channel has its own file, what their paths have in common."""

    place: Path
    """Its path below the folder that was named, or its name."""

    files: Mapping[str, Path] | None = None
    """Channel to file, where each has its own."""


@dataclass(frozen=True)
class Input(Found):
    """An image that is to be segmented, and what its masks are called."""

    name: str = field(kw_only=True)
    """Of its masks, without suffix; no other image has it. May contain "/"."""


def find_images(
    paths: Sequence[Path],
    *,
    without: Path,
    pattern: str | None = None,
    notice: Callable[[str], None] = lambda _: None,
) -> list[Found]:
    """Return the images among files and folders.

    Args:
        paths: Folders are searched through for files of known suffixes, and for those that must be converted
            first, unless an image of the same stem stands beside them; a file is taken for an image as it is.
        without: A folder that is not searched: the one for the masks.
        pattern: Of the files, with ``{name}`` and ``{channel}``, where each channel has its own; files
            that do not match it are left aside. None means one file per image.
        notice: Told which files are left aside.

    Raises:
        DataError: A path does not exist or cannot be looked into, there is no image or none that need not
            be converted, or two files are one channel of one image.
        ConfigError: One image is named twice, or the pattern can be read in two ways.
    """
    found: list[Found] = []
    converted: list[str] = []
    for path in paths:
        if not path.exists():
            raise DataError(f"There is no file or folder {path}. Check the path.")
        found += _below(path, without.resolve(), converted) if _is_folder(path) else [Found(path, Path(path.name))]
    twice = [path for path, times in Counter(image.path.resolve() for image in found).items() if times > 1]
    if twice:
        raise ConfigError(f"{twice[0]} is named twice among the images. Name each once.")
    if not found:
        known = ", ".join(sorted(_suffixes()))
        raise DataError(f"There is no image in {', '.join(map(str, paths))}. Files are known by their suffix: {known}.")
    if converted:
        notice(f"Left aside, as an image of the same name stands beside each: {shown(sorted(converted))}.")
    _refuse_all_to_convert(found, paths)
    return found if pattern is None else _joined(found, pattern, notice)


def _refuse_all_to_convert(found: Sequence[Found], paths: Sequence[Path]) -> None:
    """Refuse folders in which every image must be converted first; one that was named itself is answered alone."""
    hints = {image.path: conversion_hint(image.path) for image in found}
    if None in hints.values() or any(image.path in paths for image in found):
        return
    first, hint = next(iter(hints.items()))
    raise DataError(
        f"There is no image in {', '.join(map(str, paths))} that can be read as it is: {shown(p.name for p in hints)}."
        f" Of {first.name}: {hint}"
    )


def _joined(found: Sequence[Found], pattern: str, notice: Callable[[str], None]) -> list[Found]:
    """Return the images whose channels these files are."""
    below = defaultdict[Path, list[Found]](list)
    for file in found:
        below[file.path.parents[len(file.place.parts) - 1]].append(file)
    joined: list[Found] = []
    for root, files in below.items():
        images, aside = join_channels(((file.path, file.place) for file in files), pattern)
        joined += [Found(root / name, Path(name), channels) for name, channels in images.items()]
        if aside:
            notice(f"{root}: left aside, as {pattern!r} does not match: {shown(aside)}.")
    if not joined:
        some = shown((file.place.as_posix() for file in found), most=3)
        raise DataError(f"None of the files ({some}) matches the pattern {pattern!r}. Correct the pattern.")
    return joined


def _is_folder(path: Path) -> bool:
    return path.is_dir() and path.suffix.lower() != ".zarr" and not is_zarr(path)


def _suffixes() -> set[str]:
    return {*BUILTIN, *(f".{name}" for name in names("reader"))}


def _below(folder: Path, without: Path, converted: list[str]) -> Iterator[Found]:
    """Yield the images in a folder in order; an OME-Zarr is one image.

    Files that must be converted are images, too, and fail when their turn comes. Those beside which an image of
    the same stem stands have been converted: their places are added to ``converted``.
    """
    seen = set()
    for here, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        place = Path(here)
        if place.resolve() in seen | {without}:  # a link may lead back to where the walk has been
            folders.clear()
            continue
        seen.add(place.resolve())
        inner = [name for name in folders if not name.startswith(".")]
        folders[:] = sorted(name for name in inner if _is_folder(place / name))
        visible = [name for name in files if not name.startswith(".")]
        images = [*filter(lambda name: is_known(place / name), visible), *(set(inner) - set(folders))]
        foreign = [name for name in visible if conversion_hint(place / name) is not None]
        done = {stem(Path(name)) for name in images}
        converted += [(place / name).relative_to(folder).as_posix() for name in foreign if stem(Path(name)) in done]
        for name in sorted([*images, *(name for name in foreign if stem(Path(name)) not in done)]):
            yield Found(place / name, (place / name).relative_to(folder))


def _refuse(error: OSError) -> None:
    raise DataError(f"{error.filename} cannot be searched for images: {error.strerror}. Name the images.") from error


def name_images(
    found: Sequence[Found],
    *,
    before: Callable[[Found], str | None] = lambda _: None,
    free: Callable[[str, Found], bool] = lambda _name, _image: True,
) -> list[Input]:
    """Give each image a name for its masks, in the order of the names.

    An image is named after its path below the folder that was named, without suffix. Where two
    would have one name, on a file system that knows neither case nor Unicode forms, they keep their
    suffix, and then as many of the folders above them as it takes, or else a mark.

    Args:
        found: The images.
        before: Returns the name that an image had in an earlier run; it keeps it.
        free: Tells whether a name is not yet that of another image of an earlier run.

    >>> [image.name for image in name_images([Found(Path(p), Path(p)) for p in ("a.png", "b.png", "a.tif")])]
    ['a.png', 'a.tif', 'b']
    """
    forms = [_forms(image) if (name := before(image)) is None else [name] for image in found]
    while True:
        for image, left in zip(found, forms, strict=True):
            while len(left) > 1 and not free(left[0], image):
                del left[0]
        times = Counter(folded(left[0]) for left in forms)
        clashing = [left for left in forms if len(left) > 1 and times[folded(left[0])] > 1]
        if not clashing:
            break
        for left in clashing:
            del left[0]
    named = (Input(i.path, i.place, i.files, name=left[0]) for i, left in zip(found, forms, strict=True))
    return sorted(named, key=lambda image: image.name)


def name_privately(found: Sequence[Found]) -> list[Input]:
    """Give each image a pseudonym for its masks, in the order of the pseudonyms.

    Raises:
        DataError: A file cannot be read.
    """
    ordered = sorted(found, key=lambda image: image.path)
    firsts = {
        str(image.path): image.path if image.files is None else next(iter(image.files.values())) for image in ordered
    }
    names = pseudonyms(firsts)
    inputs = (Input(image.path, image.place, image.files, name=names[str(image.path)]) for image in ordered)
    return sorted(inputs, key=lambda image: image.name)


def folded(name: str) -> str:
    """Return what is equal for names that some file system takes for one."""
    return unicodedata.normalize("NFC", name).casefold()


def _forms(image: Found) -> list[str]:
    """Return the names that an image could have, the shortest first; the last is no other image's."""
    whole = image.path.resolve()
    longer = ["/".join(whole.parts[-count:]) for count in range(2, len(whole.parts))]
    marked = f"{image.place.as_posix()}-{_mark(os.fsencode(whole))}"
    shortest = stem(image.place) if image.files is None else image.place.as_posix()
    return [_writable(form) for form in (shortest, image.place.as_posix(), *longer, marked)]


def _writable(name: str) -> str:
    """Return a name of valid Unicode whose parts are short enough for a file system.

    >>> _writable("plate 1/A01"), len(_writable("x" * 300))
    ('plate 1/A01', 180)
    """
    return "/".join(_shortened(os.fsencode(part).decode("utf-8", "replace")) for part in name.split("/"))


def _shortened(part: str) -> str:
    data = part.encode()
    if len(data) <= _LONGEST:
        return part
    mark = _mark(data)
    return data[: _LONGEST - len(mark) - 1].decode(errors="ignore") + f"-{mark}"


def _mark(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


def fingerprint(image: Found) -> str:
    """Return what changes when an image does: the hash of a file, or of an OME-Zarr's names, sizes and times.

    Raises:
        DataError: It cannot be read.
    """
    if image.files is None:
        return _fingerprint(image.path)
    lines = (f"{channel} {_fingerprint(path)}\n" for channel, path in sorted(image.files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _fingerprint(path: Path) -> str:
    try:
        if path.is_file():
            return sha256_file(path)
        digest = hashlib.sha256()
        for part in sorted(p for p in path.rglob("*") if p.is_file()):
            facts = part.stat()
            digest.update(os.fsencode(part.relative_to(path).as_posix()))
            digest.update(f" {facts.st_size} {facts.st_mtime_ns}\n".encode())
        return digest.hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error
