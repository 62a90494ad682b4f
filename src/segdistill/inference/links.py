"""Which objects of neighbouring blocks are the same."""

from typing import cast

import numpy as np
from jaxtyping import Bool, Int64, Integer, UInt32

from segdistill.evaluation.pairs import count_pairs


class Links:
    """Numbers for the objects of all blocks, and which of these numbers mean one object.

    Note [Objects across blocks]: a seed is a piece of the image above a threshold, so every block that sees a
    pixel of it agrees that this pixel is a seed. Two objects of neighbouring blocks that share a seed pixel are
    the same, however large they are and however their blocks cut them: the objects are exactly as many as seeds
    in the uncut image. An object without a seed in sight (all boundary, or the thin end of something whose seed
    lies farther away than the margin) is taken for the neighbour's object with which it shares most pixels, but
    never joins two objects that have seeds of their own.

    >>> links = Links()
    >>> left = links.number(np.array([[0, 1, 1, 1]]), np.array([[False, False, True, True]]))
    >>> right = links.number(np.array([[1, 1, 0, 2]]), np.array([[True, True, False, True]]))
    >>> links.add(left[:, 2:], right[:, :2], np.array([[True, True]]))
    >>> links.resolved().tolist()
    [0, 1, 1, 2]
    """

    def __init__(self) -> None:
        self._given = 0
        self._lonely = [np.zeros(0, np.int64)]
        self._same: list[np.ndarray] = [np.zeros((0, 2), np.int64)]
        self._perhaps: list[tuple[int, int]] = []

    def number(self, mask: Integer[np.ndarray, "y x"], seeds: Bool[np.ndarray, "y x"]) -> UInt32[np.ndarray, "y x"]:
        """Return a block's objects under numbers that no other block has.

        Args:
            mask: Objects, numbered from 1 without gaps.
            seeds: The pixels that they were grown from.
        """
        seeded = np.zeros(int(mask.max(initial=0)) + 1, bool)
        seeded[mask[seeds]] = True
        numbered = np.where(mask > 0, mask + self._given, 0).astype(np.uint32)
        self._lonely.append(np.flatnonzero(~seeded[1:]) + self._given + 1)
        self._given += len(seeded) - 1
        return numbered

    def add(
        self, one: UInt32[np.ndarray, "y x"], other: UInt32[np.ndarray, "y x"], seeds: Bool[np.ndarray, "y x"]
    ) -> None:
        """Link the objects of two blocks by what both have seen.

        Args:
            one: Numbers that one block gave to these pixels.
            other: Numbers that the other gave them.
            seeds: Which of them are seeds.
        """
        shared = count_pairs(one, other, seeds)
        self._same.append(np.stack([shared.prediction, shared.label], axis=1))
        table = count_pairs(one, other)
        met = (table.prediction > 0) & (table.label > 0)
        lonely = np.concatenate(self._lonely)
        for mine, theirs in ((table.prediction, table.label), (table.label, table.prediction)):
            places = np.flatnonzero(met & _among(mine, lonely))
            places = places[np.argsort(table.pixels[places], kind="stable")]
            best = dict(zip(mine[places].tolist(), theirs[places].tolist(), strict=True))  # the last one stays
            self._perhaps += sorted(best.items())

    def resolved(self) -> Int64[np.ndarray, " n"]:
        """Return for every number which object it means; objects count from 1 in the order of their first numbers."""
        from scipy import sparse  # here, so that a small image does not wait for it

        seeded = np.ones(self._given + 1, bool)
        seeded[np.concatenate([[0], *self._lonely])] = False
        same = np.concatenate(self._same)
        graph = sparse.coo_array((np.ones(len(same), bool), (same[:, 0], same[:, 1])), shape=(len(seeded),) * 2)
        count, piece = cast(tuple[int, np.ndarray], sparse.csgraph.connected_components(graph, directed=False))
        joined = _join(self._perhaps, piece, np.bincount(piece, weights=seeded, minlength=count) > 0)
        _, first, whole = np.unique(joined[piece], return_index=True, return_inverse=True)
        return np.argsort(np.argsort(first))[whole].astype(np.int64)


def _among(numbers: np.ndarray, rising: np.ndarray) -> np.ndarray:
    """Return which of the numbers are among rising ones."""
    place = np.searchsorted(rising, numbers)
    return np.append(rising, -1)[place] == numbers


def _join(perhaps: list[tuple[int, int]], piece: np.ndarray, seeded: np.ndarray) -> np.ndarray:
    """Return for every piece which one it belongs to, after joining those without a seed to one that has."""
    root, has_seed = list(range(len(seeded))), seeded.tolist()

    def find(number: int) -> int:
        while root[number] != number:
            root[number] = root[root[number]]
            number = root[number]
        return number

    for one, other in perhaps:
        first, second = find(int(piece[one])), find(int(piece[other]))
        if first != second and not (has_seed[first] and has_seed[second]):
            root[second] = first
            has_seed[first] |= has_seed[second]
    return np.array([find(number) for number in range(len(root))])
