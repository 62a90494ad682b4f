"""The horizontal edges of the objects of a label image: all that their outlines need.

An edge is a straight piece of an object's border, as long as it is straight, between two rows of
pixels. It ends in corners at both sides, and an object's vertical edges are the lines that join these corners in
pairs. So edges can be collected row by row from an image that is never seen whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int32, Integer, UInt32


@dataclass(frozen=True, eq=False)
class Edges:
    """Horizontal edges. Coordinates count from the image's upper left corner, pixels."""

    label: UInt32[np.ndarray, " n"]
    """Whose they are."""

    y: Int32[np.ndarray, " n"]
    """How far down."""

    left: Int32[np.ndarray, " n"]
    """x at which they begin."""

    right: Int32[np.ndarray, " n"]
    """x at which they end."""

    below: Bool[np.ndarray, " n"]
    """Whether the object lies below; else above."""

    def __len__(self) -> int:
        return len(self.label)

    def take(self, places: Bool[np.ndarray, " n"] | Integer[np.ndarray, " m"]) -> "Edges":
        """Return some of the edges, or all of them in another order."""
        return Edges(*(each[places] for each in self._columns()))

    def _columns(self) -> tuple[np.ndarray, ...]:
        return self.label, self.y, self.left, self.right, self.below

    @classmethod
    def joined(cls, several: Sequence["Edges"]) -> "Edges":
        """Return all edges of several sets."""
        return cls(*(np.concatenate(columns) for columns in zip(*(each._columns() for each in several), strict=True)))

    @classmethod
    def none(cls) -> "Edges":
        """Return no edges."""
        empty = np.zeros(0, np.int32)
        return cls(empty.astype(np.uint32), empty, empty, empty, empty.astype(bool))


def edges_between(upper: UInt32[np.ndarray, "rows x"], lower: UInt32[np.ndarray, "rows x"], top: int) -> Edges:
    """Return the edges between rows of pixels and the rows that follow them.

    Args:
        upper: Labels of the rows above the lines; 0 is background.
        lower: Labels of the rows below them.
        top: y of the first line.

    >>> found = edges_between(np.uint32([[0, 0, 0, 0]]), np.uint32([[7, 7, 0, 8]]), top=2)
    >>> found.label.tolist(), found.y.tolist(), found.left.tolist(), found.right.tolist(), found.below.tolist()
    ([7, 8], [2, 2], [0, 3], [2, 4], [True, True])
    """
    different = upper != lower
    return Edges.joined(
        [
            _runs(different & (lower > 0), lower, top, below=True),
            _runs(different & (upper > 0), upper, top, below=False),
        ]
    )


def _runs(edge: Bool[np.ndarray, "rows x"], labels: UInt32[np.ndarray, "rows x"], top: int, *, below: bool) -> Edges:
    """Return the runs of edge pixels of one label."""
    starts, ends = edge.copy(), edge.copy()
    goes_on = edge[:, 1:] & edge[:, :-1] & (labels[:, 1:] == labels[:, :-1])
    starts[:, 1:] &= ~goes_on
    ends[:, :-1] &= ~goes_on
    rows, left = np.nonzero(starts)  # starts and ends come in pairs, as runs of a row do not overlap
    right = np.nonzero(ends)[1]
    return Edges(
        label=labels[rows, left],
        y=(rows + top).astype(np.int32),
        left=left.astype(np.int32),
        right=(right + 1).astype(np.int32),
        below=np.full(len(rows), below),
    )
