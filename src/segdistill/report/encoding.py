"""Pictures brought to a size for the screen and packed into ``data:`` addresses."""

import base64
import io
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped, UInt8
from PIL import Image

LARGEST = 640
"""Longer side of the largest pictures, pixels."""

_MOST_LOSSLESS = 160_000
"""Bytes up to which a picture among the largest is kept exactly; a larger one is packed with small losses."""

_ALWAYS_LOSSLESS = 16_000
"""Bytes up to which any picture is: so few that no page grows too large by them."""


def shown_shape(shape: tuple[int, int], side: int) -> tuple[int, int]:
    """Return the size at which a picture is shown: whole multiples of small ones, large ones shrunk.

    Args:
        shape: Rows and columns, ≥ 1.
        side: The longer side may have so many pixels.

    >>> shown_shape((128, 160), 640), shown_shape((2048, 1024), 640), shown_shape((1, 5000), 640)
    ((512, 640), (640, 320), (1, 640))
    """
    longest = max(shape)
    if longest <= side:
        factor = side // longest
        return shape[0] * factor, shape[1] * factor
    return max(1, round(shape[0] * side / longest)), max(1, round(shape[1] * side / longest))


def fitted_view(view: Float[np.ndarray, "c y x"], side: int) -> Float[np.ndarray, "c _y _x"]:
    """Return a view at its shown size: pixels are repeated, or averaged where it shrinks."""
    rows, columns = shown_shape((view.shape[1], view.shape[2]), side)
    planes = [
        np.asarray(Image.fromarray(plane.astype(np.float32)).resize((columns, rows), Image.Resampling.BOX))
        for plane in view
    ]
    return np.stack(planes) if planes else np.zeros((0, rows, columns), dtype=np.float32)


def fitted_labels(labels: Shaped[np.ndarray, "y x"], side: int) -> Shaped[np.ndarray, "_y _x"]:
    """Return labels or a mask at their shown size, by the nearest pixel."""
    rows, columns = shown_shape((labels.shape[0], labels.shape[1]), side)
    take_rows = np.arange(rows) * labels.shape[0] // rows
    take_columns = np.arange(columns) * labels.shape[1] // columns
    return labels[np.ix_(take_rows, take_columns)]


def picture_uri(picture: UInt8[np.ndarray, "y x 3"], *, side: int = LARGEST) -> str:
    """Return a picture as PNG, or as WebP where a PNG would be large, in a ``data:`` address.

    Args:
        picture: At its shown size.
        side: The longer side that pictures of its page may have, pixels. What counts as large shrinks with their
            area, or else smaller pictures, more of them kept exactly, could make a larger page.

    >>> picture_uri(np.zeros((2, 3, 3), dtype=np.uint8))[:22]
    'data:image/png;base64,'
    """
    image = Image.fromarray(picture)
    kind, code = "png", _packed(image, format="PNG")
    if len(code) > max(_ALWAYS_LOSSLESS, _MOST_LOSSLESS * (side / LARGEST) ** 2):
        kind, code = "webp", _packed(image, format="WEBP", quality=88, method=3)
    return f"data:image/{kind};base64,{base64.b64encode(code).decode('ascii')}"


def _packed(image: Image.Image, **how: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **how)
    return buffer.getvalue()
