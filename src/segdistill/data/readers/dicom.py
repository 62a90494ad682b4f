"""DICOM pictures, one frame at a time, through pydicom: grey values as the file means them, or red, green and blue."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Shaped

from segdistill.data.readers.dicom_codecs import register
from segdistill.data.readers.dicom_header import Header, quietly, read_header
from segdistill.data.readers.dicom_spacing import pixel_size
from segdistill.data.readers.faults import reading
from segdistill.data.readers.layout import find_layout
from segdistill.data.readers.linear import Linear
from segdistill.data.readers.naming import colour_names, name_channels
from segdistill.data.readers.planes import chosen_plane, file_of
from segdistill.data.readers.source import OpenedImage
from segdistill.errors import DataError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_PALETTE = "RedPaletteColorLookupTableDescriptor"


@dataclass(frozen=True, eq=False)
class _Values:
    """What the numbers of a frame become."""

    dtype: np.dtype
    """Of the pixels that are handed out."""

    linear: Linear = field(default_factory=Linear)
    """What stored numbers mean, where no table says it."""

    table: "Dataset | None" = None
    """Says what each stored number means (modality LUT)."""

    ends: tuple[float, float] | None = None
    """The least and the greatest value there can be, where white is stored as the least; None: it is not."""


@dataclass(eq=False)
class _Frame:
    """A frame that is decoded when its pixels are first asked for, and kept until it is closed."""

    path: Path
    header: Header
    place: int
    values: _Values
    _pixels: np.ndarray | None = field(init=False, default=None)

    @property
    def dtype(self) -> np.dtype:
        """Type of the pixels."""
        return self.values.dtype

    def __getitem__(self, index: Any, /) -> np.ndarray:
        if self._pixels is None:
            self._pixels = self._decoded()
        return self._pixels[index].copy()

    def _decoded(self) -> Shaped[np.ndarray, "..."]:
        from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
        from pydicom.pixels.utils import pixel_array

        register()
        values, header = self.values, self.header
        with quietly():
            stored = pixel_array(self.path, index=self.place)
            if header.light == "PALETTE COLOR":
                return apply_color_lut(stored, header.dataset).astype(values.dtype)
            if values.table is None:
                array = values.linear.values(stored, values.dtype)
            else:
                array = apply_modality_lut(stored, values.table).astype(values.dtype)
        if values.ends is None:
            return array
        total = sum(values.ends)
        return (total - array.astype(np.float64)).astype(values.dtype)

    def forget(self) -> None:
        """Free the memory of the frame."""
        self._pixels = None


def open_dicom(path: Path, *, channels: Sequence[str] | None, axes: str | None, fill_missing: bool) -> OpenedImage:
    """Return one frame of a DICOM file; it is decoded whole when a window is first read.

    Grey values are those that the file means: by its slope and intercept, or its table. Where it stores white as
    the least number (MONOCHROME1), they are turned round, so that what is bright is a large number. A palette is
    looked up. Windows for display are not applied: they are a wish for a screen.

    Args:
        path: The file, if it holds one frame; else a path into it, see ``segdistill.data.readers.planes``.
        channels: Names of the channels; None takes red, green and blue, or none.
        axes: The file states its axes; others are refused.
        fill_missing: Nothing can be missing.

    Raises:
        MissingExtra: pydicom is not installed.
        DataError: The file is damaged, holds no picture or one that cannot be decoded, or its pixels are not square.
    """
    del fill_missing
    source = str(path)
    header = read_header(file_of(path))
    place = chosen_plane(path, header.frames, what="frames")
    with reading(source, "DICOM"), quietly():
        _refuse_syntax(header, source)
        values = _values(header, place)
        size = pixel_size(header, place, source=source)
    colours = 3 if header.samples == 3 or header.light == "PALETTE COLOR" else 1
    shape = (*header.size, colours) if colours == 3 else header.size
    frame = _Frame(file_of(path), header, place, values)
    return OpenedImage(
        stored=frame,
        layout=find_layout(shape, "yxs"[: len(shape)], axes, source=source),
        channels=name_channels(colours, found=colour_names(colours), given=channels, source=source),
        source=source,
        kind="DICOM",
        pixel_size=size,
        on_close=frame.forget,
    )


def count_frames(path: Path) -> int:
    """Return how many frames a DICOM file holds; see ``read_header`` for what is raised."""
    return read_header(path).frames


def _refuse_syntax(header: Header, source: str) -> None:
    """Refuse pixels that are compressed in a way that nothing here undoes."""
    from pydicom.pixels.decoders.base import get_decoder

    register()
    syntax = header.dataset.file_meta.TransferSyntaxUID
    try:
        known = get_decoder(syntax).is_available
    except NotImplementedError:
        known = False
    if not known:
        raise DataError(
            f"{source} is compressed as {syntax.name} ({syntax}), which cannot be decoded here."
            " Convert it, for example with `gdcmconv --raw` or `dcmdjpeg`."
        )


def _values(header: Header, place: int) -> _Values:
    """Return what a frame's numbers become."""
    dataset = header.dataset
    if header.real:
        return _Values(np.dtype(f"f{header.real // 8}"))
    if header.light == "PALETTE COLOR":
        return _Values(np.dtype(np.uint8 if int(dataset[_PALETTE].value[2]) <= 8 else np.uint16))
    allocated, used = max(int(dataset.BitsAllocated), 8), int(dataset.BitsStored)
    signed = header.samples == 1 and int(dataset.PixelRepresentation) == 1
    stored = np.dtype(f"{'i' if signed else 'u'}{allocated // 8}")
    if header.samples == 3:
        return _Values(stored)
    low, high = (-(2 ** (used - 1)), 2 ** (used - 1) - 1) if signed else (0, 2**used - 1)
    inverted = header.light == "MONOCHROME1"
    table = (
        dataset if dataset.get("ModalityLUTSequence") else header.of_frame("PixelValueTransformationSequence", place)
    )
    if table is dataset:
        bits = int(dataset.ModalityLUTSequence[0].LUTDescriptor[2])
        return _Values(
            np.dtype(np.uint8 if bits <= 8 else np.uint16), table=dataset, ends=(0, 2**bits - 1) if inverted else None
        )
    holder = dataset if table is None else table
    linear = Linear.stated(float(holder.get("RescaleSlope", 1.0)), float(holder.get("RescaleIntercept", 0.0)))
    return _Values(linear.dtype(stored, low, high), linear, ends=linear.bounds(low, high) if inverted else None)
