"""Signed distance to the border of one label; numpy only, for the workers that read labels."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import distance_transform_edt


def signed_distance(
    label: Bool[np.ndarray, "y x"], counts: Bool[np.ndarray, "y x"] | None = None
) -> Float[np.ndarray, "y x"]:
    """Return each pixel's distance to the border of a label, in pixels, negative inside.

    The border runs between pixels: the last pixel inside has −0.5 and the first outside 0.5, so the
    complement of a label has the same distances with the other sign.

    Args:
        label: True inside. One that is empty or full, as far as it is known, has no border: 0 everywhere.
        counts: False where what the label says is ignored: such a pixel is neither inside nor outside, so a border
            that it may hide is as far as the nearest pixel beyond that counts. None: nothing is ignored.

    Returns:
        float32, pixels; 0 where a pixel does not count.

    Source:
        Kervadec et al. 2019, arXiv:1812.07032, there without the half pixel.

    >>> signed_distance(np.array([[False, False, True, True, True]])).tolist()
    [[1.5, 0.5, -0.5, -1.5, -2.5]]
    """
    known = np.ones_like(label) if counts is None else counts
    inside, outside = label & known, ~label & known
    if not inside.any() or not outside.any():
        return np.zeros(label.shape, np.float32)
    to_inside, to_outside = (np.asarray(distance_transform_edt(~pixels)) for pixels in (inside, outside))
    signed = np.where(label, 0.5 - to_outside, to_inside - 0.5)
    return np.where(known, signed, 0.0).astype(np.float32)
