"""Outlines of the objects of a label image of any size, which is read from top to bottom."""

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
from jaxtyping import Int64, Integer, UInt32

from segdistill.data.bands import strips_of
from segdistill.data.edges import Edges, edges_between
from segdistill.data.rings import Area, areas_of

_AT_ONCE = 2**21
"""About so many pixels are looked at together."""


def trace(
    bands: Iterable[Integer[np.ndarray, "_ x"]],
    labels: Integer[np.ndarray, " n"],
    bottoms: Integer[np.ndarray, " n"],
) -> Iterator[Area]:
    """Yield the outlines of all objects, each when the image has been read as far down as it reaches.

    What is held is the outlines of the objects that have begun and not yet ended. Filling an outline by the rule
    that a pixel belongs to it if its centre does gives the object's pixels, all of them and no other.

    Args:
        bands: The label image from top to bottom, in parts as wide as it is. 0 is background.
        labels: All numbers in it but 0, rising.
        bottoms: The row below each object's last one, as ``Measurements`` has it.

    >>> image = np.array([[5, 5, 0], [0, 5, 3]])
    >>> [(area.label, len(area.parts[0][0])) for area in trace([image], np.array([3, 5]), np.array([2, 2]))]
    [(3, 4), (5, 6)]
    """
    last = _Last(labels, bottoms)
    waiting: list[Edges] = []
    for top, upper, lower in _pairs_of_rows(bands):
        waiting.append(edges_between(upper, lower, top))
        done, waiting = last.divided(waiting, top + len(lower))
        yield from areas_of(done)


def _pairs_of_rows(
    bands: Iterable[Integer[np.ndarray, "_ x"]],
) -> Iterator[tuple[int, UInt32[np.ndarray, "rows x"], UInt32[np.ndarray, "rows x"]]]:
    """Yield the rows above and below the lines between rows, in order, and y of the first of these lines."""
    strips = (strip for band in bands for strip in strips_of([band], max(1, _AT_ONCE // band.shape[1])))
    top, above, strip = 0, None, None
    for following in chain(strips, [None]):
        if strip is not None:
            nothing = np.zeros((1, strip.shape[1]), np.uint32)
            # The line below the last row is looked at with it: so small images are one piece.
            lower = np.concatenate([strip, nothing] if following is None else [strip]).astype(np.uint32, copy=False)
            yield top, np.concatenate([nothing if above is None else above, lower[:-1]]), lower
            top, above = top + len(lower), lower[-1:]
        strip = following


class _Last:
    """Knows how far down objects reach."""

    def __init__(self, labels: Integer[np.ndarray, " n"], bottoms: Integer[np.ndarray, " n"]) -> None:
        self._labels = labels.astype(np.int64)
        self._bottoms = bottoms.astype(np.int64)

    def divided(self, waiting: list[Edges], seen: int) -> tuple[Edges, list[Edges]]:
        """Return the edges of objects of which all is known once so many lines were seen, and those of others."""
        done, left = [], []
        for edges in waiting:
            complete = self._of(edges) < seen
            if not complete.any():  # most often, where an object is large: its edges are not copied again and again
                left.append(edges)
                continue
            done.append(edges.take(complete))
            if not complete.all():
                left.append(edges.take(~complete))
        return (Edges.joined(done) if done else Edges.none()), left

    def _of(self, edges: Edges) -> Int64[np.ndarray, " n"]:
        return self._bottoms[np.searchsorted(self._labels, edges.label)]
