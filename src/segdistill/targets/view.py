"""A recorded view of an image: what part of it, mirrored or not, turned how far."""

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
    return np.rot90(part[:, :, ::-1] if view.mirrored else part, view.turns, axes=(1, 2))


def view_from_json(value: Mapping[str, Any]) -> View:
    """Return the view that ``dataclasses.asdict`` and JSON made plain."""
    top, left, height, width = value["window"]
    return View(window=(top, left, height, width), mirrored=value["mirrored"], turns=value["turns"])
