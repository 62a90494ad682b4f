"""Counting how many pixels every pair of ids shares, without a matrix of all pairs."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, Integer, UInt64

BLOCK = 2**22
"""Pixels looked at together: bounds the memory beside the images to some 100 MB."""


@dataclass(frozen=True, eq=False)
class PairTable:
    """Pairs of ids that occur at one pixel, each once, 0 (no object) included."""

    prediction: Int64[np.ndarray, "n"]
    """Id in the prediction."""

    label: Int64[np.ndarray, "n"]
    """Id in the label at the same pixels."""

    pixels: Int64[np.ndarray, "n"]
    """How many pixels have this pair."""


def count_pairs(
    prediction: Integer[np.ndarray, "y x"], label: Integer[np.ndarray, "y x"], counts: np.ndarray | None = None
) -> PairTable:
    """Return how many pixels have each pair of ids.

    Runs of equal pairs are counted as one before anything is sorted, so time goes with the number
    of pixels and memory with the number of pairs that meet.

    Args:
        prediction: Ids, 0 to 2³² − 1.
        label: Ids of the same shape.
        counts: True where a pixel counts. None: everywhere.

    >>> table = count_pairs(np.array([[0, 1, 1]]), np.array([[2, 2, 2]]))
    >>> table.prediction.tolist(), table.label.tolist(), table.pixels.tolist()
    ([0, 1], [2, 2], [1, 2])
    """
    rows = max(1, BLOCK // max(1, prediction.shape[1]))
    keys, pixels = [], []
    for start in range(0, prediction.shape[0], rows):
        block = slice(start, start + rows)
        where = ... if counts is None else counts[block]
        found, length = _merge(*_runs(_keys(prediction[block][where].ravel(), label[block][where].ravel())))
        keys.append(found)
        pixels.append(length)
    key, pixel = _merge(np.concatenate(keys or [_NO_KEYS]), np.concatenate(pixels or [_NO_PIXELS]))
    return PairTable((key >> _HALF).astype(np.int64), (key & _LOW).astype(np.int64), pixel)


_HALF, _LOW = np.uint64(32), np.uint64(2**32 - 1)
_NO_KEYS, _NO_PIXELS = np.zeros(0, np.uint64), np.zeros(0, np.int64)


def _keys(prediction: Integer[np.ndarray, "n"], label: Integer[np.ndarray, "n"]) -> UInt64[np.ndarray, "n"]:
    return (prediction.astype(np.uint64) << _HALF) | label.astype(np.uint64)


def _runs(keys: UInt64[np.ndarray, "n"]) -> tuple[UInt64[np.ndarray, "m"], Int64[np.ndarray, "m"]]:
    """Return each run of equal keys once, and its length."""
    if not keys.size:
        return _NO_KEYS, _NO_PIXELS
    starts = np.concatenate([[0], np.flatnonzero(keys[1:] != keys[:-1]) + 1])
    return keys[starts], np.diff(starts, append=keys.size).astype(np.int64)


def _merge(
    keys: UInt64[np.ndarray, "n"], lengths: Int64[np.ndarray, "n"]
) -> tuple[UInt64[np.ndarray, "m"], Int64[np.ndarray, "m"]]:
    """Return each key once, in order, and the sum of its lengths."""
    order = np.argsort(keys, kind="stable")
    keys, lengths = keys[order], lengths[order]
    if not keys.size:
        return keys, lengths
    starts = np.concatenate([[0], np.flatnonzero(keys[1:] != keys[:-1]) + 1])
    return keys[starts], np.add.reduceat(lengths, starts)
