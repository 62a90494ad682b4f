"""PNG, JPEG, GIF and BMP pictures, through pillow."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from jaxtyping import Shaped
from PIL import ExifTags
from PIL import Image as Pillow

from segdistill.data.readers.faults import reading
from segdistill.data.readers.layout import find_layout
from segdistill.data.readers.naming import colour_names, name_channels
from segdistill.data.readers.source import OpenedImage
from segdistill.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".gif", ".bmp")
_FORMATS = ("PNG", "JPEG", "GIF", "BMP")

_ORIENTATION = ExifTags.Base.Orientation


@dataclass(frozen=True)
class _Samples:
    """How a picture is decoded."""

    mode: str
    """In pillow's terms."""

    colours: int
    """Samples per pixel, without alpha."""

    alpha: bool = False
    """Whether an alpha sample follows them."""

    dtype: str = "uint8"
    """Of a sample."""


_GREY, _GREY_ALPHA = _Samples("L", 1), _Samples("LA", 1, alpha=True)
_RGB, _RGB_ALPHA = _Samples("RGB", 3), _Samples("RGBA", 3, alpha=True)
_MODES = {
    "1": _Samples("1", 1, dtype="bool"),
    "L": _GREY,
    "LA": _GREY_ALPHA,
    "I;16": _Samples("I;16", 1, dtype="uint16"),
    "RGB": _RGB,
    "RGBA": _RGB_ALPHA,
}
_DEEP = "deep"
"""Mode of PNG with colours or alpha of 16 bits, which pillow would halve to 8 bits without a word."""


@dataclass(eq=False)
class _Picture:
    """A picture that is decoded when its pixels are first asked for, and kept until it is closed."""

    path: Path
    samples: _Samples
    _pixels: np.ndarray | None = field(init=False, default=None)

    @property
    def dtype(self) -> np.dtype:
        """Type of the stored pixels."""
        return np.dtype(self.samples.dtype)

    def __getitem__(self, index: Any, /) -> np.ndarray:
        if self._pixels is None:
            self._pixels = self._decoded()
        return self._pixels[index].copy()

    def _decoded(self) -> Shaped[np.ndarray, "..."]:
        if self.samples.mode == _DEEP:
            return imagecodecs.png_decode(self.path.read_bytes())
        with _opened(self.path) as picture:
            return np.asarray(picture.convert(self.samples.mode))

    def forget(self) -> None:
        """Free the memory of the decoded picture."""
        self._pixels = None


def open_picture(path: Path, *, channels: Sequence[str] | None, axes: str | None, fill_missing: bool) -> OpenedImage:
    """Return a picture: one grey channel, or red, green and blue.

    A palette is looked up: the picture has the colours it is seen in, or is grey if its palette is.
    An alpha channel, or a colour declared transparent, is dropped if it is the same everywhere and
    refused otherwise. Dots per inch are a wish for printing, not a pixel size. Nothing can be
    missing: ``fill_missing`` is for other formats. A picture is decoded whole when a window is first
    read; later windows cost nothing.

    Raises:
        DataError: The picture is damaged, has several frames, is CMYK or otherwise not grey or
            RGB, is turned by its EXIF data, or is too large.
    """
    del fill_missing
    source = str(path)
    with reading(source, "picture"), _opened(path) as picture:
        _check_still(picture, source)
        samples = _samples(picture, path)
        width, height = picture.size
    shape = (
        (height, width) if samples.colours + samples.alpha == 1 else (height, width, samples.colours + samples.alpha)
    )
    pixels = _Picture(path, samples)
    return OpenedImage(
        stored=pixels,
        layout=find_layout(shape, "yxs"[: len(shape)], axes, source=source),
        channels=name_channels(samples.colours, found=colour_names(samples.colours), given=channels, source=source),
        source=source,
        kind="picture",
        alpha=samples.alpha,
        on_close=pixels.forget,
    )


def _opened(path: Path) -> Pillow.Image:
    """Open a picture; one too large for pillow's guard is refused with its size."""
    with warnings.catch_warnings():
        # Between 90 and 179 megapixels pillow warns of an attack; that is an ordinary slide.
        warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
        try:
            return Pillow.open(path, formats=_FORMATS)
        except Pillow.DecompressionBombError as error:
            raise DataError(
                f"{path} claims too many pixels for a picture ({str(error).split(',', maxsplit=1)[0]}; the file has"
                f" {path.stat().st_size:,} bytes). If it is genuine, save it as a tiled TIFF, which is read by windows."
            ) from error


def _check_still(picture: Pillow.Image, source: str) -> None:
    """Refuse a picture of several frames, and one that asks to be turned."""
    frames = getattr(picture, "n_frames", 1)
    if frames > 1:
        raise DataError(f"{source} has {frames} frames, but one image is one frame. Save the frame you mean as PNG.")
    turned = picture.getexif().get(_ORIENTATION, 1)
    if turned not in {0, 1}:
        raise DataError(
            f"{source} asks to be turned when it is shown (EXIF orientation {turned}), so it is not certain how its"
            " label lies on it. Turn the pixels themselves and save the picture without this tag."
        )


def _samples(picture: Pillow.Image, path: Path) -> _Samples:
    transparent = "transparency" in picture.info
    if picture.format == "PNG":
        deep = _deep_samples(path, transparent)
        if deep is not None:
            return deep
    if picture.mode in {"P", "PA"}:
        found = _GREY if _is_grey(picture.getpalette() or []) else _RGB
    elif picture.mode in _MODES:
        found = _MODES[picture.mode]
    else:
        raise DataError(
            f"{path} is a {picture.mode} picture, but only grey and RGB pictures can be used."
            " Convert it to RGB in the program it comes from and save it as PNG."
        )
    if transparent or picture.mode == "PA":
        return {_GREY: _GREY_ALPHA, _RGB: _RGB_ALPHA}.get(found, found)
    return found


def _deep_samples(path: Path, transparent: bool) -> _Samples | None:
    """Return the samples of a PNG of 16-bit colours or alpha; None for other PNGs."""
    with path.open("rb") as handle:
        depth, colour_type = handle.read(26)[24:]
    if depth != 16 or colour_type not in {2, 4, 6}:
        return None
    return _Samples(_DEEP, 1 if colour_type == 4 else 3, alpha=transparent or colour_type != 2, dtype="uint16")


def _is_grey(palette: Sequence[int]) -> bool:
    return palette[0::3] == palette[1::3] == palette[2::3]
