"""Pixels that are NaN or infinite: refused, or filled."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Shaped

from segdistill.data.case import shown
from segdistill.errors import DataError


def refuse_non_finite(array: Shaped[np.ndarray, "c y x"], channels: Iterable[str], *, source: str) -> None:
    """Refuse pixels that are NaN or infinite.

    Raises:
        DataError: There are some; the message names the file, each such channel and their number.

    >>> refuse_non_finite(np.array([[[1.0, np.nan]]]), ["DAPI"], source="A01.tif")
    Traceback (most recent call last):
    segdistill.errors.DataError: A01.tif has pixels that are NaN or infinite: 1 of 2 in channel DAPI. ...
    """
    if array.dtype.kind not in "fc":
        return
    wrong = np.count_nonzero(~np.isfinite(array), axis=(1, 2))
    found = [
        f"{count:,} of {array[0].size:,} in channel {name}"
        for name, count in zip(channels, wrong.tolist(), strict=True)
        if count
    ]
    if found:
        raise DataError(
            f"{source} has pixels that are NaN or infinite: {shown(found)}. Correct the file, or use --nan fill."
        )


def filled(array: Shaped[np.ndarray, "c y x"]) -> Shaped[np.ndarray, "c y x"]:
    """Return the array with NaN and infinite pixels replaced by their channel's lowest finite value.

    A channel without any finite value becomes 0. An array without such pixels comes back as it is.

    >>> filled(np.array([[[3.0, np.nan, 2.0]]]))
    array([[[3., 2., 2.]]])
    """
    if array.dtype.kind != "f":
        return array
    finite = np.isfinite(array)
    if finite.all():
        return array
    lowest = np.min(array, axis=(1, 2), where=finite, initial=np.inf, keepdims=True)
    return np.where(finite, array, np.where(np.isfinite(lowest), lowest, 0)).astype(array.dtype)
