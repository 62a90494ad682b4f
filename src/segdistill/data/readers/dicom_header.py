"""What the header of a DICOM file says, and refusals of files that are no picture to segment."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from segdistill.data.readers.faults import reading, refuse_claim
from segdistill.errors import DataError, MissingExtra

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SUFFIXES = (".dcm", ".dicom")
SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""Classes of files that hold masks."""

_SLIDES = "1.2.840.10008.5.1.4.1.1.77.1.6"
_LIGHTS = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
    "RGB": 3,
    "YBR_FULL": 3,
    "YBR_FULL_422": 3,
    "YBR_ICT": 3,
    "YBR_RCT": 3,
}
"""Ways to store colours to the samples that a pixel then has."""


@dataclass(frozen=True, eq=False)
class Header:
    """What a DICOM file says of itself; identifiers stay in it."""

    dataset: "Dataset"
    """All of it but the pixels."""

    light: str
    """What the numbers of a pixel mean, in DICOM's words (photometric interpretation)."""

    size: tuple[int, int]
    """Pixels along y and x."""

    frames: int
    """How many pictures there are."""

    real: int
    """Bits of a floating-point pixel; 0 where pixels are whole numbers."""

    @property
    def samples(self) -> int:
        """How many numbers a stored pixel has."""
        return _LIGHTS[self.light]

    def of_frame(self, name: str, frame: int) -> "Dataset | None":
        """Return what the file says of a frame under a name, such as "PixelMeasuresSequence"; else of all frames."""
        own = self.dataset.get("PerFrameFunctionalGroupsSequence") or ()
        groups = [*own[frame : frame + 1], *(self.dataset.get("SharedFunctionalGroupsSequence") or ())]
        return next((group.get(name)[0] for group in groups if group.get(name)), None)


@contextmanager
def quietly() -> Iterator[None]:
    """Keep to oneself what pydicom finds odd in files that it can read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def is_dicom(path: Path) -> bool:
    """Return whether a file is of DICOM: by its suffix, or, where it has none, by what it says of itself.

    Scanners and archives often write files without a suffix.
    """
    if path.suffix:
        return path.suffix.lower() in SUFFIXES
    return path.name.upper() != "DICOMDIR" and says_dicom(path)


def says_dicom(path: Path) -> bool:
    """Return whether a file says DICM where DICOM files do."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as handle:
            return handle.read(132)[128:] == b"DICM"
    except OSError:
        return False


def read_dataset(path: Path) -> "Dataset":
    """Return everything that a DICOM file says but its pixels; that of the last few files is kept in memory.

    Raises:
        MissingExtra: pydicom is not installed.
        DataError: The file is damaged or no DICOM file.
    """
    with reading(str(path), "DICOM"):
        facts = path.stat()
        return _read(path, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=8)
def _read(path: Path, changed: int, size: int) -> "Dataset":
    del changed, size  # they tell a file from what it was before
    try:
        import pydicom
    except ImportError as error:
        raise MissingExtra("pydicom", "medical", f"Reading {path}") from error
    with quietly():
        return pydicom.dcmread(path, stop_before_pixels=True)


def read_header(path: Path) -> Header:
    """Return what a DICOM file of pictures says of itself.

    Raises:
        MissingExtra: pydicom is not installed.
        DataError: The file is damaged or cut short, or holds no picture, masks, tiles of a slide, or colours in a way
            that is not known here.
    """
    dataset = read_dataset(path)
    with reading(str(path), "DICOM"), quietly():
        _refuse_other(dataset, path)
        light = str(dataset.PhotometricInterpretation)
        if _LIGHTS.get(light) != int(dataset.SamplesPerPixel):
            _refuse_colours(path, light, int(dataset.SamplesPerPixel))
        frames, size = int(dataset.get("NumberOfFrames") or 1), (int(dataset.Rows), int(dataset.Columns))
        bits, packed = int(dataset.BitsAllocated), bool(_syntax(dataset).is_compressed)
        claimed = (size[0] * size[1] * _LIGHTS[light] * frames * bits + 7) // 8
        if light == "YBR_FULL_422" and not packed:
            claimed = claimed * 2 // 3
        refuse_claim(claimed, path.stat().st_size, source=str(path), exact=not packed)
        return Header(dataset, light, size, frames, _real(dataset, bits))


def _syntax(dataset: "Dataset") -> Any:
    return dataset.file_meta.TransferSyntaxUID


def _real(dataset: "Dataset", bits: int) -> int:
    """Return the bits of floating-point pixels: files with such do not say how many bits of a whole number they use."""
    return bits if "BitsStored" not in dataset and bits in {32, 64} else 0


def _refuse_other(dataset: "Dataset", path: Path) -> None:
    """Refuse what is no picture of its own."""
    kind = dataset.get("SOPClassUID")
    if kind in SEGMENTATIONS:
        raise DataError(
            f"{path} holds masks (DICOM-SEG), no image. Put it into labels/, under the name of its image's file."
        )
    if kind == _SLIDES or "TotalPixelMatrixColumns" in dataset:
        raise DataError(
            f"{path} holds a slide cut into tiles. Convert it into a tiled OME-TIFF or OME-Zarr, for example with"
            " `bioformats2raw`, which is read by windows."
        )
    if "Rows" not in dataset or "PhotometricInterpretation" not in dataset:
        name = getattr(kind, "name", None) or "DICOM file of no known kind"
        raise DataError(f"{path} holds no picture: it is a {name}. Leave it out.")


def _refuse_colours(path: Path, light: str, samples: int) -> NoReturn:
    raise DataError(
        f"{path} stores its colours as {light} of {samples} samples, but grey and RGB pictures can be used"
        f" ({', '.join(_LIGHTS)}). Convert it, for example with `gdcmconv` or `dcmconv`."
    )
