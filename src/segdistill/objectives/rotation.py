"""Rotations that give every channel the same variance; arrays only, no torch.

A Hadamard matrix does so whatever the variances, but exists for few widths. The theorem of Schur and
Horn says that some rotation does so for any width and given variances, and its proof builds it.
"""

from bisect import insort
from functools import cache
from math import isqrt

import numpy as np
from jaxtyping import Float64, Int64


def levelling_rotation(variances: Float64[np.ndarray, " d"]) -> Float64[np.ndarray, "d d"]:
    """Return an orthogonal Q for which every diagonal element of Q·diag(variances)·Qᵀ is their mean.

    Args:
        variances: Of independent channels, squared features. Any, zeros too.

    Returns:
        A Hadamard matrix divided by the root of its order where ``hadamard`` has one (each new channel
        is then an equal mixture of all old ones), otherwise that of ``schur_horn_rotation``.

    >>> levelled = levelling_rotation(np.array([9.0, 0.0, 0.0]))
    >>> np.diag(levelled @ np.diag([9.0, 0.0, 0.0]) @ levelled.T).round(12).tolist()
    [3.0, 3.0, 3.0]
    """
    order = len(variances)
    matrix = hadamard(order)
    return schur_horn_rotation(variances) if matrix is None else matrix / np.sqrt(order)


def schur_horn_rotation(variances: Float64[np.ndarray, " d"]) -> Float64[np.ndarray, "d d"]:
    """Return such a rotation for any width, by one plane rotation per channel but the last.

    Each turns the largest and the smallest variance left into the mean and what remains; the first of
    these is done, the second goes on. Directions that are not done stay uncorrelated, so the
    rotations never disturb each other.

    Args:
        variances: Of independent channels, squared features.

    Source:
        Horn 1954, American Journal of Mathematics 76(3); the steps as in Chan, Li 1983, SIAM Journal
        on Algebraic and Discrete Methods 4(4).
    """
    rotation = np.eye(len(variances))
    mean = float(np.mean(variances)) if len(variances) else 0.0
    left = sorted((float(value), place) for place, value in enumerate(variances))
    while len(left) > 1 and left[0][0] < mean < left[-1][0]:
        (low, lower), (high, upper) = left.pop(0), left.pop()
        sine, cosine = np.sqrt((mean - low) / (high - low)), np.sqrt((high - mean) / (high - low))
        turn = np.array([[cosine, sine], [-sine, cosine]])
        rotation[[lower, upper]] = turn @ rotation[[lower, upper]]
        insort(left, (low + high - mean, upper))
    return rotation


def hadamard(order: int) -> Int64[np.ndarray, "d d"] | None:
    """Return a matrix of +1 and −1 whose rows are orthogonal, or None where no construction here has one.

    Args:
        order: Number of rows, ≥ 1. Beyond 2 only multiples of 4 can have one.

    Returns:
        Sylvester's doubling, both of Paley's constructions over prime fields, and products of these:
        among others 384 = 12 · 32, 768 = 12 · 64, 1024 and 1280 = 20 · 64.

    Source:
        Sylvester 1867, Philosophical Magazine 34; Paley 1933, Journal of Mathematics and Physics 12.

    >>> [order for order in range(1, 41) if hadamard(order) is not None]
    [1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40]
    """
    if not _has_hadamard(order):
        return None
    if order <= 2:
        return np.array([[1, 1], [1, -1]])[:order, :order]
    if _is_prime(order - 1):  # 3 modulo 4, as the order is a multiple of 4
        return _paley_one(order - 1)
    if _is_prime(order // 2 - 1) and (order // 2 - 1) % 4 == 1:
        return _paley_two(order // 2 - 1)
    divisor = next(each for each in range(order // 2, 1, -1) if _splits(order, each))
    one, other = hadamard(divisor), hadamard(order // divisor)
    assert one is not None and other is not None  # noqa: S101, PT018 - _splits says so; this tells the type checker
    return np.kron(one, other)


@cache
def _has_hadamard(order: int) -> bool:
    if order < 1 or (order > 2 and order % 4):
        return False
    half = order // 2 - 1
    if order <= 2 or _is_prime(order - 1) or (half % 4 == 1 and _is_prime(half)):
        return True
    return any(_splits(order, divisor) for divisor in range(2, order // 2 + 1))


def _splits(order: int, divisor: int) -> bool:
    return order % divisor == 0 and _has_hadamard(divisor) and _has_hadamard(order // divisor)


def _paley_one(prime: int) -> Int64[np.ndarray, "d d"]:
    """Return the matrix of order ``prime + 1``, for a prime that is 3 modulo 4."""
    skew = np.zeros((prime + 1, prime + 1), np.int64)
    skew[0, 1:], skew[1:, 0] = 1, -1
    skew[1:, 1:] = _quadratic_residues(prime)
    return skew + np.eye(prime + 1, dtype=np.int64)


def _paley_two(prime: int) -> Int64[np.ndarray, "d d"]:
    """Return the matrix of order ``2 · (prime + 1)``, for a prime that is 1 modulo 4."""
    conference = np.zeros((prime + 1, prime + 1), np.int64)
    conference[0, 1:] = conference[1:, 0] = 1
    conference[1:, 1:] = _quadratic_residues(prime)
    return np.kron(conference, np.array([[1, 1], [1, -1]])) + np.kron(
        np.eye(prime + 1, dtype=np.int64), np.array([[1, -1], [-1, -1]])
    )


def _quadratic_residues(prime: int) -> Int64[np.ndarray, "q q"]:
    """Return 1 where row − column is a square modulo the prime, −1 where it is none, and 0 on the diagonal."""
    character = np.full(prime, -1, np.int64)
    character[np.arange(1, prime) ** 2 % prime] = 1
    character[0] = 0
    places = np.arange(prime)
    return character[(places[:, None] - places) % prime]


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, isqrt(number) + 1))
