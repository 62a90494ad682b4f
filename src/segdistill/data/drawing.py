"""Arrays turned into colours: views, outlines, probabilities and errors, safe for colour-blind eyes.

Source: Okabe, Ito 2002, "Color Universal Design: how to make figures and presentations that are friendly
to colorblind people", for the palette.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

Colour = tuple[int, int, int]

ORANGE: Colour = (230, 159, 0)
SKY: Colour = (86, 180, 233)
GREEN: Colour = (0, 158, 115)
YELLOW: Colour = (240, 228, 66)
BLUE: Colour = (0, 114, 178)
VERMILLION: Colour = (213, 94, 0)
PURPLE: Colour = (204, 121, 167)
WHITE: Colour = (255, 255, 255)

EXTRA, MISSED, AGREED = VERMILLION, SKY, (190, 190, 190)
"""Error maps: found but not in the label, in the label but missed, in both."""

_NAMED: dict[str, Colour] = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
_MIXES: dict[int, tuple[Colour, ...]] = {
    1: (WHITE,),
    2: ((70, 150, 255), (255, 190, 60)),
    3: ((70, 150, 255), (255, 190, 60), (255, 80, 190)),
}
_RAMP = np.array([(16, 16, 24), (92, 44, 86), PURPLE, (250, 226, 238), WHITE], dtype=np.float32)


def channel_colours(channels: Sequence[str]) -> tuple[Colour, ...]:
    """Return the colour in which each channel is shown.

    One channel is grey; channels all called red, green or blue keep their own; two or three others are
    blue, amber and pink, which add up to white; ``blank`` is never shown. From the fourth on, channels are black.

    >>> channel_colours(["nucleus"])
    ((255, 255, 255),)
    """
    if set(channels) <= set(_NAMED):
        return tuple(_NAMED[name] for name in channels)
    seen = [name for name in channels if name != "blank"]
    mix = iter(_MIXES.get(len(seen), _MIXES[3]))
    return tuple((0, 0, 0) if name == "blank" else next(mix, (0, 0, 0)) for name in channels)


def false_colour(view: Float[np.ndarray, "c y x"], channels: Sequence[str]) -> UInt8[np.ndarray, "y x 3"]:
    """Return the sum of the channels, each in its colour.

    Args:
        view: 0 to 1; values outside are clipped, and what is not a number is black.
        channels: Names, in order.
    """
    colours = np.array(channel_colours(channels), dtype=np.float32)
    clean = np.clip(np.nan_to_num(view, nan=0.0), 0, 1).astype(np.float32)
    return _eight_bits(np.einsum("cyx,ck->yxk", clean, colours))


def grey(view: Float[np.ndarray, "c y x"], *, light: float = 1.0) -> UInt8[np.ndarray, "y x 3"]:
    """Return the mean of the channels as grey.

    Args:
        view: 0 to 1.
        light: Factor on the grey, 0 to 1, to leave room for colours on top.
    """
    mean = np.clip(np.nan_to_num(view, nan=0.0), 0, 1).mean(axis=0)
    return _eight_bits(np.repeat(255 * light * mean[..., None], 3, axis=2))


def outline(labels: Int[np.ndarray, "y x"], *, thick: int = 1) -> Bool[np.ndarray, "y x"]:
    """Return the pixels of objects that lie within ``thick`` pixels of another object or of background.

    Args:
        labels: Object numbers, 0 is background.
        thick: Pixels, ≥ 1; counted along rows and columns.

    The border of the picture is not an outline, so that cut objects are seen to be cut.

    >>> outline(np.array([[1, 1, 1, 2]])).astype(int)
    array([[0, 0, 1, 1]])
    """
    edge = np.zeros(labels.shape, dtype=bool)
    for step in range(1, thick + 1):
        down = labels[step:] != labels[:-step]
        right = labels[:, step:] != labels[:, :-step]
        edge[step:] |= down
        edge[: max(0, labels.shape[0] - step)] |= down
        edge[:, step:] |= right
        edge[:, : max(0, labels.shape[1] - step)] |= right
    return edge & (labels != 0)


def drawn_objects(
    background: UInt8[np.ndarray, "y x 3"], labels: Int[np.ndarray, "y x"], colour: Colour, *, thick: int
) -> UInt8[np.ndarray, "y x 3"]:
    """Return the background with every object outlined and faintly filled."""
    tinted = tint(background, labels != 0, colour, 0.16)
    return tint(tinted, outline(labels, thick=thick), colour, 1.0)


def probability_colours(values: Float[np.ndarray, "y x"]) -> UInt8[np.ndarray, "y x 3"]:
    """Return probabilities from black (0) through purple (½) to white (1); its lightness only rises.

    Args:
        values: 0 to 1; what is not a number is black.
    """
    place = np.clip(np.nan_to_num(values, nan=0.0), 0, 1) * (len(_RAMP) - 1)
    below = np.minimum(place.astype(int), len(_RAMP) - 2)
    part = (place - below)[..., None]
    return _eight_bits(_RAMP[below] * (1 - part) + _RAMP[below + 1] * part)


def error_colours(
    background: UInt8[np.ndarray, "y x 3"],
    prediction: Int[np.ndarray, "y x"],
    label: Int[np.ndarray, "y x"],
    counts: Bool[np.ndarray, "y x"] | None = None,
) -> UInt8[np.ndarray, "y x 3"]:
    """Return where prediction and label agree and differ, as foreground.

    Args:
        background: Picture below.
        prediction: Nonzero is foreground.
        label: Nonzero is foreground.
        counts: Where pixels count; elsewhere the background is hatched. None: everywhere.
    """
    found, wanted = prediction != 0, label != 0
    picture = tint(background, found & wanted, AGREED, 0.35)
    picture = tint(picture, found & ~wanted, EXTRA, 0.8)
    picture = tint(picture, ~found & wanted, MISSED, 0.8)
    return picture if counts is None else hatched(picture, counts)


def hatched(picture: UInt8[np.ndarray, "y x 3"], counts: Bool[np.ndarray, "y x"]) -> UInt8[np.ndarray, "y x 3"]:
    """Return the picture with grey diagonal stripes over the pixels that do not count."""
    diagonal = np.add.outer(np.arange(counts.shape[0]), np.arange(counts.shape[1])) % 10
    stripes = np.where(diagonal < 3, 120, 60).astype(np.uint8)
    return np.where(counts[..., None], picture, stripes[..., None])


def tint(
    picture: UInt8[np.ndarray, "y x 3"], where: Bool[np.ndarray, "y x"], colour: Colour, strength: float
) -> UInt8[np.ndarray, "y x 3"]:
    """Return the picture with a colour laid over some pixels.

    Args:
        picture: Below.
        where: Pixels that take the colour.
        colour: Red, green, blue, 0 to 255.
        strength: 0 leaves the pixel, 1 replaces it.
    """
    mixed = (1 - strength) * picture + strength * np.array(colour, dtype=np.float32)
    return np.where(where[..., None], _eight_bits(mixed), picture)


def _eight_bits(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)
