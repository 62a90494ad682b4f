"""Signed distance to the border of a label; numpy only, for the workers that read labels."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import distance_transform_edt


def signed_distance(label: Bool[np.ndarray, "y x"]) -> Float[np.ndarray, "y x"]:
    """Return each pixel's distance to the border of a label, in pixels, negative inside.

    The border runs between pixels: the last pixel inside has −0.5 and the first outside 0.5, so the
    complement of a label has the same distances with the other sign.

    Args:
        label: True inside. An empty or a full label has no border: 0 everywhere.

    Returns:
        float32, pixels.

    Source:
        Kervadec et al. 2019, arXiv:1812.07032, there without the half pixel.

    >>> signed_distance(np.array([[False, False, True, True, True]])).tolist()
    [[1.5, 0.5, -0.5, -1.5, -2.5]]
    """
    if not label.any() or label.all():
        return np.zeros(label.shape, np.float32)
    outside = np.asarray(distance_transform_edt(~label))
    inside = np.asarray(distance_transform_edt(label))
    return np.where(label, 0.5 - inside, outside - 0.5).astype(np.float32)
