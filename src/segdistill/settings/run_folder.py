"""The folder of a run: one process at a time, one set of settings for its life."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from segdistill.errors import ConfigError, EnvironmentFault
from segdistill.files import take_lock, write_json
from segdistill.settings.private import is_hidden

SETTINGS_FILE = "settings.json"
DATA_FILE = "data.json"
"""What data the run is of, where it keeps that."""

CHECK_FILE = "data_check.json"
"""What a survey of that data found, where it keeps that."""

TARGETS_FOLDER = "targets"
"""What teachers said, where it keeps that: by teacher and image, so that it is true whatever else was asked."""

HEARD_FOLDER = "heard"
"""Of which teachers, by their weights, it keeps what was heard: a settings file in a folder for each."""

LOCK_FILE = ".lock"
NO_DEFAULTS: Mapping[str, Any] = MappingProxyType({})
_SECONDS_BETWEEN_LOOKS = 1.0


class FolderInUse(EnvironmentFault):
    """Another process works in this folder."""


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
def open_run(
    path: Path,
    settings: Mapping[str, Any],
    *,
    ignoring: frozenset[str] = frozenset(),
    defaults: Mapping[str, Any] = NO_DEFAULTS,
) -> Iterator[RunFolder]:
    """Take a run folder for this process; refuse it where another run has it or other settings began it.

    Where nothing came of the call that began it, as after a mistyped name, other settings take its place.

    Args:
        path: Made where it is missing.
        settings: Resolved settings, JSON values only.
        ignoring: Dotted names of settings that may change between two calls because they cannot
            change the result, such as the device.
        defaults: See ``refuse_others``.

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
    refuse_foreign(path)
    _make(path)
    with _locked(path):
        resumed = claim_settings(path, settings, ignoring=ignoring, defaults=defaults, within=path)
        yield RunFolder(path, resumed=resumed)


def is_bare(path: Path) -> bool:
    """Return whether nothing has come yet of the calls that began a folder.

    It holds what they were asked, and at most what they found of the data and what teachers said of it; without
    settings it is no run's folder.
    """
    return (path / SETTINGS_FILE).exists() and _holds_nothing(path)


def _holds_nothing(path: Path) -> bool:
    """Return whether a folder and those in it hold but what was asked, what was found of the data, and targets."""
    own = {SETTINGS_FILE, DATA_FILE, CHECK_FILE, LOCK_FILE}
    entries = list(path.iterdir())
    return bool(entries) and all(
        each.name == TARGETS_FOLDER or _holds_nothing(each)
        if each.is_dir()
        else each.name in own or each.name.endswith(".partial")
        for each in entries
    )


@contextmanager
def my_turn(path: Path, *, notice: Callable[[str], None]) -> Iterator[None]:
    """Hold a folder that several processes of one study write to, after waiting for whoever holds it.

    Args:
        path: Made where it is missing. Nothing in it is read or refused.
        notice: Told once if there is somebody to wait for.

    Raises:
        EnvironmentFault: It cannot be written.
    """
    _make(path)
    told = False
    while True:
        with _opened(path) as handle:
            if _locked_now(handle, path):
                _sign(handle)
                yield
                return
            if not told:
                notice(f"Waiting for process {_holder(handle)}, which works in {path} …")
                told = True
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(f"The folder {path} cannot be made: {error.strerror}. Choose another --out.") from error


def refuse_others(
    path: Path,
    settings: Mapping[str, Any],
    *,
    ignoring: frozenset[str] = frozenset(),
    defaults: Mapping[str, Any] = NO_DEFAULTS,
) -> bool:
    """Refuse a folder that holds something else than a run with these settings; return whether it holds that.

    Args:
        path: May be missing.
        settings: Resolved settings, JSON values only.
        ignoring: Dotted names of settings that may differ; of a name that holds others, all of them.
        defaults: Of these settings, JSON values only. A folder that was begun before a setting existed says
            nothing of it and counts as having its default. Empty: such a folder is refused.

    Raises:
        ConfigError: Other settings began this folder (the differences are named), or it holds files
            but no run.
    """
    record = path / SETTINGS_FILE
    refuse_foreign(path)
    if not record.exists():
        return False
    before, now = _flat(json.loads(record.read_text(encoding="utf-8"))), _flat(json.loads(json.dumps(dict(settings))))
    usual = _flat(json.loads(json.dumps(dict(defaults))))
    before |= {name: value for name, value in usual.items() if name in now and not _is_among(name, frozenset(before))}
    differences = [
        f"{name}: {before.get(name, 'not set')} there, {now.get(name, 'not set')} here"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
        and not _is_among(name, ignoring)
        and not is_hidden(now.get(name), before.get(name))
    ]
    if differences:
        raise ConfigError(
            f"{path} was begun with other settings:\n  "
            + "\n  ".join(differences)
            + "\nChoose a new folder for --out, or the settings that began this one."
        )
    return True


