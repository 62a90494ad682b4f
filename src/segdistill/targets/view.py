"""A recorded view of an image: what part of it, mirrored or not, turned how far."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Shaped

from segdistill.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class View:
    """One way of looking at an image; the same for every image of a store.

    Feature grids cannot be flipped or cropped afterwards as maps can, so a teacher must look
    again. Views are numbered in the store's header and never drawn from an epoch or a process.

    >>> View().is_whole
    True
    """

    window: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    """Top, left, height and width of the part that is seen, as fractions of the image."""

    mirrored: bool = False
    """Whether left and right are exchanged, after the window."""

    turns: int = 0
    """Quarter turns counter-clockwise, after the mirror, 0 to 3."""

    def __post_init__(self) -> None:
        top, left, height, width = self.window
        inside = top >= 0 and left >= 0 and height > 0 and width > 0 and top + height <= 1 and left + width <= 1
        if not inside or self.turns not in range(4):
            raise ConfigError(
                f"The view {asdict(self)} is not possible: its window must lie inside the image (fractions of 1),"
                " its turns must be 0 to 3."
            )

    @property
    def is_whole(self) -> bool:
        """Whether the image is seen whole and as it is."""
        return self == View()


def drawn_views(
    count: int, *, seed: int = 0, least: float = 0.5, mirrored: bool = True, turned: bool = True
) -> tuple[View, ...]:
    """Return the whole image and views drawn at random: parts of it, mirrored, turned.

    The same arguments give the same views, and more of them begin with fewer, so a store may be made
    again with more views than it has.

    Args:
        count: Of views, the whole image among them, ≥ 1.
        seed: Of the draws.
        least: Side of the smallest part, as a fraction of the image's, above 0 to 1.
        mirrored: Whether left and right may be exchanged. Not where the sides mean something.
        turned: Whether quarter turns are made. Not of radiographs.

    Raises:
        ConfigError: There would be no view, or the fraction is none.

    >>> drawn_views(3)[0].is_whole, drawn_views(3) == drawn_views(9)[:3]
    (True, True)
    """
    if count < 1 or not 0 < least <= 1:
        raise ConfigError(
            f"{count} views of at least {least} of an image are not possible. Choose 1 or more, above 0 to 1."
        )
    draw = np.random.default_rng(seed)
    return (View(), *(_drawn_view(draw, least, mirrored, turned) for _ in range(count - 1)))


def _drawn_view(draw: np.random.Generator, least: float, mirrored: bool, turned: bool) -> View:
    """Return one view; every call takes as many numbers, whatever is allowed."""
    size, top, left, mirror, turns = draw.random(5).tolist()
    side = least + (1 - least) * size
    # Rounded, so that equal views are equal on every machine; down, so that the part stays inside.
    side = math.floor(side * 1024) / 1024 or 1 / 1024
    corner = [math.floor((1 - side) * part * 1024) / 1024 for part in (top, left)]
    return View(
        window=(corner[0], corner[1], side, side),
        mirrored=mirrored and mirror < 0.5,
        turns=int(4 * turns) if turned else 0,
    )


def view_of(array: Shaped[np.ndarray, "c y x"], view: View) -> Shaped[np.ndarray, "c _ _"]:
    """Return what a view shows of an image, at least one pixel of it.

    >>> view_of(np.arange(6).reshape(1, 2, 3), View(mirrored=True))[0].tolist()
    [[2, 1, 0], [5, 4, 3]]
    """
    spans = []
    for length, start, extent in zip(array.shape[1:], view.window[:2], view.window[2:], strict=True):
        first = min(round(start * length), length - 1)
        spans.append(slice(first, max(round((start + extent) * length), first + 1)))
    part = array[:, spans[0], spans[1]]
    seen = np.rot90(part[:, :, ::-1] if view.mirrored else part, view.turns, axes=(1, 2))
    return seen if view.is_whole else seen.copy()  # torch takes no array that is read backwards, not even of one pixel


def view_from_json(value: Mapping[str, Any]) -> View:
    """Return the view that ``dataclasses.asdict`` and JSON made plain."""
    top, left, height, width = value["window"]
    return View(window=(top, left, height, width), mirrored=value["mirrored"], turns=value["turns"])
