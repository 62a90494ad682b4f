"""NIfTI, .nii and .nii.gz, through nibabel: volumes, plane by plane.

A plane is one place along the volume's third axis; x is the first axis and y the second. Nothing is turned or
mirrored: a mask that is written back lies on the same voxels.
"""

import errno
import gzip
import math
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Shaped

from segdistill.data.readers.faults import native_dtype, reading, refuse_claim
from segdistill.data.readers.layout import find_layout
from segdistill.data.readers.linear import Linear
from segdistill.data.readers.mapped import MappedPixels
from segdistill.data.readers.naming import name_channels
from segdistill.data.readers.pixel_size import micrometres, square
from segdistill.data.readers.planes import chosen_plane, file_of
from segdistill.data.readers.source import OpenedImage, StoredArray
from segdistill.errors import DataError, EnvironmentFault, MissingExtra

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

SUFFIXES = (".nii", ".nii.gz")


@dataclass(frozen=True, eq=False)
class Volume:
    """What the header of a NIfTI file says."""

    header: "Nifti1Header"
    """All of it."""

    affine: Float64[np.ndarray, "4 4"]
    """Places in the volume to millimetres in the patient: right, front, top."""

    shape: tuple[int, ...]
    """As stored, x before y."""

    plane: tuple[int, int]
    """Which axes are x and y of a plane."""

    stack: int | None
    """Which axis counts the planes; None where there is one plane."""

    stored: np.dtype
    """Type of the stored numbers."""

    offset: int
    """Bytes before the first of them."""

    linear: Linear
    """What they mean."""

    @property
    def planes(self) -> int:
        """How many there are."""
        return 1 if self.stack is None else self.shape[self.stack]


@dataclass(frozen=True, eq=False)
class _Plane:
    """One plane of a stored volume, its values as the file means them."""

    stored: StoredArray
    volume: Volume
    place: int
    dtype: np.dtype

    def __getitem__(self, index: Any, /) -> np.ndarray:
        spans: dict[int | None, Any] = dict(zip(self.volume.plane, index, strict=True)) | {
            self.volume.stack: self.place
        }
        stored = self.stored[tuple(spans.get(axis, 0) for axis in range(len(self.volume.shape)))]
        return self.volume.linear.values(stored, self.dtype)


def open_nifti(path: Path, *, channels: Sequence[str] | None, axes: str | None, fill_missing: bool) -> OpenedImage:
    """Return one plane of a volume, read by windows.

    Values are those that the file means: what is stored, times its slope, plus its intercept. A compressed file
    is unpacked once, into an unnamed temporary file.

    Args:
        path: The file, if it holds one plane; else a path into it, see ``segdistill.data.readers.planes``.
        channels: Name of the one channel; None for none.
        axes: The file states its axes; others are refused.
        fill_missing: Nothing can be missing.

    Raises:
        MissingExtra: nibabel is not installed.
        DataError: The file is damaged or cut short, or holds times, vectors, colours or pixels that are not square.
        EnvironmentFault: There is no room to unpack it.
    """
    del fill_missing
    file, source = file_of(path), str(path)
    volume = read_volume(file)
    native_dtype(volume.stored, source=source)
    place = chosen_plane(path, volume.planes, what="planes along its third axis")
    low, high = (np.iinfo(volume.stored).min, np.iinfo(volume.stored).max) if volume.stored.kind in "iu" else (0, 0)
    dtype = volume.linear.dtype(volume.stored, int(low), int(high))
    plane = _Plane(_pixels(file, volume), volume, place, dtype)
    return OpenedImage(
        stored=plane,
        layout=find_layout(tuple(volume.shape[axis] for axis in volume.plane), "xy", axes, source=source),
        channels=name_channels(1, given=channels, source=source),
        source=source,
        kind="NIfTI",
        pixel_size=_pixel_size(volume, source),
    )


