"""Token grids on another grid."""

import numpy as np
from jaxtyping import Float, Float32


def resample_tokens(tokens: Float[np.ndarray, "y x d"], shape: tuple[int, int]) -> Float32[np.ndarray, "_ _ d"]:
    """Return a feature grid on another grid of the same image, bilinearly.

    A teacher's own grid is stored; a student of another stride asks for its own when it loads.

    Args:
        tokens: Features, one vector per cell.
        shape: Wanted cells (y, x). Cells are compared by their middles; beyond the outermost
            middles the outermost value holds.

    >>> resample_tokens(np.array([[[0.0], [1.0]]]), (1, 4))[0, :, 0].tolist()
    [0.0, 0.25, 0.75, 1.0]
    """
    rows, columns = (_weights(old, new) for old, new in zip(tokens.shape[:2], shape, strict=True))
    return np.einsum("ay,bx,yxd->abd", rows, columns, tokens.astype(np.float32), optimize=True).astype(np.float32)


def _weights(old: int, new: int) -> Float32[np.ndarray, "new old"]:
    """Return the matrix of linear interpolation between the middles of old and new cells."""
    place = ((np.arange(new) + 0.5) * old / new - 0.5).clip(0, old - 1)
    lower = np.minimum(place.astype(int), max(old - 2, 0))
    share = place - lower
    weights = np.zeros((new, old), np.float32)
    weights[np.arange(new), lower] = 1 - share
    weights[np.arange(new), np.minimum(lower + 1, old - 1)] += share
    return weights
