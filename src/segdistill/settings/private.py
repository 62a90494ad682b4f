"""Settings and commands of private runs: what they say once every place of the data is hidden."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

_HIDDEN = "private, its path has SHA-256 "


def hidden(path: str) -> str:
    """Return what stands in place of a path: by it, who knows the path can tell that it was this one.

    >>> hidden("/clinic/Ann")
    'private, its path has SHA-256 83323f26711ce5cf'
    """
    return _HIDDEN + hashlib.sha256(path.encode()).hexdigest()[:16]


def is_hidden(value: Any, open_value: Any) -> bool:
    """Return whether a setting's value hides this path."""
    return isinstance(value, str) and isinstance(open_value, str) and value == hidden(open_value)


def hide_places(values: Mapping[str, Any], typed: Mapping[str, Any], places: Iterable[Path]) -> dict[str, Any]:
    """Return settings with every path hidden that is one of these places or lies within one.

    Args:
        values: Resolved settings, JSON values only.
        typed: The same, in which paths are still paths: a channel may be called as a folder is.
        places: Folders of images, or manifests, within whose folders what lies is hidden, too. A relative place that
            has no name, as the folder that the command runs in, hides itself alone.
    """
    given = list(places)
    named = [folder for folder in map(_folder_of, given) if folder is not None]
    around = (*named, *(folder.absolute() for folder in named))

    def lies_within(path: Path) -> bool:
        return path in given or any(path.is_relative_to(folder) for folder in around)

    return _without(dict(values), typed, lies_within)


def hide_words(words: Sequence[str], places: Mapping[str, Path]) -> list[str]:
    """Return a command's words, what they say of each place replaced by the name of its setting in capitals.

    >>> hide_words(["--data", "clinic//Ann/", "--out=clinic/Ann/run"], {"data": Path("clinic/Ann")})
    ['--data', 'DATA', '--out=DATA/run']
    >>> hide_words(["--data", "Ann/list.csv", "--out", "Ann/run"], {"data": Path("Ann/list.csv")})
    ['--data', 'DATA', '--out', 'DATA_FOLDER/run']
    """
    return [_hide_word(word, places) for word in words]


def _folder_of(place: Path) -> Path | None:
    """Return the folder that a place is, or that a manifest lies in; None: it has no name of its own."""
    folder = place.parent if place.suffix.lower() == ".csv" else place
    return folder if folder.parts and folder != Path(folder.anchor) else None


def _without(value: Any, typed: Any, lies_within: Callable[[Path], bool]) -> Any:
    if isinstance(typed, Path):
        return hidden(value) if lies_within(typed) else value
    if isinstance(value, dict):
        return {name: _without(each, typed[name], lies_within) for name, each in value.items()}
    if isinstance(value, list):
        return [_without(each, own, lies_within) for each, own in zip(value, typed, strict=True)]
    return value


def _hide_word(word: str, places: Mapping[str, Path]) -> str:
    head, equals, tail = word.partition("=") if word.startswith("--") else ("", "", word)
    path, around = Path(tail), {name: _folder_of(place) for name, place in places.items()}
    for name, place in places.items():
        folder = around[name]
        if place.parts and path.is_relative_to(place):
            return head + equals + Path(name.upper(), path.relative_to(place)).as_posix()
        if folder is not None and path.is_relative_to(folder):
            return head + equals + Path(f"{name}_folder".upper(), path.relative_to(folder)).as_posix()
    for name, place in places.items():
        tail = tail.replace(str(place), name.upper()) if place.parts else tail
    return head + equals + tail
