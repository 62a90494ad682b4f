"""Choosing channels by name."""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Shaped

from segdistill.errors import DataError, ShapeError, nearest

BLANK = "blank"
"""Name under which every image offers a channel of zeros."""

LUMA = "luma"
"""Name under which colour and unnamed grey pictures offer their brightness."""

COLOURS = ("red", "green", "blue")
"""Names of the channels of a colour picture."""

UNNAMED = "channel0"
"""Name of the only channel of an image that does not name it."""

# Recommendation ITU-R BT.601: the weights that "convert to grey" means in common picture libraries.
_WEIGHTS = (0.299, 0.587, 0.114)


def select(
    array: Shaped[np.ndarray, "c y x"], have: Sequence[str], want: Sequence[str], *, source: str
) -> Shaped[np.ndarray, "w y x"]:
    """Return the wanted channels of an image, in the wanted order.

    Args:
        array: The image.
        have: Name of each of its channels.
        want: Names of the wanted channels; the same name may occur twice. Beside the image's own
            names there are ``blank``, a channel of zeros, and ``luma``, the brightness of red,
            green and blue, or the one grey channel of a picture that names none. A channel that
            itself has one of these names comes first.
        source: File name, for the message.

    Returns:
        An array of the same type. Brightness of integers is rounded to the nearest.

    Raises:
        DataError: The image has no such channel, or nothing is wanted.
        ShapeError: There are not as many names as channels.

    Source:
        Rec. ITU-R BT.601-7, section 2.5.1: luma = 0.299 red + 0.587 green + 0.114 blue.

    >>> picture = np.array([200, 100, 50], np.uint8).reshape(3, 1, 1)
    >>> select(picture, ("red", "green", "blue"), ("green", "luma", "blank"), source="a.png")[:, 0, 0]
    array([100, 124,   0], dtype=uint8)
    """
    if len(have) != len(array):
        raise ShapeError(f"{source} has {len(array)} channels, but {len(have)} names: {', '.join(have) or 'none'}.")
    check_names(have, want, source=source)
    return np.stack([_channel(array, list(have), name) for name in want])


def check_names(have: Iterable[str], want: Sequence[str], *, source: str) -> None:
    """Refuse wanted channels that an image with these channels does not offer.

    Raises:
        DataError: A name is unknown, or nothing is wanted.

    >>> check_names(("DAPI", "actin"), ("dapi",), source="plate3/A01.tif")
    Traceback (most recent call last):
    segdistill.errors.DataError: plate3/A01.tif has no channel 'dapi'. Did you mean 'DAPI'? It has: DAPI, actin.
    """
    found = list(have)
    if not want:
        raise DataError(f"No channel of {source} is asked for. Name at least one of: {', '.join(found)}.")
    known = {*found, BLANK}
    if set(COLOURS) <= known or found == [UNNAMED]:
        known.add(LUMA)
    for name in want:
        if name not in known:
            raise DataError(f"{source} has no channel {name!r}.{_suggestion(name, found)} It has: {', '.join(found)}.")


def _suggestion(name: str, found: Sequence[str]) -> str:
    same = [other for other in found if other.casefold() == name.casefold()]
    return nearest(same[0] if same else name, found)


def _channel(array: Shaped[np.ndarray, "c y x"], have: list[str], name: str) -> Shaped[np.ndarray, "y x"]:
    if name in have:
        return array[have.index(name)]
    if name == BLANK:
        return np.zeros_like(array[0])
    if have == [UNNAMED]:
        return array[0]
    return _luma(array[[have.index(colour) for colour in COLOURS]])


def _luma(colours: Shaped[np.ndarray, "3 y x"]) -> Shaped[np.ndarray, "y x"]:
    brightness = np.tensordot(np.array(_WEIGHTS), colours.astype(np.float64), axes=1)
    if colours.dtype.kind in "iu":
        brightness = np.rint(brightness)
    return brightness.astype(colours.dtype)
