"""The folder of a run: one process at a time, one set of settings for its life."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from segdistill.errors import ConfigError, EnvironmentFault
from segdistill.files import write_json

SETTINGS_FILE = "settings.json"
LOCK_FILE = ".lock"


@dataclass(frozen=True)
class RunFolder:
    """An open run folder.

    Args:
        path: The folder.
        resumed: Whether a run with these settings had begun in it before.
    """

    path: Path
    resumed: bool


@contextmanager
def open_run(path: Path, settings: Mapping[str, Any], *, ignoring: frozenset[str] = frozenset()) -> Iterator[RunFolder]:
    """Take a run folder for this process; refuse it where another run has it or other settings began it.

    Args:
        path: Made where it is missing.
        settings: Resolved settings, JSON values only.
        ignoring: Dotted names of settings that may change between two calls because they cannot
            change the result, such as the device.

    Raises:
        ConfigError: Other settings began this folder (the differences are named), or it holds
            files but no run.
        EnvironmentFault: Another process works in it (FAULTS R35), or it cannot be written.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "run"
    >>> with open_run(folder, {"steps": 3}) as run:
    ...     run.resumed
    False
    >>> with open_run(folder, {"steps": 3}) as run:
    ...     run.resumed
    True
    """
    _make(path)
    with _locked(path):
        yield RunFolder(path, resumed=_claim(path, settings, ignoring))


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(f"The folder {path} cannot be made: {error.strerror}. Choose another --out.") from error


def _claim(path: Path, settings: Mapping[str, Any], ignoring: frozenset[str]) -> bool:
    record = path / SETTINGS_FILE
    if not record.exists():
        foreign = sorted(p.name for p in path.iterdir() if p.name != LOCK_FILE and not p.name.endswith(".partial"))
        if foreign:
            raise ConfigError(
                f"{path} is not empty and holds no run ({', '.join(foreign[:3])}{' …' if foreign[3:] else ''})."
                " Choose a new folder for --out: nothing is overwritten."
            )
        write_json(record, dict(settings))
        return False
    before, now = _flat(json.loads(record.read_text(encoding="utf-8"))), _flat(json.loads(json.dumps(dict(settings))))
    differences = [
        f"{name}: {before.get(name, 'not set')} there, {now.get(name, 'not set')} here"
        for name in sorted({*before, *now} - ignoring)
        if before.get(name) != now.get(name)
    ]
    if differences:
        raise ConfigError(
            f"{path} was begun with other settings:\n  "
            + "\n  ".join(differences)
            + "\nChoose a new folder for --out, or the settings that began this one."
        )
    return True


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        handle = (path / LOCK_FILE).open("a+", encoding="utf-8")
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be written: {error.strerror}. Choose another --out.") from error
    with handle:
        if not _take(handle):
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            raise EnvironmentFault(
                f"Another run works in {path} (process {holder}). Wait for it, stop it, or choose another --out."
            )
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def _take(handle: IO[str]) -> bool:
    """Lock an open file for this process; the system lets go of it when the process ends, however it ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            handle.seek(1 << 20)  # a byte far behind the text, so that the holder can be read
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
