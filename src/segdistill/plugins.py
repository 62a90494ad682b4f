"""Finding things by name: built-ins in a dict, others through entry points; and lazy re-exports."""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, TypeVar

from segdistill.errors import ConfigError, UnknownName

T = TypeVar("T")


def names(kind: str) -> set[str]:
    """Return the names that installed packages provide for this kind, importing none of them.

    >>> names("no-such-kind")
    set()
    """
    return {entry.name for entry in entry_points(group=f"segdistill.{kind}s")}


def find(kind: str, name: str, builtin: Mapping[str, T]) -> T:
    """Return the object of this kind with this name; import a plugin only if asked for by name.

    Args:
        kind: "teacher", "student" or "reader"; plugins register under ``segdistill.<kind>s``.
        name: As the user typed it.
        builtin: What this package provides itself.

    Raises:
        UnknownName: Nothing has this name.
        ConfigError: Two packages provide this name, or one repeats a built-in name.

    >>> find("student", "tiny", {"tiny": 1})
    1
    """
    entries = {e.value: e for e in entry_points(group=f"segdistill.{kind}s") if e.name == name}
    if len(entries) + (name in builtin) > 1:
        providers = [*(["segdistill itself"] if name in builtin else []), *sorted(entries)]
        raise ConfigError(f"Several packages provide {kind} {name!r}: {', '.join(providers)}. Uninstall all but one.")
    if name in builtin:
        return builtin[name]
    if entries:
        return next(iter(entries.values())).load()
    raise UnknownName(kind, name, {*builtin, *names(kind)})


def lazy_exports(package: str, where: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module ``__getattr__`` that imports each public name when it is first used.

    Args:
        package: The package's ``__name__``.
        where: Public name to the sub-module, relative to the package, that defines it.

    >>> get = lazy_exports("segdistill", {"DataError": "errors"})
    >>> get("DataError").__name__
    'DataError'
    """

    def get(name: str) -> Any:
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{where[name]}"), name)

    return get
