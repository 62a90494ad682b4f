"""Pairing the objects of two images one to one so that the sum of some weight is greatest; sparse."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching


@dataclass(frozen=True, eq=False)
class _Ends:
    """On one side of some pairs: every node's greatest weight, how many pairs have it, and the next."""

    greatest: Float64[np.ndarray, "k"]
    times: Int64[np.ndarray, "k"]
    second: Float64[np.ndarray, "k"]

    @classmethod
    def of(cls, node: Int64[np.ndarray, "n"], weight: Float64[np.ndarray, "n"]) -> "_Ends":
        size = int(node.max()) + 1
        greatest, second = np.zeros(size), np.zeros(size)
        np.maximum.at(greatest, node, weight)
        top = weight == greatest[node]
        np.maximum.at(second, node[~top], weight[~top])
        return cls(greatest, np.bincount(node[top], minlength=size).astype(np.int64), second)

    def other(self, node: Int64[np.ndarray, "n"], weight: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
        """Return, for each pair, the greatest weight of another pair at its node; 0 where there is none."""
        alone = (weight == self.greatest[node]) & (self.times[node] == 1)
        return np.where(alone, self.second[node], self.greatest[node])


def assign(
    first: Int64[np.ndarray, "n"], second: Int64[np.ndarray, "n"], weight: Float64[np.ndarray, "n"]
) -> Int64[np.ndarray, "m"]:
    """Return which pairs form the one-to-one assignment of greatest total weight, as indices in rising order.

    Almost all objects meet one other and little else. A pair that weighs at least as much as the best
    other pairs of both its ends together belongs to some best assignment, since exchanging those for it
    loses nothing; such pairs are taken at once, round by round. Only what is then left, chains of
    objects that each half-cover the next, is solved as an assignment problem.

    Args:
        first: One end of each pair, from 0.
        second: The other end. No pair occurs twice.
        weight: > 0.

    Source:
        What is left: Jonker & Volgenant 1987, as SciPy's sparse implementation.

    >>> assign(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([0.6, 0.5, 0.4])).tolist()
    [1, 2]
    """
    taken = [np.zeros(0, np.int64)]
    left = np.arange(len(weight))
    while len(left):
        certain = _certain(first[left], second[left], weight[left])
        if not certain.any():
            taken.append(left[_solve(first[left], second[left], weight[left])])
            break
        taken.append(left[certain])
        free_first, free_second = _free(first, left[certain]), _free(second, left[certain])
        left = left[free_first[first[left]] & free_second[second[left]]]
    return np.sort(np.concatenate(taken))


def _certain(
    first: Int64[np.ndarray, "n"], second: Int64[np.ndarray, "n"], weight: Float64[np.ndarray, "n"]
) -> Bool[np.ndarray, "n"]:
    """Return pairs of a best assignment, no two of which share an end."""
    others = _Ends.of(first, weight).other(first, weight) + _Ends.of(second, weight).other(second, weight)
    found = np.flatnonzero(weight >= others)
    for end in (first, second):  # two certain pairs share an end only if they are equally good
        found = found[np.unique(end[found], return_index=True)[1]]
    certain = np.zeros(len(weight), np.bool_)
    certain[found] = True
    return certain


def _free(end: Int64[np.ndarray, "n"], taken: Int64[np.ndarray, "m"]) -> Bool[np.ndarray, "k"]:
    free = np.ones(int(end.max()) + 1, np.bool_)
    free[end[taken]] = False
    return free


def _solve(
    first: Int64[np.ndarray, "n"], second: Int64[np.ndarray, "n"], weight: Float64[np.ndarray, "n"]
) -> Int64[np.ndarray, "m"]:
    """Return the pairs of a best assignment; an object may stay alone, which is a pair of its own of weight 0."""
    rows, row = np.unique(first, return_inverse=True)
    columns, column = np.unique(second, return_inverse=True)
    alone = np.arange(len(rows))
    # SciPy takes an explicit 0 for no pair, so all costs are lifted above it; every row is matched, so all alike.
    cost = np.concatenate([1 + weight.max() - weight, np.full(len(rows), 1 + weight.max())])
    places = (np.concatenate([row, alone]), np.concatenate([column, len(columns) + alone]))
    matched = min_weight_full_bipartite_matching(csr_array((cost, places), shape=(len(rows), len(columns) + len(rows))))
    partner = np.empty(len(rows), np.int64)
    partner[matched[0]] = matched[1]
    return np.flatnonzero(partner[row] == column)
