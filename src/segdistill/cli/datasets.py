"""`segdistill datasets`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from segdistill.cli.app import say
from segdistill.cli.tables import show
from segdistill.errors import ConfigError

Action = Literal["list", "fetch", "manifest"]


def datasets(
    action: Action,
    name: str | None = None,
    /,
    *,
    folder: Path = Path("datasets"),
    source: Path | None = None,
    out: Path | None = None,
) -> None:
    """List public data sets, fetch one, or write the manifest of one.

    What is there is not fetched again; what stopped goes on where it stopped. SEGDISTILL_OFFLINE=1 forbids the
    network. A manifest is what `--data` takes; nothing in a download is changed.

    Args:
        action: list names them with their terms; fetch brings one that is open, and says what to do for the
            others; manifest turns a downloaded one into a manifest.
        name: The data set, for fetch and manifest.
        folder: Where data sets are, each in a folder of its own.
        source: Folder of the download, for manifest. None is the data set's own in `folder`.
        out: Folder for the manifest and for files that had to be converted. None is NAME-manifest in `folder`.
    """
    if action == "list" and (name or source or out):
        raise ConfigError("`datasets list` takes no name, --source or --out. Leave them out.")
    if action != "list" and name is None:
        raise ConfigError(
            f"Name the data set: segdistill datasets {action} NAME. `segdistill datasets list` names all."
        )
    if action == "fetch" and (source or out):
        raise ConfigError("`datasets fetch` takes no --source or --out; --folder says where data sets are.")
    _ACTIONS[action](name or "", folder, source, out)


def _list(name: str, folder: Path, source: Path | None, out: Path | None) -> None:
    del name, folder, source, out
    from segdistill.datasets import ENTRIES

    show(
        "Data sets", ("data set", "what it shows", "labels"), [(name, e.what, e.labels) for name, e in ENTRIES.items()]
    )
    print()
    rows = [(name, entry.licence, "fetch" if entry.parts else "by hand") for name, entry in ENTRIES.items()]
    show("Terms", ("data set", "licence", "how"), rows)
    print("\nWhere they are described, and how to get what cannot be fetched:")
    for name, entry in ENTRIES.items():
        print(f"  {name:<10} {entry.page}")
        if entry.by_hand:
            print(f"             {entry.by_hand}")


def _fetch(name: str, folder: Path, source: Path | None, out: Path | None) -> None:
    del source, out
    from segdistill.datasets import dataset_entry, fetch_dataset

    place = fetch_dataset(name, folder, notice=say)
    print(f"Data set: {place}")
    print(f"Licence: {dataset_entry(name).licence}")
    print(f"To use it: segdistill datasets manifest {name} --folder {folder}")


def _manifest(name: str, folder: Path, source: Path | None, out: Path | None) -> None:
    from segdistill.data.case import numbered
    from segdistill.datasets import dataset_entry, write_manifests

    written, prepared = write_manifests(name, source or folder / name, out or folder / f"{name}-manifest")
    for path in written:
        rows = prepared.manifests[path.stem]
        groups = {row.group or row.name for row in rows}
        print(f"{path}: {numbered(len(rows), 'image')} of {numbered(len(groups), 'group')}")
    for note in prepared.notes:
        print(f"Note: {note}")
    print(f"Licence: {dataset_entry(name).licence}")
    print(f"To use it: --data {written[0]} {dataset_entry(name).settings}".rstrip())


_ACTIONS: Mapping[Action, Callable[[str, Path, Path | None, Path | None], None]] = {
    "list": _list,
    "fetch": _fetch,
    "manifest": _manifest,
}
