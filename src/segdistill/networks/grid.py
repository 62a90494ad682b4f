"""Linear interpolation between the cells of two grids of one image; arrays only, no torch."""

import numpy as np
from jaxtyping import Float32

from segdistill.errors import ShapeError


def interpolation_weights(old: int, new: int) -> Float32[np.ndarray, "new old"]:
    """Return how much each old cell counts for each new one along one axis.

    Note [Shrinking a token grid]: where a grid shrinks, the interpolation is widened to the new cells.
    Plain linear interpolation from SAM's 64 × 64 tokens to a student's 8 × 8 would read 4 of every
    64: the student would be taught by a sixteenth of what was stored, and an object between the
    samples would not exist. Where a grid grows, this is plain linear interpolation. Why not
    torch's ``interpolate`` with ``antialias``: in torch 2.12 on a CPU it is wrong for one column
    (a grid of n × 1 tokens), and the store resamples without torch anyway.

    Args:
        old: Cells along the axis, ≥ 1.
        new: Wanted cells, ≥ 1. Both divide the same length: cells are compared by their middles, and
            beyond the outermost middles the outermost value holds.

    Raises:
        ShapeError: A number is below 1.

    >>> interpolation_weights(2, 4).tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    >>> (7 * interpolation_weights(4, 2)).round().tolist()
    [[3.0, 3.0, 1.0, 0.0], [0.0, 1.0, 3.0, 3.0]]
    """
    if min(old, new) < 1:
        raise ShapeError(f"A grid of {old} cells cannot be brought to {new}. Both need 1 or more.")
    reach = max(old / new, 1.0)  # of a new cell's triangle, in old cells
    middles = (np.arange(new) + 0.5) * old / new - 0.5
    weights = (1 - np.abs(middles[:, None] - np.arange(old)) / reach).clip(0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
