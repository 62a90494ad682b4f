"""A teacher as a student learns from it: stored tokens, standardised, on the student's grid."""

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float32

from segdistill.errors import ConfigError, DataError
from segdistill.objectives.standardise import Standardisation
from segdistill.targets import Key, TargetStore, resample_tokens

_ROOM = 2**28
"""Bytes of finished tokens that are kept in memory per teacher; what does not fit is made anew each time."""


@dataclass(frozen=True, eq=False)
class StoredTeacher:
    """One teacher's stored tokens."""

    label: str
    """Short name, without dots: it stands in the log."""

    store: TargetStore
    """What it said."""

    grid: str
    """Which of its token grids."""

    standard: Standardisation
    """Made of its tokens of training images."""

    mean: Float[np.ndarray, " d"]
    """Of these tokens; what would be said of every image alike."""

    _kept: dict[tuple[Key, tuple[int, int]], np.ndarray] = field(init=False, default_factory=dict, repr=False)

    @property
    def width(self) -> int:
        """Length of a token."""
        return self.store.header.contracts[0].tokens[self.grid][1]

    def speaks_of(self, key: Key) -> bool:
        """Return whether there is a sound record of a view of an image."""
        return self.store.has(key)

    def own_tokens(self, key: Key, cells: tuple[int, int]) -> Float32[np.ndarray, "_ _ d"]:
        """Return its tokens of a view, in their own unit, on another grid.

        Args:
            key: Of an image and a view.
            cells: Wanted grid (y, x).

        Raises:
            DataError: There is no sound record, or its tokens are not those of the contract.
        """
        tokens = self.store.tokens(key, self.grid)
        if tokens.shape[-1] != self.width or not tokens.size:
            stride, width = self.store.header.contracts[0].tokens[self.grid]
            raise DataError(
                f"{self.store.folder} holds tokens of shape {tokens.shape} (y, x, width), but by the contract of"
                f" {self.store.header.contracts[0].name!r} its {self.grid} is one token of {width} numbers per {stride}"
                " pixels. Remove that store and fill it again."
            )
        return resample_tokens(tokens, cells)

    def tokens(self, key: Key, cells: tuple[int, int]) -> Float32[np.ndarray, "d _ _"]:
        """Return its standardised tokens of a view on another grid; see ``own_tokens``.

        Standardising is linear, so it is done after the grid has shrunk. Small grids are met again and
        again, so they are kept as far as there is room: making them costs part of every step, per teacher.
        """
        place = key, cells
        if place in self._kept:
            return self._kept[place]
        made = np.ascontiguousarray(np.moveaxis(self.standard(self.own_tokens(key, cells)), -1, 0))
        if (len(self._kept) + 1) * made.nbytes <= _ROOM:
            self._kept[place] = made
        return made


def check_together(teachers: Collection[StoredTeacher]) -> None:
    """Refuse teachers that cannot teach one student.

    Raises:
        ConfigError: There is none, two have one label, or they were shown other views of the images; both are named.
    """
    if not teachers:
        raise ConfigError("There is no teacher to learn from. Name one or more.")
    first, *others = teachers
    for other in others:
        if other.store.header.views != first.store.header.views:
            raise ConfigError(
                f"{first.label} was shown {len(first.store.header.views)} views of each image, and {other.label}"
                f" {len(other.store.header.views)}{' others' if _as_many(first, other) else ''}: the student sees one"
                " view at a time. Fill both stores with the same views and view-seed."
            )
    labels = [teacher.label for teacher in teachers]
    if len(set(labels)) < len(labels) or any("." in label for label in labels):
        raise ConfigError(f"Teachers need labels of their own, without dots, but they are {', '.join(labels)}.")


def _as_many(one: StoredTeacher, other: StoredTeacher) -> bool:
    return len(one.store.header.views) == len(other.store.header.views)
