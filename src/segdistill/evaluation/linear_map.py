"""The best linear map from one set of features to another: how much of the second the first holds."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from segdistill.errors import DataError

_RIDGES = 10.0 ** np.arange(-6, 3)
"""Penalties that are tried, as multiples of the mean variance of the given features."""


@dataclass(frozen=True, eq=False)
class LinearMap:
    """Predicts features from others: a matrix and a constant."""

    matrix: Float64[np.ndarray, "d e"]
    """From the given features to the wanted ones, both less their means."""

    given: Float64[np.ndarray, " d"]
    """Mean of the given features."""

    wanted: Float64[np.ndarray, " e"]
    """Mean of the wanted ones."""

    def __call__(self, features: Float[np.ndarray, "*n d"]) -> Float64[np.ndarray, "*n e"]:
        """Return the prediction."""
        return (features - self.given) @ self.matrix + self.wanted


def fit_linear_map(pairs: Iterable[tuple[Float[np.ndarray, "... d"], Float[np.ndarray, "... e"]]]) -> LinearMap:
    """Return the map with the least squared error on new features, as far as those given can tell.

    A penalty on the matrix, chosen by generalised cross-validation, keeps it from fitting noise where
    features are many and tokens few. One pass; what is kept grows with the widths, never with the
    number of tokens.

    Args:
        pairs: Given and wanted features of the same tokens, in parts.

    Raises:
        DataError: There are fewer than two tokens.

    Source:
        Golub, Heath, Wahba 1979, Technometrics 21(2), for the choice of the penalty.

    >>> given = np.random.default_rng(0).normal(size=(50, 2))
    >>> fit_linear_map([(given, given @ np.array([[2.0], [-1.0]]) + 5)])(np.array([[1.0, 1.0]])).round(3).tolist()
    [[6.0]]
    """
    sums = _gather(pairs)
    if sums is None or sums.count < 2:
        raise DataError("A linear map is fitted on two tokens or more, but there are fewer. Give more images.")
    means = sums.given / sums.count, sums.wanted / sums.count
    squares = sums.squares - sums.count * np.outer(means[0], means[0])
    products = sums.products - sums.count * np.outer(means[0], means[1])
    total = float(sums.total - sums.count * (means[1] ** 2).sum())
    values, vectors = np.linalg.eigh(squares)
    values = values.clip(min=0)
    turned = vectors.T @ products
    ridges = _RIDGES * (float(values.mean()) or 1.0)  # features that never vary say nothing with any penalty
    ridge = min(ridges, key=lambda each: _expected_error(each, values, turned, total, sums.count))
    matrix = vectors @ (turned / (values + ridge)[:, None])
    return LinearMap(matrix, *means)


@dataclass
class _Sums:
    count: int
    given: np.ndarray
    wanted: np.ndarray
    squares: np.ndarray
    products: np.ndarray
    total: float


def _gather(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> _Sums | None:
    sums: _Sums | None = None
    for one, other in pairs:
        given, wanted = (each.reshape(-1, each.shape[-1]).astype(np.float64) for each in (one, other))
        if sums is None:
            d, e = given.shape[1], wanted.shape[1]
            sums = _Sums(0, np.zeros(d), np.zeros(e), np.zeros((d, d)), np.zeros((d, e)), 0.0)
        sums.count += len(given)
        sums.given += given.sum(0)
        sums.wanted += wanted.sum(0)
        sums.squares += given.T @ given
        sums.products += given.T @ wanted
        sums.total += float((wanted**2).sum())
    return sums


def _expected_error(
    ridge: float, values: Float64[np.ndarray, " d"], turned: Float64[np.ndarray, "d e"], total: float, count: int
) -> float:
    """Return the squared error to be expected of new tokens, up to a factor."""
    kept = values / (values + ridge)
    explained = ((turned**2).sum(1) * (values + 2 * ridge) / (values + ridge) ** 2).sum()
    left = max(total - float(explained), 0.0)
    freedom = count - 1 - float(kept.sum())
    return left / freedom**2 if freedom > 0 else np.inf
