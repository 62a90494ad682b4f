"""Images and masks that are written anew, because the published files hold them in a way that is not read."""

from collections.abc import Sequence
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import tifffile
from jaxtyping import Bool, Shaped

from segdistill.data.writers import write_labels
from segdistill.files import sha256_array, whole_file


def write_image(
    path: Path, image: Shaped[np.ndarray, "c y x"], channels: Sequence[str], *, pixel_size: float | None = None
) -> None:
    """Write an image as OME-TIFF, its values as they are. Equal images give equal bytes.

    Args:
        path: Ends in .ome.tif.
        image: Of a type that TIFF has.
        channels: Names.
        pixel_size: Micrometres; None: not known.
    """
    size = {} if pixel_size is None else {"PhysicalSizeX": pixel_size, "PhysicalSizeY": pixel_size}
    units = {f"{name}Unit": "µm" for name in size}
    identity = str(uuid5(NAMESPACE_OID, sha256_array(image)))
    metadata = {"axes": "CYX", "UUID": identity, "Channel": {"Name": list(channels)}, **size, **units}
    with whole_file(path) as partial:
        tifffile.imwrite(partial, image, ome=True, photometric="minisblack", compression="zlib", metadata=metadata)


def write_mask(path: Path, mask: Bool[np.ndarray, "y x"]) -> None:
    """Write a mask as PNG: 1 is the structure."""
    write_labels(path, mask.astype(np.uint8))
