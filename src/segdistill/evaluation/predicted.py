"""Folders that ``segdistill predict`` wrote, in which an image may have its masks in several files."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from segdistill.data.readers.planes import file_of, plane_path
from segdistill.settings.run_folder import SETTINGS_FILE

RECORDS = "predictions.jsonl"
"""In a folder of masks: a line for each image that was segmented or could not be; of several of one the last holds."""

ORDER = (".tif", ".png", ".ome.zarr", ".nii.gz", ".geojson")
"""Endings of the files that hold the same masks, the one that is scored first."""


def is_predicted(folder: Path) -> bool:
    """Return whether ``segdistill predict`` wrote a folder, or the one around it: several structures have one each.

    >>> is_predicted(Path("nowhere"))
    False
    """
    return any(_command(place / SETTINGS_FILE) == "predict" for place in (folder, folder.absolute().parent))


def first_written(paths: Sequence[Path]) -> Path | None:
    """Return which of several files of one image and structure is scored; None where that is not for us to say.

    >>> first_written([Path("a.geojson"), Path("a.png"), Path("a.tif")])
    PosixPath('a.tif')
    >>> first_written([Path("a.tif"), Path("a.npy")]) is None
    True
    """
    places = {path: _place(file_of(path).name) for path in paths}
    if len(ORDER) in places.values() or len(set(places.values())) < len(paths):
        return None
    return min(paths, key=places.__getitem__)


def lost_planes(folder: Path) -> frozenset[Path]:
    """Return which planes of films of masks stand for frames that could not be segmented, as absolute paths.

    Such a frame has an empty page, so that all others keep their numbers; it is no prediction.

    Args:
        folder: Of masks, or of those of one of several structures.

    >>> lost_planes(Path("nowhere"))
    frozenset()
    """
    places = (folder.absolute(), folder.absolute().parent)
    return frozenset(
        plane_path(place / name, int(number))
        for place in places
        if _command(place / SETTINGS_FILE) == "predict"
        for record in _last_records(place / RECORDS)
        for name in record.get("files", ())
        for number in record.get("lost_frames", ())
    )


def _last_records(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the last record of every image; lines that were left torn are none."""
    found: dict[str, Mapping[str, Any]] = {}
    with suppress(OSError):
        for line in path.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, TypeError, KeyError):
                record = json.loads(line)
                found[record["image"]] = record
    yield from found.values()


def _place(name: str) -> int:
    """Return where a file stands in the order; one of another ending, behind all."""
    if name.endswith(".ome.tif"):
        return len(ORDER)
    return next((place for place, ending in enumerate(ORDER) if name.endswith(ending)), len(ORDER))


def _command(settings: Path) -> object:
    """Return which command wrote settings; None where there are none, or they are none of ours."""
    try:
        found = json.loads(settings.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found.get("command") if isinstance(found, dict) else None
