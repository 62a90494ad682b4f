"""One simulated field of tissue, from its seed."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32, UInt16

from segdistill.data.simulate.camera import photograph
from segdistill.data.simulate.fields import stream
from segdistill.data.simulate.packing import pack_cells, renumber
from segdistill.data.simulate.settings import TissueSettings
from segdistill.data.simulate.stain import inner_distance, place_nuclei, stain_membranes
from segdistill.errors import ConfigError

_DEFAULT = TissueSettings()


@dataclass(frozen=True, eq=False)
class Tissue:
    """A field of tissue of which everything is known.

    Args:
        image: Camera counts, one plane per channel.
        channels: Names of the planes, in order.
        cells: Whole cells: 0 outside, else the cell's id, counted from 1 without holes.
        nuclei: Nuclei in the section: 0, or the id of the cell they lie in. A cell whose nucleus
            is out of the section has none here.
        pixel_size: Side of a pixel, micrometres.
    """

    image: UInt16[np.ndarray, "c y x"]
    channels: tuple[str, ...]
    cells: Int32[np.ndarray, "y x"]
    nuclei: Int32[np.ndarray, "y x"]
    pixel_size: float


def simulate_tissue(seed: int, settings: TissueSettings = _DEFAULT) -> Tissue:
    """Simulate one field of tissue, stained for nuclei and for membranes.

    Equal seeds and settings give equal arrays. Cells, nuclei, stain and camera draw from streams
    of their own: other noise leaves the cells where they are.

    Args:
        seed: ≥ 0.
        settings: The tissue and the microscope.

    Raises:
        ConfigError: The seed is negative.

    >>> tissue = simulate_tissue(0, TissueSettings(height=64, width=96))
    >>> tissue.image.shape, tissue.image.dtype.name, tissue.channels
    ((2, 64, 96), 'uint16', ('nucleus', 'membrane'))
    >>> bool((tissue.nuclei[tissue.nuclei > 0] == tissue.cells[tissue.nuclei > 0]).all())
    True
    """
    if seed < 0:
        raise ConfigError(f"The seed of simulated tissue is {seed}, but it must be 0 or more.")
    # Tissue goes on beyond the field: cells are cut by its edge, and light comes in from outside.
    margin = int(np.ceil(settings.cell_diameter))
    shape = (settings.height + 2 * margin, settings.width + 2 * margin)
    packing = pack_cells(stream(seed, "cells"), shape, settings)
    distance = inner_distance(packing.labels)
    nuclei = place_nuclei(stream(seed, "nuclei"), packing, distance, settings)
    membrane = stain_membranes(stream(seed, "membrane"), packing, distance, settings)
    light = settings.photons * np.stack([nuclei.light, 2 / 3 * membrane])
    field = (slice(margin, -margin), slice(margin, -margin))
    cells = packing.labels[field]
    ids = np.unique(cells)
    ids = ids[ids > 0]
    return Tissue(
        image=photograph(stream(seed, "camera"), light, settings, margin=margin),
        channels=("nucleus", "membrane"),
        cells=renumber(cells, ids),
        nuclei=renumber(nuclei.labels[field], ids),
        pixel_size=settings.pixel_size,
    )
