"""How far two clouds of features lie apart: the Fréchet distance between normal distributions fitted to them."""

import numpy as np
from jaxtyping import Float, Float64

from segdistill.errors import DataError


def frechet_distance(first: Float[np.ndarray, "n d"], second: Float[np.ndarray, "m _"]) -> float:
    """Return the square of the Fréchet distance between normal distributions fitted to two sets of features.

    Few features flatten the fitted distributions, so that the distance of two small parts of one set is far from 0:
    compare only distances of equally many.

    Args:
        first: One row per image.
        second: The same features of other images.

    Returns:
        In the square of the features' unit, ≥ 0; 0 for equal means and covariances.

    Raises:
        DataError: There are fewer than two images on a side, or their features are not the same or not finite.

    Source:
        Dowson, Landau 1982, doi:10.1016/0047-259X(82)90077-X; as a measure of drawn images: Heusel et al. 2017,
        arXiv:1706.08500, equation 6.

    >>> points = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
    >>> frechet_distance(points, points + [3.0, 0.0])
    9.0
    """
    if first.shape[1] != second.shape[1] or min(len(first), len(second)) < 2:
        raise DataError(
            f"There is no distance between features of shapes {first.shape} and {second.shape}: both need as many"
            " columns, and two rows or more."
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise DataError("There is no distance between features that are not finite. Look at the encoder's images.")
    means, roots = zip(*(_fitted(each.astype(np.float64)) for each in (first, second)), strict=True)
    # The trace of the root of a product of covariances is the sum of the singular values of the product of their roots.
    overlap = np.linalg.norm(roots[0] @ roots[1].T, ord="nuc") if first.shape[1] else 0.0
    apart = float(((means[0] - means[1]) ** 2).sum())
    return max(apart + float((roots[0] ** 2).sum() + (roots[1] ** 2).sum() - 2 * overlap), 0.0)


def _fitted(features: Float64[np.ndarray, "n d"]) -> tuple[Float64[np.ndarray, " d"], Float64[np.ndarray, "n d"]]:
    """Return the mean, and deviations scaled so that their product with themselves is the covariance."""
    mean = features.mean(axis=0)
    return mean, (features - mean) / np.sqrt(len(features) - 1)


def leading_axes(features: Float[np.ndarray, "n d"], count: int) -> Float64[np.ndarray, "d k"]:
    """Return the directions in which features vary most, as columns, at most ``count`` of them.

    With fewer images than features a covariance cannot be fitted in all directions; in these it can.

    >>> np.abs(leading_axes(np.array([[0.0, 1.0], [0.0, 5.0], [0.0, 3.0]]), 1)).round(6).T.tolist()
    [[0.0, 1.0]]
    """
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return axes[:count].T