def read_volume(path: Path) -> Volume:
    """Return what the header of a NIfTI file says; no pixel is read.

    Raises:
        MissingExtra: nibabel is not installed.
        DataError: The file is damaged, or not one volume.
    """
    try:
        from nibabel.loadsave import load
        from nibabel.nifti1 import Nifti1Pair
    except ImportError as error:
        raise MissingExtra("nibabel", "medical", f"Reading {path}") from error
    with reading(str(path), "NIfTI"):
        image: Any = load(path)
        if not isinstance(image, Nifti1Pair):
            raise ValueError(f"it is {type(image).__name__}")
        affine = np.asarray(image.affine, np.float64)
        # The header that nibabel hands out has forgotten where the voxels begin and what they mean.
        voxels: Any = image.dataobj
        linear = Linear.stated(voxels.slope, voxels.inter)
    shape = tuple(int(length) for length in image.shape)
    plane, stack = _axes(shape, path)
    return Volume(image.header, affine, shape, plane, stack, voxels.dtype, int(voxels.offset), linear)


def _axes(shape: tuple[int, ...], path: Path) -> tuple[tuple[int, int], int | None]:
    """Return which axes are x and y, and which counts planes."""
    if len(shape) < 2 or math.prod(shape[3:]) != 1:
        found = " × ".join(map(str, shape))
        raise DataError(
            f"{path} has {found} values, but one image is one plane and one file one volume (x × y × z): times,"
            " directions or vectors cannot be told from channels. Save each volume in a file of its own."
        )
    long = [axis for axis, length in enumerate(shape[:3]) if length != 1]
    if len(long) == 2:
        return (long[0], long[1]), None
    return (0, 1), 2 if len(shape) > 2 and shape[2] != 1 else None


def _pixel_size(volume: Volume, source: str) -> float | None:
    """Return the side of a pixel, micrometres."""
    header = volume.header
    unit: Any = header.get_xyzt_units()[0]
    # Many programs place a volume in the patient and leave its unit out; all that read it then take millimetres.
    placed = int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0
    unit = {"micron": "µm", "unknown": "mm" if placed else None}.get(unit, unit)
    x, y = (micrometres(float(header.get_zooms()[axis]), unit) for axis in volume.plane)
    return square(y, x, source=source)


def _pixels(path: Path, volume: Volume) -> StoredArray:
    """Return the stored voxels, unread."""
    dtype, offset = volume.stored, volume.offset
    claimed = math.prod(volume.shape) * dtype.itemsize
    facts = path.stat()
    if path.suffix.lower() != ".gz":
        refuse_claim(claimed, facts.st_size - offset, source=str(path), exact=True)
        return MappedPixels(path, dtype, offset, volume.shape, fortran=True)
    refuse_claim(claimed, facts.st_size, source=str(path))
    return _Unpacked(path, facts.st_mtime_ns, dtype, offset, volume.shape)


@dataclass(frozen=True)
class _Unpacked:
    """The voxels of a compressed file, unpacked when they are first asked for."""

    path: Path
    changed: int
    dtype: np.dtype
    offset: int
    shape: tuple[int, ...]

    def __getitem__(self, index: Any, /) -> np.ndarray:
        return np.array(_unpacked(self)[index])


@lru_cache(maxsize=2)  # an image and its label
def _unpacked(file: _Unpacked) -> Shaped[np.ndarray, "..."]:
    """Return the voxels of a compressed file, mapped from an unnamed temporary file that ends with the array."""
    claimed = math.prod(file.shape) * file.dtype.itemsize
    with tempfile.TemporaryFile() as plain:
        try:
            with gzip.open(file.path) as packed:
                shutil.copyfileobj(packed, plain, 2**20)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise EnvironmentFault(
                f"There is no room in {tempfile.gettempdir()} to unpack {file.path}, which takes {claimed:,} bytes."
                " Make room, or set TMPDIR to a folder with some."
            ) from error
        plain.flush()
        refuse_claim(claimed, plain.tell() - file.offset, source=str(file.path), exact=True)
        return np.memmap(plain, file.dtype, "r", file.offset, file.shape, "F")
