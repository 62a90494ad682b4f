"""Simulated tissue as a data set on disk."""

from dataclasses import asdict
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import tifffile

from segdistill.data.simulate.folder import claim, field_seed
from segdistill.data.simulate.settings import TissueSettings
from segdistill.data.simulate.tissue import Tissue, simulate_tissue
from segdistill.errors import ConfigError
from segdistill.files import sha256_array, whole_file

_DEFAULT = TissueSettings()
_FORMAT = 1
"""Raised whenever equal seeds begin to give other pixels."""


def write_tissue(folder: Path, *, count: int, seed: int, settings: TissueSettings = _DEFAULT) -> None:
    """Write simulated fields as a data set with the label sets ``cell`` and ``nucleus``.

    Field 3 becomes ``images/tissue_0003.ome.tif``, ``labels/cell/tissue_0003.tif`` and
    ``labels/nucleus/tissue_0003.tif``; ``tissue.json`` holds what they were made with. A call that
    was interrupted goes on where it stopped when it is repeated.

    Args:
        folder: Made if absent.
        count: How many fields, ≥ 1.
        seed: Seed of the data set, ≥ 0; ``field_seed`` says which seed each field has.
        settings: The tissue and the microscope.

    Raises:
        ConfigError: The count or the seed is out of range, or the folder holds something else.
        EnvironmentFault: The folder cannot be written or the disk is full.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "tissue"
    >>> write_tissue(folder, count=1, seed=0, settings=TissueSettings(height=32, width=48))
    >>> sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.tif"))
    ['images/tissue_0000.ome.tif', 'labels/cell/tissue_0000.tif', 'labels/nucleus/tissue_0000.tif']
    """
    if count < 1 or seed < 0:
        raise ConfigError(f"count is {count} and seed is {seed}, but count must be 1 or more and seed 0 or more.")
    record = {"format": _FORMAT, "count": count, "seed": seed, "settings": asdict(settings)}
    claim(folder, "tissue.json", record, what="simulated tissue")
    for index in range(count):
        name = f"tissue_{index:04d}"
        image = folder / "images" / f"{name}.ome.tif"
        labels = {kind: folder / "labels" / kind / f"{name}.tif" for kind in ("cell", "nucleus")}
        if all(path.exists() for path in (image, *labels.values())):
            continue
        tissue = simulate_tissue(field_seed(seed, index), settings)
        _write_image(image, tissue)
        _write_labels(labels["cell"], tissue.cells)
        _write_labels(labels["nucleus"], tissue.nuclei)


def _write_image(path: Path, tissue: Tissue) -> None:
    metadata = {
        "axes": "CYX",
        "UUID": str(uuid5(NAMESPACE_OID, sha256_array(tissue.image))),  # else equal seeds give other bytes
        "Channel": {"Name": list(tissue.channels)},
        "PhysicalSizeX": tissue.pixel_size,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": tissue.pixel_size,
        "PhysicalSizeYUnit": "µm",
    }
    with whole_file(path) as partial:
        tifffile.imwrite(
            partial, tissue.image, ome=True, photometric="minisblack", compression="zlib", metadata=metadata
        )


def _write_labels(path: Path, labels: np.ndarray) -> None:
    with whole_file(path) as partial:
        tifffile.imwrite(partial, labels, photometric="minisblack", compression="zlib", metadata={"axes": "YX"})
