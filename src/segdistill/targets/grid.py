"""Token grids on another grid."""

import numpy as np
from jaxtyping import Float, Float32

from segdistill.networks.grid import interpolation_weights


def resample_tokens(tokens: Float[np.ndarray, "y x d"], shape: tuple[int, int]) -> Float32[np.ndarray, "_ _ d"]:
    """Return a feature grid on another grid of the same image, linearly along both axes.

    A teacher's own grid is stored; a student of another stride asks for its own when it loads. Where a
    grid shrinks, the interpolation is widened to the new cells, so that every stored token counts: see
    Note [Shrinking a token grid] in ``segdistill.networks.grid``.

    Args:
        tokens: Features, one vector per cell.
        shape: Wanted cells (y, x), ≥ 1; see ``interpolation_weights``.

    Raises:
        ShapeError: A side of the wanted grid is below 1.

    >>> resample_tokens(np.array([[[0.0], [1.0]]]), (1, 4))[0, :, 0].tolist()
    [0.0, 0.25, 0.75, 1.0]
    """
    rows, columns = (interpolation_weights(old, new) for old, new in zip(tokens.shape[:2], shape, strict=True))
    _, width, features = tokens.shape
    # Two plain products: einsum would copy, and takes three times as long.
    along_y = rows @ tokens.astype(np.float32, copy=False).reshape(tokens.shape[0], width * features)
    return columns @ along_y.reshape(len(rows), width, features)
