"""Closed lines around objects, from their horizontal edges.

Note [Corners that touch]: where two pixels of an object touch by a corner only, four of its edges meet. They are
joined so that the line stays with its pixel, and a line that still comes to one corner twice is cut in two there.
So no ring touches itself, as GeoJSON, and the libraries that read it, want it; areas and holes may touch in single
corners, which is allowed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int32, Int64

from segdistill.data.edges import Edges

Ring = Int32[np.ndarray, "_ 2"]
"""Corners (x, y); the last is joined to the first. No two neighbours are equal, no three on a line."""


@dataclass(frozen=True, eq=False)
class Area:
    """An object as its outlines, whose corners are corners of pixels."""

    label: int
    """Its number in the label image."""

    parts: tuple[tuple[Ring, ...], ...]
    """Pieces that no side of a pixel connects: the ring around each, then those around its holes, walked backwards."""


def areas_of(edges: Edges) -> Iterator[Area]:
    """Yield objects, by rising label.

    Args:
        edges: All edges of these objects.

    >>> from segdistill.data.edges import edges_between
    >>> square = np.uint32([[0, 0], [4, 4], [0, 0]])
    >>> [(area.label, area.parts[0][0].tolist()) for area in areas_of(edges_between(square[:-1], square[1:], 0))]
    [(4, [[0, 0], [2, 0], [2, 1], [0, 1]])]
    """
    edges = edges.take(np.lexsort((edges.left, edges.y, edges.label)))
    # Upper edges are walked to the right and lower ones to the left: so each edge has a first and a last corner.
    first = np.where(edges.below, edges.left, edges.right)
    last = np.where(edges.below, edges.right, edges.left)
    following, touching = _joined(edges, first, last)
    corners = np.stack([first, edges.y, last, edges.y], axis=1).astype(np.int32)
    rings: list[Ring] = []
    label = -1
    for ring in _cycles(following.tolist()):
        if edges.label[ring[0]] != label:
            if rings:
                yield Area(label, _parts(rings))
            label, rings = int(edges.label[ring[0]]), []
        line = corners[ring].reshape(-1, 2)
        rings += _cut(line) if touching[ring].any() else [line]
    if rings:
        yield Area(label, _parts(rings))


def _joined(
    edges: Edges, first: Int32[np.ndarray, " n"], last: Int32[np.ndarray, " n"]
) -> tuple[Int64[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Return which edge follows each, and which end at a corner that their object has twice."""
    label, y = (np.concatenate([each, each]) for each in (edges.label, edges.y))
    x = np.concatenate([first, last])
    # Where an object has two corners in one place, the edge below its pixels belongs to the vertical edge above.
    order = np.lexsort((np.concatenate([edges.below, edges.below]), y, x, label))
    one, other = order[0::2], order[1::2]
    count = len(edges)
    following = np.empty(count, np.int64)
    following[np.where(one < count, other, one) - count] = np.where(one < count, one, other)
    twice = (label[one[1:]] == label[other[:-1]]) & (x[one[1:]] == x[other[:-1]]) & (y[one[1:]] == y[other[:-1]])
    touching = np.zeros(count, bool)
    touching[one[1:][twice] % count] = True
    touching[other[:-1][twice] % count] = True
    return following, touching


def _cycles(following: Sequence[int]) -> Iterator[list[int]]:
    """Yield the cycles of a permutation, each from its smallest number on, in order of these."""
    open_ = bytearray(b"\1") * len(following)
    for number in range(len(following)):
        if open_[number]:
            cycle = []
            each = number
            while open_[each]:
                open_[each] = 0
                cycle.append(each)
                each = following[each]
            yield cycle


def _cut(line: Ring) -> Iterator[Ring]:
    """Yield the rings of a closed line that comes to some corners more than once."""
    walked: list[tuple[int, int]] = []
    place: dict[tuple[int, int], int] = {}
    for x, y in line.tolist():
        if (x, y) in place:
            loop = walked[place[x, y] :]
            yield np.array(loop, np.int32)
            del walked[place[x, y] :]
            for corner in loop:
                del place[corner]
        place[x, y] = len(walked)
        walked.append((x, y))
    yield np.array(walked, np.int32)


def _parts(rings: Sequence[Ring]) -> tuple[tuple[Ring, ...], ...]:
    """Return the rings around pieces, each with those around its holes."""
    if len(rings) == 1:
        return ((rings[0],),)
    outer = [_goes_right(ring) for ring in rings]
    if sum(outer) == 1:
        place = outer.index(True)
        return ((rings[place], *rings[:place], *rings[place + 1 :]),)
    if all(outer):
        return tuple((ring,) for ring in rings)
    around = _pieces(rings, outer)
    parts = {number: [ring] for number, ring in enumerate(rings) if outer[number]}
    for number, owner in around.items():
        parts[owner].append(rings[number])
    return tuple(tuple(part) for part in parts.values())


def _goes_right(ring: Ring) -> bool:
    """Return whether the object is inside a ring: it walks the highest of its edges to the right."""
    top = int(ring[:, 1].argmin())
    before, after = ring[top - 1], ring[(top + 1) % len(ring)]
    return bool(after[0] > ring[top, 0] if after[1] == ring[top, 1] else before[0] < ring[top, 0])


def _pieces(rings: Sequence[Ring], outer: Sequence[bool]) -> Mapping[int, int]:
    """Return for each hole which ring surrounds its piece.

    Right above the highest edge of a hole is its piece; going up in it one comes to an edge of the same piece, around
    it or around another of its holes. So columns of pixels remember, from top to bottom, which ring
    they came to last.
    """
    number, left, right, y = _horizontal(rings)
    low = int(left.min(initial=0))
    columns = np.zeros(int(right.max(initial=0)) - low, np.int64)
    owner = {each: each for each, is_outer in enumerate(outer) if is_outer}
    to_right = left < right
    order = np.lexsort((to_right, y))  # at one height lower edges, which ask, before upper ones, which answer
    begin, end = (np.minimum(left, right) - low)[order].tolist(), (np.maximum(left, right) - low)[order].tolist()
    for ring, is_upper, start, stop in zip(number[order].tolist(), to_right[order].tolist(), begin, end, strict=True):
        if is_upper:
            columns[start:stop] = owner[ring]
        elif ring not in owner:
            owner[ring] = int(columns[start])
    return {ring: piece for ring, piece in owner.items() if not outer[ring]}


def _horizontal(rings: Sequence[Ring]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the ring, first x, last x and y of all horizontal edges."""
    lengths = [len(ring) for ring in rings]
    number = np.repeat(np.arange(len(rings)), lengths)
    start = np.concatenate(list(rings))
    stop = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    flat = start[:, 1] == stop[:, 1]
    return number[flat], start[flat, 0], stop[flat, 0], start[flat, 1]