def refuse_foreign(path: Path) -> None:
    """Refuse a folder that holds something and no run; nothing is written into it.

    Raises:
        ConfigError: It does; some of what it holds is named.
    """
    if (path / SETTINGS_FILE).exists() or not path.is_dir():
        return
    foreign = sorted(p.name for p in path.iterdir() if p.name != LOCK_FILE and not p.name.endswith(".partial"))
    if foreign:
        raise ConfigError(
            f"{path} is not empty and holds no run ({', '.join(foreign[:3])}{' …' if foreign[3:] else ''})."
            " Choose a new folder for --out: nothing is overwritten."
        )


def is_begun(
    path: Path,
    settings: Mapping[str, Any],
    *,
    ignoring: frozenset[str] = frozenset(),
    defaults: Mapping[str, Any] = NO_DEFAULTS,
    within: Path | None,
) -> bool:
    """Return whether a folder holds a run with these settings; one of which nothing came may be begun otherwise.

    Args:
        path: May be missing.
        settings: As of ``refuse_others``.
        ignoring: As of ``refuse_others``.
        defaults: As of ``refuse_others``.
        within: The folder in which something would be if anything had come: this one, or one that holds it. None:
            these settings stand for good.

    Raises:
        ConfigError: As ``refuse_others``.
    """
    try:
        return refuse_others(path, settings, ignoring=ignoring, defaults=defaults)
    except ConfigError:
        if within is None or not (path / SETTINGS_FILE).exists() or not _holds_nothing(within):
            raise
        return False


def claim_settings(
    path: Path,
    settings: Mapping[str, Any],
    *,
    ignoring: frozenset[str] = frozenset(),
    defaults: Mapping[str, Any] = NO_DEFAULTS,
    within: Path | None = None,
) -> bool:
    """Write the settings into a folder that this process holds, unless they are there; return whether they were.

    They take the place of others in one step. A path that they hide and that stands there openly, from before it was
    hidden, is hidden there, too.

    Raises:
        ConfigError: As ``is_begun``.
    """
    resumed = is_begun(path, settings, ignoring=ignoring, defaults=defaults, within=within)
    if not resumed:
        write_json(path / SETTINGS_FILE, dict(settings))
    else:
        _hide_there(path / SETTINGS_FILE, settings)
    return resumed


def _hide_there(record: Path, settings: Mapping[str, Any]) -> None:
    before = json.loads(record.read_text(encoding="utf-8"))
    shut = {name: value for name, value in settings.items() if is_hidden(value, before.get(name))}
    if shut:
        write_json(record, before | shut)


def _is_among(name: str, names: frozenset[str]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in names)


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
    with _opened(path) as handle:
        if not _locked_now(handle, path):
            raise FolderInUse(
                f"Another run works in {path} (process {_holder(handle)}). Wait for it, stop it, or choose another"
                " --out."
            )
        _sign(handle)
        yield


def _opened(path: Path) -> IO[str]:
    try:
        return (path / LOCK_FILE).open("a+", encoding="utf-8")
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be written: {error.strerror}. Choose another --out.") from error


def _locked_now(handle: IO[str], path: Path) -> bool:
    try:
        return take_lock(handle)
    except OSError as error:
        raise EnvironmentFault(
            f"{path} cannot be locked: {error}. Choose a folder on a disk that supports file locks."
        ) from error


def _holder(handle: IO[str]) -> str:
    handle.seek(0)
    return handle.read().strip() or "unknown"


def _sign(handle: IO[str]) -> None:
    handle.seek(0)
    handle.truncate()
    handle.write(str(os.getpid()))
    handle.flush()
