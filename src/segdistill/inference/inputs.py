"""Which images are to be segmented, and what their masks are called."""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segdistill.data.case import stem
from segdistill.data.readers import BUILTIN
from segdistill.errors import ConfigError, DataError
from segdistill.files import sha256_file
from segdistill.plugins import names


@dataclass(frozen=True)
class Input:
    """One image to be segmented."""

    path: Path
    """The file, or the folder of an OME-Zarr."""

    name: str
    """Of its masks, without suffix; unique among all inputs. May contain "/"."""


def find_inputs(paths: Sequence[Path]) -> list[Input]:
    """Return the images among files and folders, in the order of their names.

    Args:
        paths: An image is named after itself; images in a folder after their path below it. Where
            two would get one name they keep their suffix, and then their folder's name too.

    Raises:
        DataError: A path does not exist, or there is no image.
        ConfigError: One image is named twice.
    """
    found: list[tuple[Path, Path]] = []
    for path in paths:
        if not path.exists():
            raise DataError(f"There is no file or folder {path}. Check the path.")
        found += _below(path) if path.is_dir() and path.suffix.lower() != ".zarr" else [(path, Path(path.name))]
    twice = [str(path) for path, times in Counter(path.resolve() for path, _ in found).items() if times > 1]
    if twice:
        raise ConfigError(f"{twice[0]} is named twice among the images. Name each once.")
    if not found:
        known = ", ".join(sorted(BUILTIN))
        raise DataError(f"There is no image in {', '.join(map(str, paths))}. Files are known by their suffix: {known}.")
    return sorted((Input(path, name) for (path, _), name in zip(found, _names(found), strict=True)), key=_order)


def _order(image: Input) -> str:
    return image.name


def _below(folder: Path) -> list[tuple[Path, Path]]:
    """Return the images in a folder with their paths below it; an OME-Zarr is one image."""
    known = {*BUILTIN, *(f".{name}" for name in names("reader"))}
    found: list[tuple[Path, Path]] = []
    for path in sorted(folder.iterdir()):
        suffix = path.suffix.lower()
        if path.name.startswith("."):
            continue
        if path.is_dir() and suffix != ".zarr":
            found += [(inner, Path(path.name) / place) for inner, place in _below(path)]
        elif suffix in known:
            found.append((path, Path(path.name)))
    return found


def _names(found: Sequence[tuple[Path, Path]]) -> list[str]:
    """Return one name per image: the shortest of three forms that no other image has."""
    forms = [
        (stem(place), place.as_posix(), (Path(path.resolve().parent.name) / place.name).as_posix())
        for path, place in found
    ]
    counts = [Counter(unicodedata.normalize("NFC", form[level]).casefold() for form in forms) for level in range(3)]
    chosen = [
        next(
            (
                form[level]
                for level in range(3)
                if counts[level][unicodedata.normalize("NFC", form[level]).casefold()] == 1
            ),
            None,
        )
        for form in forms
    ]
    for (path, _), name in zip(found, chosen, strict=True):
        if name is None:
            raise ConfigError(f"{path} and another image would write the same masks. Segment them into two folders.")
    return [name for name in chosen if name is not None]


def fingerprint(path: Path) -> str:
    """Return what changes when an image does: the hash of a file, or of an OME-Zarr's names, sizes and times."""
    if path.is_file():
        return sha256_file(path)
    digest = hashlib.sha256()
    for part in sorted(p for p in path.rglob("*") if p.is_file()):
        facts = part.stat()
        digest.update(f"{part.relative_to(path).as_posix()} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()
