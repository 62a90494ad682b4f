"""Whether a mask was made for its image, where both files say where in a patient they lie."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segdistill.data.readers import suffix_of
from segdistill.data.readers.nifti import SUFFIXES, read_volume
from segdistill.data.readers.planes import file_of
from segdistill.errors import DataError

_APART = 0.1
"""Corners of two volumes that are less than this part of a voxel apart are at one place: headers round."""


def refuse_elsewhere(label: Path, images: Sequence[Path]) -> None:
    """Refuse a NIfTI mask that lies elsewhere than its NIfTI image: its voxels are not those of the image.

    Args:
        label: Any label file.
        images: The file or files of its image.

    Raises:
        DataError: The two differ in place, direction or size of voxels.
    """
    mask = file_of(label)
    if suffix_of(mask) not in SUFFIXES:
        return
    for image in map(file_of, images):
        if suffix_of(image) not in SUFFIXES:
            continue
        own, other = read_volume(mask), read_volume(image)
        shape = np.array([*own.shape[:3], *(1,) * (3 - len(own.shape))], float)
        corners = np.stack([*np.ndindex(2, 2, 2)]) * (shape - 1)
        apart = np.abs((own.affine - other.affine)[:3, :3] @ corners.T + (own.affine - other.affine)[:3, 3:]).max()
        voxel = np.linalg.norm(other.affine[:3, :3], axis=0).min()
        if not apart <= _APART * voxel:
            raise DataError(
                f"{label} lies elsewhere in the patient than {image}: corners are up to {apart:.3g} mm apart, so its"
                " voxels are not those of the image. Save it on the image's grid, or correct the header of one."
            )
