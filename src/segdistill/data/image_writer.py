"""Writing an image with its channels, whole or not at all."""

from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import PIL.Image
import tifffile

from segdistill.data.channels import COLOURS
from segdistill.data.image import Image
from segdistill.errors import DataError
from segdistill.files import sha256_array, whole_file


def write_image(path: Path, image: Image) -> None:
    """Write an image: OME-TIFF with the names of its channels and its pixel size, or PNG of red, green and blue bytes.

    Equal images give equal bytes.

    Args:
        path: Ends in .tif, .tiff or .png. A file of that name stays until the new one is whole.
        image: PNG does not keep its pixel size.

    Raises:
        DataError: The format cannot hold it.
        EnvironmentFault: The disk is full or the folder cannot be written.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "a.ome.tif"
    >>> write_image(file, Image(np.array([[[1, 2]], [[3, 4]]], np.uint16), ("DAPI", "actin"), 0.5, "a test"))
    >>> tifffile.imread(file).tolist()
    [[[1, 2]], [[3, 4]]]
    """
    suffix = path.suffix.lower()
    if suffix == ".png":
        _write_picture(path, image)
    elif suffix in {".tif", ".tiff"}:
        _write_planes(path, image)
    else:
        raise DataError(f"{path} cannot be written as {suffix or 'a file without a suffix'}. Use .tif, .tiff or .png.")


def _write_picture(path: Path, image: Image) -> None:
    if image.channels != COLOURS or image.array.dtype != np.uint8:
        raise DataError(
            f"{path} cannot hold {image.array.dtype} numbers of {', '.join(image.channels)}: a PNG is written of red,"
            " green and blue bytes. Name a .tif file."
        )
    with whole_file(path) as partial:
        PIL.Image.fromarray(np.ascontiguousarray(np.moveaxis(image.array, 0, -1))).save(partial, format="PNG")


def _write_planes(path: Path, image: Image) -> None:
    metadata = {
        "axes": "CYX",
        "UUID": str(uuid5(NAMESPACE_OID, sha256_array(image.array))),  # else equal images give other bytes
        "Creator": "segdistill",
        "Channel": {"Name": list(image.channels)},
    }
    if image.pixel_size is not None:
        for axis in "XY":
            metadata |= {f"PhysicalSize{axis}": image.pixel_size, f"PhysicalSize{axis}Unit": "µm"}
    with whole_file(path) as partial:
        tifffile.imwrite(
            partial, image.array, ome=True, photometric="minisblack", compression="zlib", metadata=metadata
        )
