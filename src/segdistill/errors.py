"""Every error this package raises on purpose.

    SegdistillError
    ├── ConfigError       a setting is wrong, or two settings disagree          (ValueError)
    ├── DataError         an image, label or target file cannot be used as asked (ValueError)
    ├── ShapeError        an array has the wrong shape                          (ValueError)
    ├── UnknownName       no teacher, student, ... has this name                (LookupError)
    ├── MissingExtra      an optional dependency is not installed               (ImportError)
    ├── EnvironmentFault  disk full, folder in use or not writable, no device   (OSError)
    └── TrainingStopped   training cannot go on: loss not finite, or a signal   (RuntimeError)

Each also derives from the built-in error it refines, so ``except ValueError`` still works.
The command line prints one of these without a traceback and exits with its ``status`` (1 some
files failed, 2 usage or settings, 3 environment, 4 training stopped); any other exception is a
bug, keeps its traceback and exits with 70.
"""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

__all__ = [
    "ConfigError",
    "DataError",
    "EnvironmentFault",
    "MissingExtra",
    "SegdistillError",
    "ShapeError",
    "TrainingStopped",
    "UnknownName",
    "nearest",
]


class SegdistillError(Exception):
    """Anything this package refuses, with a message for the person who can mend it."""

    status = 2
    """Exit status of the command line."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Pickle the message as it is: some kinds make it from what they are given."""
        return _again, (type(self), str(self))


def _again(kind: type[SegdistillError], message: str) -> SegdistillError:
    return kind.__new__(kind, message)


class ConfigError(SegdistillError, ValueError):
    """A setting is wrong, or two settings disagree."""


class DataError(SegdistillError, ValueError):
    """An image, label or target file cannot be used as asked."""


class ShapeError(SegdistillError, ValueError):
    """An array has the wrong shape."""


class UnknownName(SegdistillError, LookupError):
    """No thing of this kind has this name.

    >>> str(UnknownName("student", "unet-resnet19", ["unet-resnet18", "unet-tiny"]))
    "There is no student called 'unet-resnet19'. Did you mean 'unet-resnet18'? Known: unet-resnet18, unet-tiny."
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        super().__init__(f"There is no {kind} called {name!r}.{nearest(name, known)} {_told(kind, name, known)}")


_LISTED = {"student": "segdistill models --all"}
"""Kinds of which there are too many for a message, to the command that lists them."""

_MOST = 20


def _told(kind: str, name: str, known: list[str]) -> str:
    """Return all known names, or, of a kind that a command lists, the nearest of many.

    >>> _told("student", "unet-resnet", ["unet-resnet18", *map(str, range(30))])
    'Nearest of 31: unet-resnet18. `segdistill models --all` lists them.'
    """
    if kind not in _LISTED or len(known) <= _MOST:
        return f"Known: {', '.join(known) or 'none'}."
    close = get_close_matches(name, known, n=4)
    near = f"Nearest of {len(known)}: {', '.join(close)}." if close else f"There are {len(known)}."
    return f"{near} `{_LISTED[kind]}` lists them."


class MissingExtra(SegdistillError, ImportError):
    """An optional dependency is not installed."""

    status = 3

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}, which is not installed. Run: pip install 'segdistill[{extra}]'")


class EnvironmentFault(SegdistillError, OSError):
    """The machine, not the input, stands in the way: disk full, folder in use, no device."""

    status = 3


class TrainingStopped(SegdistillError, RuntimeError):
    """Training cannot go on; what was good is kept on disk."""

    status = 4


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the closest known name, or nothing where none is close.

    >>> nearest("membran", ["nucleus", "membrane"])
    " Did you mean 'membrane'?"
    >>> nearest("zebra", ["nucleus"])
    ''
    """
    close = get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
