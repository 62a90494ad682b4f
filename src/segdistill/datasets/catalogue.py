"""The data sets by name; fetching one, and writing its manifests."""

from collections.abc import Mapping
from pathlib import Path

from segdistill.datasets import autooral, bbbc038, chaos, drive, isic, kidney_us, ph2, tissuenet
from segdistill.datasets.entry import Entry, Prepared
from segdistill.datasets.manifests import write_manifest
from segdistill.errors import DataError, EnvironmentFault, UnknownName
from segdistill.fetch import download, unpack
from segdistill.fetch.download import Notice

ENTRIES: Mapping[str, Entry] = {
    "tissuenet": tissuenet.ENTRY,
    "bbbc038": bbbc038.ENTRY,
    "kidney-us": kidney_us.ENTRY,
    "chaos": chaos.ENTRY,
    "ph2": ph2.ENTRY,
    "drive": drive.ENTRY,
    "autooral": autooral.ENTRY,
    "isic": isic.ENTRY,
}


def dataset_entry(name: str) -> Entry:
    """Return what is known of a data set.

    Raises:
        UnknownName: There is no such data set here.
    """
    if name not in ENTRIES:
        raise UnknownName("data set", name, ENTRIES)
    return ENTRIES[name]


def fetch_dataset(name: str, root: Path, *, notice: Notice) -> Path:
    """Bring a data set into ``root/NAME``, unless it is there, and unpack it.

    Args:
        name: One of ``ENTRIES``.
        root: Folder of all data sets; made if absent.
        notice: Told what is done, and how each file was recognised.

    Returns:
        The folder, as ``write_manifests`` takes it.

    Raises:
        UnknownName: There is no such data set here.
        EnvironmentFault: It is not for everybody, and the message says what to do; or see ``segdistill.fetch``.
        ConfigError, DataError: See ``segdistill.fetch``.
    """
    entry, folder = dataset_entry(name), root / name
    if not entry.parts:
        raise EnvironmentFault(
            f"Data set {name!r} cannot be fetched by a program. {entry.by_hand} Licence: {entry.licence}. Then:"
            f" segdistill datasets manifest {name} --source FOLDER --out FOLDER. Expected is {entry.layout}."
        )
    for part in entry.parts:
        place = None if part.into is None else folder / part.into
        if place is not None and place.is_dir():
            notice(f"{place}: unpacked before")
            continue
        fetched = download(part.item, folder, notice=notice)
        notice(fetched.words)
        if place is not None:
            notice(f"Unpacking {fetched.path}")
            unpack(fetched.path, place)
    return folder


def write_manifests(name: str, source: Path, out: Path) -> tuple[tuple[Path, ...], Prepared]:
    """Write the manifests of a data set that was downloaded, and whatever images and masks they need.

    Args:
        name: One of ``ENTRIES``.
        source: The folder with the data set in its own layout, at any depth.
        out: Folder for the manifests; made if absent. New files go there too, nothing into the source.

    Returns:
        The manifests, and what they hold.

    Raises:
        UnknownName: There is no such data set here.
        DataError: The layout is another, or files are damaged.
        EnvironmentFault: A manifest is there already, or the folder cannot be written.
    """
    entry = dataset_entry(name)
    if not source.is_dir():
        raise DataError(f"There is no folder {source}. Fetch the data set: segdistill datasets fetch {name}.")
    there = sorted(out.glob("*.csv"))
    if there:
        raise EnvironmentFault(f"{there[0]} exists. Delete it or choose another folder for the manifests.")
    prepared = entry.prepare(source, out)
    written = []
    for title, rows in prepared.manifests.items():
        written.append(out / f"{title}.csv")
        write_manifest(written[-1], rows, licence=entry.licence)
    return tuple(written), prepared
