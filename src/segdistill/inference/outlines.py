"""Outlines of a label array, into a file."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Integer

from segdistill.data.case import stem
from segdistill.data.geojson_writer import write_geojson
from segdistill.data.imagej_writer import write_rois
from segdistill.data.labels import Structure
from segdistill.data.objects import Objects, find_objects
from segdistill.errors import DataError

_WRITERS: Mapping[str, Callable[[Path, Objects], None]] = {
    ".geojson": lambda path, objects: write_geojson(path, [objects], image=stem(Path(path.name))),
    ".zip": write_rois,
}


def write_outlines(
    path: Path | str,
    labels: Integer[np.ndarray, "y x"],
    *,
    structure: str = "object",
    told_apart: bool = True,
    pixel_size: float | None = None,
) -> None:
    """Write the outlines of a label array's objects, for QuPath or ImageJ.

    Corners are corners of pixels: reading the file beside its image gives every object back, pixel by pixel. They
    come in the order of their numbers, or in large images as the image is read: each once its last row was seen.

    Args:
        path: Ends in .geojson, for QuPath, or .zip, for ImageJ's ROI Manager.
        labels: 0 is background, every other number an object, in one piece or several.
        structure: What the objects are: QuPath's class, a part of ImageJ's names.
        told_apart: Whether they are single objects (detections in QuPath), or areas (annotations).
        pixel_size: Micrometres, for areas among QuPath's measurements; None means that they are in pixels. Outlines
            are in pixels anyway.

    Raises:
        DataError: The format is another, there are no pixels, or a label is negative or above 2**32 - 1.
        ConfigError: The structure cannot be called so.
        EnvironmentFault: The disk is full or the folder cannot be written.

    >>> import tempfile
    >>> from segdistill.data.outlines import read_outlines
    >>> file = Path(tempfile.mkdtemp()) / "cells.geojson"
    >>> write_outlines(file, np.array([[0, 1, 1], [2, 1, 0]]), structure="cell")
    >>> read_outlines(file, (2, 3)).tolist()
    [[0, 1, 1], [2, 1, 0]]
    """
    path = Path(path)
    if path.suffix.lower() not in _WRITERS:
        raise DataError(
            f"Outlines cannot be written to {path}: {path.suffix or 'no suffix'} is no format of theirs."
            f" Use {' or '.join(_WRITERS)}."
        )
    if not labels.size:
        raise DataError(f"There is nothing to write to {path}: the labels' shape is {labels.shape} (y, x).")
    whole = (slice(0, labels.shape[0]), slice(0, labels.shape[1]))
    objects = find_objects(Structure(structure, told_apart), [(whole, labels)], labels.shape, pixel_size=pixel_size)
    _WRITERS[path.suffix.lower()](path, objects)
