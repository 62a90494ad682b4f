"""Letting a teacher look at an image: its channels, its normalisation, its pixel size, its tiles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import cast

import numpy as np
from jaxtyping import Float, Float32, Int32, Shaped

from segdistill.data.channels import select
from segdistill.data.labels import Structure
from segdistill.data.normalisation import measure_range, normalise
from segdistill.data.rescale import TOLERANCE, nearest, resized
from segdistill.data.sample import Sample
from segdistill.data.tiling import Tile, padded, tiles
from segdistill.errors import ConfigError, DataError
from segdistill.targets.view import View, view_of
from segdistill.teachers.contract import Hint, Teacher, TokenTeacher


@dataclass(frozen=True, eq=False)
class Field:
    """An image as a teacher is given it."""

    pixels: Float32[np.ndarray, "c y x"]
    """The contract's channels, 0…1."""

    hint: Hint
    """What the contract says the teacher needs beside them."""

    shape: tuple[int, int]
    """Size (y, x) of the image itself, pixels; the pixels differ where the pixel size does."""


def field_of(teacher: Teacher, sample: Sample, structures: Sequence[Structure]) -> Field:
    """Return a sample as this teacher takes it.

    Args:
        teacher: Its contract names channels, rule, pixel size and needs.
        sample: The image with every channel it has, and its labels.
        structures: What the sample's planes are, in order.

    Raises:
        DataError: A channel is missing, or an oracle finds no labels.
    """
    contract = teacher.contract
    low, high = measure_range(sample.image, contract.rule, names=contract.channels) if contract.channels else ((), ())
    image = sample.image
    shape = (image.array.shape[1], image.array.shape[2])
    pixels = np.zeros((0, *shape), np.float32)
    if contract.channels:
        chosen = select(image.array, image.channels, contract.channels, source=image.source)
        pixels = normalise(chosen, cast("np.ndarray", low), cast("np.ndarray", high))
    labels = _labels(sample, structures) if contract.oracle else {}
    factor = _factor(contract.pixel_size, image.pixel_size)
    if factor != 1 and contract.channels:
        scaled = (max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor)))
        pixels = resized(pixels, scaled)
        labels = {name: nearest(plane[None], scaled)[0] for name, plane in labels.items()}
    return Field(pixels, Hint(case=sample.name, labels=labels, drawn_on=sample.drawn_on or shape), shape)


def look(teacher: Teacher, field: Field, *, tile: int | None = None, halo: int = 0) -> Float32[np.ndarray, "k y x"]:
    """Return what a teacher says of an image, on the image's own grid.

    An image whose longer side is at most ``tile`` is seen whole. A larger one is cut into squares of
    that side, mirrored outwards at the image's end, and of each the inner part is kept.

    Args:
        teacher: Any.
        field: From ``field_of``.
        tile: Side of a tile, pixels of what the teacher sees. None never cuts.
        halo: Pixels that are discarded on each inner side of a tile.

    Raises:
        DataError: The maps are not finite, or no probabilities.
    """
    height, width = field.pixels.shape[1:]
    if tile is None or max(height, width) <= tile:
        maps = teacher.maps(field.pixels, field.hint)
    else:
        maps = np.zeros((len(teacher.contract.outputs), height, width), np.float32)
        for part in tiles((height, width), side=tile, halo=halo):
            seen = teacher.maps(padded(field.pixels[:, *part.read], part), _part_of_hint(field.hint, part))
            maps[:, *part.write] = seen[:, *part.keep]
    _check(maps, teacher)
    return maps if maps.shape[1:] == field.shape else resized(maps, field.shape).clip(0, 1)


def look_for_tokens(
    teacher: Teacher, field: Field, names: tuple[str, ...], view: View
) -> dict[str, Float32[np.ndarray, "_ _ _"]]:
    """Return a teacher's token grids of one view of an image, by name.

    Raises:
        ConfigError: The teacher gives no tokens.
        DataError: A token is not finite.
    """
    grids = tokens_of(teacher, view_of(field.pixels, view), names)
    for name, grid in grids.items():
        if not np.isfinite(grid).all():
            raise DataError(f"Teacher {teacher.contract.name!r} gave tokens {name!r} that are not finite.")
    return grids


def tokens_of(
    teacher: Teacher, image: Float[np.ndarray, "c y x"], names: tuple[str, ...]
) -> dict[str, Float[np.ndarray, "_ _ _"]]:
    """Return a teacher's token grids by name.

    Raises:
        ConfigError: The teacher gives no tokens.
    """
    if not isinstance(teacher, TokenTeacher):
        raise ConfigError(f"Teacher {teacher.contract.name!r} gives maps, but no tokens. Leave out the tokens.")
    return teacher.tokens(image, names)


def _labels(sample: Sample, structures: Sequence[Structure]) -> Mapping[str, Int32[np.ndarray, "y x"]]:
    """Return the planes that somebody labelled; the teacher says which it misses."""
    planes = zip(structures, sample.planes, sample.known, strict=True)
    return MappingProxyType({structure.name: plane for structure, plane, known in planes if known})


def _factor(wanted: float | None, found: float | None) -> float:
    """Return by how much an image grows to have the wanted pixel size; 1 where either is not known."""
    if wanted is None or found is None or abs(found / wanted - 1) < TOLERANCE:
        return 1.0
    return found / wanted


def _part_of_hint(hint: Hint, tile: Tile) -> Hint:
    """Return the labels of a tile; beyond the image's end there are none."""
    labels = {name: np.pad(plane[tile.read], tile.pad) for name, plane in hint.labels.items()}
    return replace(hint, labels=MappingProxyType(labels))


def _check(maps: Shaped[np.ndarray, "k y x"] | Float[np.ndarray, "k y x"], teacher: Teacher) -> None:
    wrong = np.count_nonzero(~(np.isfinite(maps) & (maps >= 0) & (maps <= 1)))
    if wrong:
        raise DataError(
            f"Teacher {teacher.contract.name!r} gave {wrong} values that are no probabilities (not finite, or"
            " outside of 0…1). Its output or its description is wrong."
        )
