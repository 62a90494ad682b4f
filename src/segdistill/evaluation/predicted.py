"""Folders that ``segdistill predict`` wrote, in which an image may have its masks in several files."""

import json
from collections.abc import Sequence
from pathlib import Path

from segdistill.data.readers.planes import file_of
from segdistill.settings.run_folder import SETTINGS_FILE

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
