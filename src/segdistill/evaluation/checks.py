"""What is refused before anything is compared."""

import numpy as np
from jaxtyping import Shaped

from segdistill.errors import DataError, ShapeError

_LARGEST_ID = 2**32 - 1


def check_grids(
    prediction: Shaped[np.ndarray, "..."], label: Shaped[np.ndarray, "..."], counts: Shaped[np.ndarray, "..."] | None
) -> None:
    """Refuse arrays that do not lie on one grid, and a grid on which nothing counts.

    Raises:
        ShapeError: The shapes differ.
        DataError: The mask of what counts is not boolean, or no pixel counts.
    """
    if prediction.shape != label.shape:
        raise ShapeError(
            f"The prediction is {prediction.shape} and the label {label.shape} (y, x)."
            " They must be of one image at one size; nothing is resized here."
        )
    if counts is not None and counts.shape != label.shape:
        raise ShapeError(f"The mask of pixels that count is {counts.shape}, but the label is {label.shape} (y, x).")
    if counts is not None and counts.dtype != np.bool_:
        raise DataError(f"The mask of pixels that count is {counts.dtype}. Make it boolean, for example mask > 0.")
    if not (label.size if counts is None else counts.any()):
        raise DataError(
            f"No pixel of this {label.shape} image counts, so it has no score. Take it out of the test set."
        )


def check_mask(array: Shaped[np.ndarray, "..."], name: str) -> None:
    """Refuse a mask that is not boolean.

    Raises:
        DataError: It is not.
    """
    if array.dtype != np.bool_:
        raise DataError(
            f"The {name} is {array.dtype}, but a mask is boolean."
            " Threshold probabilities (maps > 0.5) or take objects together (ids > 0) first."
        )


def check_ids(array: Shaped[np.ndarray, "..."], name: str) -> None:
    """Refuse what cannot be object ids.

    Raises:
        DataError: Not integers, negative, or above 2³² − 1.
    """
    if not np.issubdtype(array.dtype, np.integer):
        raise DataError(
            f"The {name} is {array.dtype}, but object ids are integers, 0 where there is none."
            " Give the objects of a mask ids first."
        )
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    if low < 0 or high > _LARGEST_ID:
        raise DataError(f"The {name} has ids from {low} to {high}. Number its objects from 1 to {_LARGEST_ID} at most.")
