"""`segdistill weights`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from segdistill.cli.app import say
from segdistill.cli.tables import show
from segdistill.errors import ConfigError

Action = Literal["list", "fetch", "verify"]


def weights(action: Action, /, *names: str, folder: Path = Path("weights")) -> int:
    """List, fetch or verify the weights of teachers.

    Nothing that is there with the right checksum is fetched again; what stopped goes on where it stopped.
    SEGDISTILL_OFFLINE=1 forbids the network. The exit status of verify is 1 if a file is not what it was.

    Args:
        action: list names them with their terms; fetch brings those that are named into the folder; verify
            compares those that are there with the published checksums.
        names: Teachers, for fetch.
        folder: Where the weights are, each teacher's in a folder of its own.
    """
    return _ACTIONS[action](names, folder)


def _list(names: tuple[str, ...], folder: Path) -> int:
    from segdistill.teachers.weight_files import WEIGHTS

    _refuse_names(names, "list")
    rows = [
        (
            name,
            str(each.item.megabytes),
            each.licence,
            each.item.door.variable or "none",
            each.item.checksum or "none published",
            "yes" if each.there(name, folder) else "no",
        )
        for name, each in WEIGHTS.items()
    ]
    show(
        "Weights that can be fetched", ("teacher", "MB", "licence", "token", "checksum", "here"), rows, numbers=("MB",)
    )
    print(f"\nTo get some: segdistill weights fetch {rows[0][0]}. Then: --teacher-weights {folder / rows[0][0]}")
    return 0


def _fetch(names: tuple[str, ...], folder: Path) -> int:
    from segdistill.teachers.weight_files import WEIGHTS, fetch_weights, weight_file

    if not names:
        raise ConfigError(f"Name the weights to fetch: {', '.join(WEIGHTS)}.")
    for name in names:
        weight_file(name)  # refuse a name before the first of them takes an hour
    for name in names:
        print(fetch_weights(name, folder, notice=say).words)
        print(f"Licence: {WEIGHTS[name].licence}")
        print(f"To use it: --teacher {name} --teacher-weights {WEIGHTS[name].folder(name, folder)}")
    return 0


def _verify(names: tuple[str, ...], folder: Path) -> int:
    from segdistill.teachers.weight_files import verify_weights

    _refuse_names(names, "verify")
    found = verify_weights(folder)
    for finding in found:
        print(f"{finding.state:<8}  {finding.words}")
    return int(any(finding.state == "wrong" for finding in found))


def _refuse_names(names: tuple[str, ...], action: str) -> None:
    if names:
        raise ConfigError(f"`weights {action}` takes no names, but was given {', '.join(names)}. Leave them out.")


_ACTIONS: Mapping[Action, Callable[[tuple[str, ...], Path], int]] = {
    "list": _list,
    "fetch": _fetch,
    "verify": _verify,
}
