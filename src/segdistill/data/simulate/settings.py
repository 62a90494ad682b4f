"""What simulated tissue looks like and how it is photographed."""

from dataclasses import dataclass
from math import inf

from segdistill.data.simulate.ranges import check_ranges

_RANGES: dict[str, tuple[float, float]] = {
    "height": (8, inf),
    "width": (8, inf),
    "pixel_size": (0.01, 100),
    "cell_diameter": (8, 200),
    "density": (0, 1),
    "holes": (0, 1),
    "elongation": (1, 3),
    "nucleus_diameter": (0.2, 0.9),
    "out_of_plane": (0, 1),
    "membrane_negative": (0, 1),
    "membrane_gaps": (0, 1),
    "blur": (0, 20),
    "shading": (0, 0.9),
    "photons": (1, 5000),
    "background": (0, 1000),
    "read_noise": (0, 100),
}
"""Lowest and highest value of each field, both allowed."""


@dataclass(frozen=True, kw_only=True)
class TissueSettings:
    """One kind of tissue under one microscope.

    Raises:
        ConfigError: A value is out of its range; every such value is named at once.

    >>> TissueSettings(height=64, width=96).pixel_size
    0.5
    """

    height: int = 128
    """Rows of a field, pixels."""

    width: int = 160
    """Columns of a field, pixels."""

    pixel_size: float = 0.5
    """Side of a pixel, micrometres. Written into files; it scales nothing."""

    cell_diameter: float = 22.0
    """Diameter of a disc with the area of a typical cell in a full packing, pixels."""

    density: float = 0.75
    """Share of the places of the packing that hold a cell, outside of holes, 0 to 1."""

    holes: float = 0.15
    """Share of the tissue that is empty (vessels, tears, ducts), on average over fields, 0 to 1."""

    elongation: float = 1.9
    """Length over width of cells in the most elongated patches; 1 means round everywhere."""

    nucleus_diameter: float = 0.5
    """Diameter of a typical nucleus as a fraction of ``cell_diameter``."""

    out_of_plane: float = 0.18
    """Share of cells whose nucleus lies above or below the section, 0 to 1."""

    membrane_negative: float = 0.08
    """Share of cells that hardly take the membrane stain, 0 to 1."""

    membrane_gaps: float = 0.2
    """Share of the length of the borders where the membrane stain is missing, 0 to 1."""

    blur: float = 0.9
    """Standard deviation of the point-spread function, pixels; 0 means none."""

    shading: float = 0.3
    """Light lost at the darkest place of uneven illumination, as a fraction."""

    photons: float = 90.0
    """Photons a pixel receives from a typical nucleus; a membrane gives two thirds of that."""

    background: float = 8.0
    """Photons a pixel receives where there is nothing."""

    read_noise: float = 2.0
    """Standard deviation of the camera's read noise, electrons; 0 means none."""

    def __post_init__(self) -> None:
        check_ranges(self, _RANGES, what="Simulated tissue")
