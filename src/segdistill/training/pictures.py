"""What agglomeration keeps of a field: the student's view of every recorded view, and nothing else of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from segdistill.errors import ConfigError
from segdistill.targets import Key, View
from segdistill.targets.view import view_of
from segdistill.training.square import fitted, in_square, resampled


@dataclass(frozen=True, eq=False)
class Picture:
    """One view of a field, as the student sees it."""

    name: str
    """Of the case."""

    key: Key
    """By which what teachers said of this very view is found."""

    pixels: Float32[np.ndarray, "c side side"]
    """The view in the top left corner, its last row and column repeated beyond it."""

    cells: tuple[int, int]
    """How many of the student's tokens (y, x) lie on the view."""


def make_pictures(
    name: str,
    image: Float[np.ndarray, "c y x"],
    key: str,
    *,
    views: Sequence[View],
    side: int,
    stride: int,
) -> list[Picture]:
    """Return every view of a field as the student sees it, its longer side ``side``; see ``square.fitted``.

    Args:
        name: Of the case.
        image: The student's channels, 0…1.
        key: The image's, from ``image_key``.
        views: Those that the teachers were shown, in order.
        side: Of the square that the student sees, pixels.
        stride: Pixels per token of the student.

    Raises:
        ConfigError: The side is no multiple of the stride.

    >>> made = make_pictures("a", np.zeros((1, 40, 80)), "k", views=[View(), View(turns=1)], side=64, stride=32)
    >>> [(picture.key.view, picture.cells) for picture in made]
    [(0, (1, 2)), (1, (2, 1))]
    """
    if side % stride:
        raise ConfigError(
            f"The student would see {side} pixels, which is no multiple of its stride of {stride}."
            f" Choose a size such as {max(round(side / stride), 1) * stride}."
        )
    found = []
    for number, view in enumerate(views):
        seen = view_of(image, view)
        shape = fitted((seen.shape[1], seen.shape[2]), side=side, stride=stride)
        pixels = in_square(resampled(seen, shape), side, "edge")
        found.append(Picture(name, Key(key, number), pixels, (shape[0] // stride, shape[1] // stride)))
    return found
