"""Masks as NIfTI, written plane by plane, on the grid of the image they belong to."""

import gzip
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Integer

from segdistill.data.readers.nifti import SUFFIXES, read_volume
from segdistill.errors import DataError, MissingExtra, ShapeError
from segdistill.files import whole_file

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

Add = Callable[[Iterable[Integer[np.ndarray, "_ x"]]], None]
"""Takes one plane, as rows from top to bottom."""

_WIDEST = 32_767
"""Sides that NIfTI-1 can count."""

_PLACE = ("dim", "pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d")
_PLACE += ("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z")
"""What a header says of the voxels' places. All else is left behind: free text can name a patient."""


@contextmanager
def nifti_volume(
    path: Path,
    shape: tuple[int, int, int],
    dtype: np.dtype,
    *,
    like: Path | None = None,
    pixel_size: float | None = None,
) -> Iterator[Add]:
    """Yield what takes the planes of a volume, one after the other; the file is whole when all were given.

    Args:
        path: Ends in .nii or .nii.gz.
        shape: Planes, pixels along y, pixels along x.
        dtype: Of the numbers, whole ones.
        like: A NIfTI file of this shape, whose voxels the mask's are: it gets the same place in the patient. None: the
            mask has the size of pixels and no place.
        pixel_size: Micrometres, where ``like`` is None; None if it is not known.

    Raises:
        MissingExtra: nibabel is not installed.
        ShapeError: Planes are missing, too many, or of another size; or ``like`` has another shape.
        DataError: The format is another, or there are no pixels.
        EnvironmentFault: The disk is full or the folder cannot be written.
    """
    if not path.name.lower().endswith(SUFFIXES) or 0 in shape:
        raise DataError(f"{path} cannot be written as NIfTI, with the shape {shape}. Use .nii.gz, and a shape above 0.")
    header = _header(shape, pixel_size) if like is None else _header_like(like, shape)
    header.set_data_dtype(dtype)
    left = int(np.prod(shape)) * dtype.itemsize
    with whole_file(path) as partial, partial.open("wb") as plain:
        packed: Any = plain
        if path.suffix.lower() == ".gz":  # without name and time, so that equal masks give equal bytes
            packed = gzip.GzipFile("", "wb", fileobj=plain, compresslevel=6, mtime=0)
        packed.write(header.binaryblock)
        packed.write(bytes(header.single_vox_offset - len(header.binaryblock)))

        def add(rows: Iterable[Integer[np.ndarray, "_ x"]]) -> None:
            nonlocal left
            for each in rows:
                if each.shape[1] != shape[2]:
                    raise ShapeError(f"Rows of {each.shape[1]} pixels do not fit into {path}, {shape[2]} wide.")
                left -= packed.write(np.ascontiguousarray(each, dtype).tobytes())

        yield add
        if left:
            raise ShapeError(f"{path} is to hold {shape} (plane, y, x), but its planes differ by {left} bytes from it.")
        if packed is not plain:
            packed.close()


def _new(kind: str) -> Any:
    try:
        import nibabel
    except ImportError as error:
        raise MissingExtra("nibabel", "medical", "Writing NIfTI") from error
    return getattr(nibabel, kind)()


def _header(shape: tuple[int, int, int], pixel_size: float | None) -> "Nifti1Header":
    """Return a header that says nothing of a place in a patient."""
    header = _new("Nifti2Header" if max(shape) > _WIDEST else "Nifti1Header")
    header.set_data_shape(shape[::-1])
    side = 1.0 if pixel_size is None else pixel_size / 1000
    header.set_zooms((side, side, 1.0))
    header.set_xyzt_units("unknown" if pixel_size is None else "mm")
    return _single(header)


def _header_like(like: Path, shape: tuple[int, int, int]) -> "Nifti1Header":
    """Return a header with the place of another file's voxels."""
    volume = read_volume(like)
    own = (volume.planes, volume.shape[volume.plane[1]], volume.shape[volume.plane[0]])
    if own != shape:
        raise ShapeError(f"{like} has {own} voxels (plane, y, x), but its mask {shape}.")
    header = _new(type(volume.header).__name__)
    for field in _PLACE:
        header[field] = volume.header[field]
    return _single(header)


def _single(header: "Nifti1Header") -> "Nifti1Header":
    """Return a header for a file that holds header and voxels."""
    header["magic"] = header.single_magic
    header.set_data_offset(header.single_vox_offset)
    header.set_slope_inter(1, 0)
    return header
