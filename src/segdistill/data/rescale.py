"""Bringing a field to another pixel size, labels and regions with it."""

from dataclasses import replace

import numpy as np
from jaxtyping import Shaped

from segdistill.data.sample import Sample
from segdistill.errors import DataError

TOLERANCE = 0.01
"""Pixel sizes that differ by less than this share are taken to be equal."""


def at_pixel_size(sample: Sample, pixel_size: float | None) -> Sample:
    """Return the field at this pixel size.

    Intensities are smoothed before they are thinned out and interpolated linearly; labels and
    regions take the nearest pixel, so no new label appears.

    Args:
        sample: Any field.
        pixel_size: Micrometres. None returns the field as it is.

    Raises:
        DataError: The field does not say its pixel size.
    """
    have = sample.image.pixel_size
    if pixel_size is None:
        return sample
    if have is None:
        raise DataError(
            f"{sample.image.source} does not say its pixel size, but images are to be brought to {pixel_size} µm."
            " Write the pixel size into the file, or drop --pixel-size."
        )
    if abs(have / pixel_size - 1) < TOLERANCE:
        return sample
    height, width = (max(1, round(side * have / pixel_size)) for side in sample.image.array.shape[1:])
    image = replace(sample.image, array=resized(sample.image.array, (height, width)), pixel_size=pixel_size)
    return replace(
        sample,
        image=image,
        planes=nearest(sample.planes, (height, width)),
        counts=nearest(sample.counts[None], (height, width))[0],
        drawn_on=sample.drawn_on or (sample.image.array.shape[1], sample.image.array.shape[2]),
    )


def resized(array: Shaped[np.ndarray, "c y x"], shape: tuple[int, int]) -> Shaped[np.ndarray, "_ _ _"]:
    """Return intensities on another grid, float32 unless they were float64.

    >>> resized(np.ones((1, 4, 6), np.uint16), (2, 3)).tolist()
    [[[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]]
    """
    from skimage.transform import resize

    wide = array.astype(np.float64 if array.dtype == np.float64 else np.float32)
    shrinks = shape[0] < array.shape[1] or shape[1] < array.shape[2]
    planes = [
        np.asarray(resize(plane, shape, order=1, mode="reflect", preserve_range=True, anti_aliasing=shrinks))
        for plane in wide
    ]
    return np.stack(planes).astype(wide.dtype)


def nearest(planes: Shaped[np.ndarray, "k y x"], shape: tuple[int, int]) -> Shaped[np.ndarray, "_ _ _"]:
    """Return labels on another grid; each pixel takes the value under its centre.

    >>> nearest(np.array([[[1, 1, 7, 7]]]), (1, 2)).tolist()
    [[[1, 7]]]
    """
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(shape, planes.shape[1:], strict=True)
    )
    return planes[:, rows[:, None], columns[None, :]]
