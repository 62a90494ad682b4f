"""Connected pieces of a mask: pixels that touch by sides or corners."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Integer
from scipy import ndimage

_CORNERS = np.ones((3, 3), bool)


def pieces_of(mask: Bool[np.ndarray, "y x"]) -> tuple[Integer[np.ndarray, "y x"], int]:
    """Return the mask with its pieces numbered from 1, and how many there are.

    >>> pieces_of(np.array([[True, False, True]]))[1]
    2
    """
    numbered = np.zeros(mask.shape, np.int32)
    return numbered, int(ndimage.label(mask, structure=_CORNERS, output=numbered))  # pyright: ignore[reportArgumentType]


def boxes_of(numbered: Integer[np.ndarray, "y x"]) -> Iterator[tuple[int, tuple[slice, slice]]]:
    """Yield each number above 0 that occurs with the smallest window that holds all of it.

    >>> list(boxes_of(np.array([[0, 3, 3]])))
    [(3, (slice(0, 1, None), slice(1, 3, None)))]
    """
    for number, window in enumerate(ndimage.find_objects(numbered), start=1):
        if window is not None:
            down, across = window
            yield number, (down, across)


def grown_by_one(mask: Bool[np.ndarray, "y x"]) -> Bool[np.ndarray, "y x"]:
    """Return the mask with every pixel that touches it by a side.

    >>> grown_by_one(np.array([[True, False, False]])).tolist()
    [[True, True, False]]
    """
    return np.asarray(ndimage.binary_dilation(mask), dtype=bool)
