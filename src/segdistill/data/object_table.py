"""What was measured of objects, as a table: names with units, and one row per object."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from segdistill.data.measurements import Measurements
from segdistill.files import neutral_cell, whole_file

Columns = Mapping[str, Shaped[np.ndarray, " n"]]
"""Name of each column, with its unit, and its values."""


def sizes_of(measured: Measurements, pixel_size: float | None) -> Columns:
    """Return how large objects are and of what shape.

    Args:
        measured: What was measured.
        pixel_size: Micrometres. None: it is not known, and lengths are pixels.

    >>> from segdistill.data.measurements import Measurer
    >>> measurer = Measurer()
    >>> measurer.add((slice(0, 2), slice(0, 2)), np.array([[1, 1], [1, 1]]))
    >>> {name: values.round(3).tolist() for name, values in sizes_of(measurer.finish(), 0.5).items()}
    {'area_um2': [1.0], 'equivalent_diameter_um': [1.128], 'eccentricity': [0.0]}
    """
    side, unit = (1, "px") if pixel_size is None else (pixel_size, "um")
    return {
        "area_px" if pixel_size is None else "area_um2": measured.area * side**2,
        f"equivalent_diameter_{unit}": measured.equivalent_diameter * side,
        "eccentricity": measured.eccentricity,
    }


def places_of(measured: Measurements, pixel_size: float | None) -> Columns:
    """Return where objects are: their centre, and the smallest box around them, whose last row and column are outside.

    Boxes are pixels whatever the pixel size, since they serve to cut objects out.
    """
    side, unit = (1, "px") if pixel_size is None else (pixel_size, "um")
    centre = {f"centroid_{axis}_{unit}": measured.centre[:, place] * side for place, axis in enumerate("yx")}
    box = {f"{edge}_px": measured.box[:, place] for place, edge in enumerate(("top", "left", "bottom", "right"))}
    return centre | box


def intensities_of(measured: Measurements, channels: Sequence[str]) -> Columns:
    """Return mean, lowest, highest and standard deviation of each channel, in the units of the file."""
    values = {"mean": measured.mean, "min": measured.low, "max": measured.high, "std": measured.deviation}
    return {
        f"{what}_{channel}": each[:, place] for place, channel in enumerate(channels) for what, each in values.items()
    }


def write_table(
    path: Path,
    structures: Iterable[tuple[str, Measurements]],
    *,
    channels: Sequence[str] = (),
    pixel_size: float | None = None,
) -> None:
    """Write a table of objects: CSV, one row each, by structure and number.

    Positions count from the upper left corner of the image, as outlines do: the centre of its first pixel is at
    0.5 pixels. Nothing but names and numbers is in it, and no name that a spreadsheet takes for a formula.

    Args:
        path: Of the file.
        structures: Name, and what was measured of its objects.
        channels: Names of the channels whose intensities were measured.
        pixel_size: Micrometres. None: it is not known, and lengths are pixels.

    Raises:
        EnvironmentFault: The disk is full or the folder cannot be written.
    """
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        for number, (name, measured) in enumerate(structures):
            columns = {
                "label": measured.label,
                **sizes_of(measured, pixel_size),
                **places_of(measured, pixel_size),
                **intensities_of(measured, channels),
            }
            if number == 0:
                writer.writerow([neutral_cell(head) for head in ("structure", *columns)])
            writer.writerows((neutral_cell(name), *row) for row in _rows(columns))


def _rows(columns: Columns) -> Iterator[tuple[str, ...]]:
    return zip(*(map(in_figures, values.tolist()) for values in columns.values()), strict=True)


def in_figures(value: float | int) -> str:
    """Return a number with ten significant digits, fewer where they are zeros.

    >>> in_figures(0.1 + 0.2), in_figures(12345678901), in_figures(1 / 3)
    ('0.3', '12345678901', '0.3333333333')
    """
    return str(value) if isinstance(value, int) else f"{value:.10g}"
