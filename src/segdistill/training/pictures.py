"""What agglomeration keeps of a field: the student's view of every recorded view, and nothing else of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32

from segdistill.errors import ConfigError
from segdistill.targets import Key, View
from segdistill.targets.view import view_of
from segdistill.teachers.hf import scaled_shape


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
    """Return every view of a field as the student sees it.

    A view's longer side becomes ``side``, and the other keeps the ratio to half a token; so tokens of
    student and teacher cover the same ground however the teacher's own grid lies.

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
        seen = np.ascontiguousarray(view_of(image, view), dtype=np.float32)
        shape = scaled_shape(seen.shape[1:], side=side, stride=stride, placing="free")
        scaled = F.interpolate(torch.from_numpy(seen)[None], shape, mode="bilinear", antialias=True)[0]
        pixels = np.pad(scaled.numpy(), ((0, 0), (0, side - shape[0]), (0, side - shape[1])), mode="edge")
        found.append(Picture(name, Key(key, number), pixels, (shape[0] // stride, shape[1] // stride)))
    return found
