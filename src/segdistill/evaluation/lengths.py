"""In which unit the distances of several files are told: one for all of them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from segdistill.data.case import numbered
from segdistill.data.outlines import is_outlines
from segdistill.data.readers import open_image
from segdistill.errors import ConfigError, DataError
from segdistill.evaluation.ruler import Ruler

TOLERANCE_PIXELS = 2.0
"""How far apart contours may lie where nobody says and lengths are in pixels."""

TOLERANCE_MICROMETRES = 1.0
"""The same where they are in micrometres."""

_SAME = 0.01
"""Relative. Two pixel sizes that differ by less are one."""


@dataclass(frozen=True)
class Lengths:
    """How lengths are measured in every field."""

    tolerance: float
    """How far apart contours may lie, in ``unit``."""

    sizes: Mapping[Path, float]
    """Label file to the side of its pixels, micrometres. Empty: lengths are in pixels."""

    notes: tuple[str, ...] = ()
    """Which unit it is, and why."""

    @property
    def unit(self) -> str:
        """Of every length: "µm" or "px"."""
        return "µm" if self.sizes else "px"

    def ruler(self, label: Path) -> Ruler:
        """Return how to measure in one field."""
        return Ruler(self.sizes.get(label), self.tolerance)


def find_lengths(
    labels: Sequence[Path],
    *,
    pixel_size: float | None,
    tolerance: float | None,
    images: Mapping[Path, Path] = MappingProxyType({}),
) -> Lengths:
    """Return how lengths are measured, in micrometres only where every pixel size is known.

    Files that cannot be opened are passed over: whoever scores them says so.

    Args:
        labels: Label files; outlines state no pixel size.
        pixel_size: Of all of them, micrometres. None takes what the files say.
        tolerance: How far apart contours may lie, in micrometres where these are known, else in
            pixels. None: 1 µm or 2 px.
        images: Label file to its image, whose pixel size is taken where the label states none.

    Raises:
        ConfigError: A file says another pixel size than the one given, or a number is not above 0.
    """
    stated, apart = _stated(labels, images)
    if pixel_size is not None:
        Ruler(pixel_size)
        _refuse_others(stated, pixel_size)
        known: dict[Path, float] = dict.fromkeys(labels, pixel_size)
    else:
        known = {path: size for path, size in stated.items() if size is not None}
    unknown = [path for path, size in stated.items() if size is None] if pixel_size is None else []
    if not known or unknown:
        lengths = Lengths(TOLERANCE_PIXELS if tolerance is None else tolerance, {}, (_in_pixels(known, unknown),))
    else:
        chosen = TOLERANCE_MICROMETRES if tolerance is None else tolerance
        lengths = Lengths(chosen, known, (f"Distances are in µm; pixels have {_shown(known)} µm.", *_unlike(apart)))
    for path in labels:
        lengths.ruler(path)
    return lengths


def _stated(
    labels: Sequence[Path], images: Mapping[Path, Path]
) -> tuple[dict[Path, float | None], dict[Path, tuple[float, float]]]:
    """Return the pixel size that every readable label file, or its image, states; and both where they differ."""
    stated: dict[Path, float | None] = {}
    apart: dict[Path, tuple[float, float]] = {}
    for path in labels:
        found = [size for each in (path, images.get(path)) if each is not None for size in _size(each)]
        said = [size for size in found if size is not None]
        if found:
            stated[path] = said[0] if said else None
        if len(said) > 1 and abs(said[0] - said[1]) > _SAME * said[1]:
            apart[path] = (said[0], said[1])
    return stated, apart


def _size(path: Path) -> Iterator[float | None]:
    """Yield the pixel size that a file states, None where it states none; nothing of a file that cannot be read."""
    if is_outlines(path):
        yield None
        return
    with suppress(DataError), open_image(path) as opened:  # told, with the reason, by whoever scores the file
        yield opened.pixel_size


def _refuse_others(stated: Mapping[Path, float | None], pixel_size: float) -> None:
    for path, size in stated.items():
        if size is not None and abs(size - pixel_size) > _SAME * pixel_size:
            raise ConfigError(
                f"{path} has pixels of {size:g} µm, but --pixel-size is {pixel_size:g}. Drop the option to take what"
                " the files say, or correct the files."
            )


def _unlike(apart: Mapping[Path, tuple[float, float]]) -> Iterator[str]:
    """Yield a remark on labels that state another pixel size than their images."""
    if apart:
        path, (label, image) = next(iter(apart.items()))
        yield (
            f"{numbered(len(apart), 'label')} of another pixel size than the image, such as {path}: {label:g} µm, and"
            f" its image {image:g}. Distances are told by the labels: correct the files that are wrong."
        )


def _in_pixels(known: Mapping[Path, float], unknown: Sequence[Path]) -> str:
    some = f" of {len(unknown)} of {len(unknown) + len(known)} label files, such as {unknown[0]}," if known else ""
    return f"Distances are in pixels: the pixel size{some} is not known. Say --pixel-size to have them in µm."


def _shown(sizes: Mapping[Path, float]) -> str:
    counted = Counter(f"{size:g}" for size in sizes.values())
    if len(counted) == 1:
        return next(iter(counted))
    return f"{min(sizes.values()):g} to {max(sizes.values()):g}"
