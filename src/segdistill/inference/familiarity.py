"""Whether an image is like those that a model was trained on: how its channels look, what the network makes of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Float, Float32, Float64

from segdistill.inference.scale import ALIKE
from segdistill.inference.windows import View
from segdistill.networks.card import Familiar, ModelCard

_BLOCK = 256
"""Side of the blocks that are looked at, pixels."""

_CANDIDATES = 6
"""Blocks in a row and in a column, evenly over the image, from which some are chosen."""

_LOOKED_AT = 4
"""Blocks that are looked at: those in which there is most to see. A slide is mostly empty glass."""

_WIDTH = 32
"""Numbers that are kept of a network's features: so many random projections keep distances to about a fifth."""

_MOST = 48
"""Training images that are kept to compare with."""

FEWEST = 6
"""Of fewer training images nothing is said: how far apart such images may be is not known."""

_ROOM, _ROOM_FOR_FEATURES = 1.5, 2.0
"""An image may be so many times as far from the nearest training image as any of those is from the others."""

ASPECTS = ("brightness", "contrast", "sharpness")
"""What is measured of a channel, after normalisation: mean, standard deviation, and how much of that lies between
neighbouring pixels (its logarithm)."""

_NOTICEABLE = np.array([0.1, 0.05, 0.2])
"""A difference of each that an eye would notice: the unit of distances. One below 1 never counts."""


@dataclass(frozen=True, eq=False)
class Appearance:
    """How an image appears to a model."""

    look: Float64[np.ndarray, " l"]
    """The aspects of each channel in turn."""

    features: Float64[np.ndarray, " f"] | None
    """Projections of the encoder's coarsest features, their mean over the image; None: the network has no encoder."""


def appearance(view: View, features: Callable[[np.ndarray], np.ndarray | None]) -> Appearance:
    """Return how an image appears to a network.

    Args:
        view: The image as the network sees it, of any size: a few blocks of it are read.
        features: Returns the network's features of a block, as ``Predictor.features``.
    """
    blocks = _blocks(view)
    look = np.mean([_look(block) for block in blocks], axis=0)
    found = [features(block) for block in blocks]
    known = [each for each in found if each is not None]
    return Appearance(look, _projected(np.mean(known, axis=0)) if len(known) == len(found) else None)


def chosen_of(names: Sequence[str]) -> list[str]:
    """Return the training images that are kept to compare with: all, or evenly chosen ones.

    >>> len(chosen_of([f"image{number}" for number in range(500)]))
    48
    """
    places = np.linspace(0, len(names) - 1, min(_MOST, len(names))).round().astype(int)
    return [names[int(place)] for place in places]


def familiar_of(seen: Sequence[Appearance], groups: Sequence[str], channels: Sequence[str]) -> Familiar | None:
    """Return what a model keeps of its training images; None where they are too few to say what is usual.

    Args:
        seen: How they appear to it; see ``chosen_of``.
        groups: Of each; images of one group (a patient, a slide) are alike, and say nothing about how
            different an image may be.
        channels: Names of the channels.
    """
    if len(set(groups)) < FEWEST:
        return None
    looks = np.array([each.look for each in seen])
    kept = [each.features for each in seen if each.features is not None]
    features = np.array(kept) if len(kept) == len(seen) else None
    return Familiar(
        channels=list(channels),
        looks=looks.round(4).tolist(),
        look_limit=max(1.0, _ROOM * _spread(looks / _scale(channels), groups)),
        features=None if features is None else features.round(5).tolist(),
        feature_limit=None if features is None else _ROOM_FOR_FEATURES * _spread(features, groups),
    )


def unlike_in_size(found: float | None, card: ModelCard) -> tuple[str, ...]:
    """Return what a user should know of an image's pixel size: it is not known, or not the model's.

    Args:
        found: As the network is shown the image, micrometres; None: not known.
        card: The model's.
    """
    wanted = card.pixel_size
    if wanted is None:
        return ()
    if found is None:
        return (f"it does not say its pixel size, which was {wanted:g} µm in training",)
    if abs(found / wanted - 1) <= ALIKE:
        return ()
    return (f"its pixels are {found:g} µm, in training {wanted:g} µm",)


def unlike(familiar: Familiar, found: Appearance) -> tuple[str, ...]:
    """Return in what an image is unlike every training image, in words; empty: in nothing that is measured."""
    said = []
    channels = familiar["channels"]
    looks, scale = np.array(familiar["looks"]), _scale(channels)
    distances = _distances(looks / scale, found.look / scale)
    if distances.min() > familiar["look_limit"]:
        worst = int(np.argmax(_beyond(looks, found.look) / scale))
        channel, aspect = channels[worst // len(ASPECTS)], ASPECTS[worst % len(ASPECTS)]
        low, high = looks[:, worst].min(), looks[:, worst].max()
        said.append(f"{aspect} of {channel} is {found.look[worst]:.2f}, in training {low:.2f} to {high:.2f}")
    if found.features is not None and familiar["features"] is not None and familiar["feature_limit"] is not None:
        far = float(_distances(np.array(familiar["features"]), found.features).min())
        if far > familiar["feature_limit"]:
            times = far / max(familiar["feature_limit"] / _ROOM_FOR_FEATURES, 1e-9)
            said.append(f"its features are {times:.1f} times as far from training images as any of those from the rest")
    return tuple(said)


def _blocks(view: View) -> list[Float32[np.ndarray, "c y x"]]:
    """Return the blocks in which there is most to see."""
    height, width = view.shape
    tops, lefts = (_starts(length) for length in (height, width))
    blocks = [
        view.read((slice(y, min(y + _BLOCK, height)), slice(x, min(x + _BLOCK, width))))
        for y, x in product(tops, lefts)
    ]
    order = sorted(range(len(blocks)), key=lambda place: -float(blocks[place].std(axis=(1, 2)).sum()))
    return [blocks[place] for place in order[:_LOOKED_AT]]


def _starts(length: int) -> list[int]:
    """Return where blocks begin along a side.

    >>> _starts(100), _starts(512), len(_starts(100_000))
    ([0], [0, 256], 6)
    """
    count = min(_CANDIDATES, max(1, length // _BLOCK))
    return np.linspace(0, max(0, length - _BLOCK), count).round().astype(int).tolist()


def _look(block: Float32[np.ndarray, "c y x"]) -> Float64[np.ndarray, " l"]:
    found = []
    for channel in block.astype(np.float64):
        deviation = channel.std()
        steps = np.concatenate([np.diff(channel, axis=axis).ravel() for axis in (0, 1)])
        between = np.sqrt(np.mean(steps**2)) if steps.size else 0.0
        found += [channel.mean(), deviation, np.log((between + 1e-3) / (deviation + 1e-3))]
    return np.array(found)


def _projected(features: Float64[np.ndarray, " d"]) -> Float64[np.ndarray, " f"]:
    """Return a few fixed random projections (Johnson and Lindenstrauss 1984); of few numbers, themselves."""
    if len(features) <= _WIDTH:
        return features
    # The old generator, because its numbers are promised never to change: models outlive versions of NumPy.
    signs = np.random.RandomState(0).choice((-1.0, 1.0), size=(_WIDTH, len(features)))
    return signs @ features / np.sqrt(_WIDTH)


def _spread(points: Float64[np.ndarray, "n d"], groups: Sequence[str]) -> float:
    """Return the farthest that a point lies from the nearest of another group."""
    names = np.array(groups)
    nearest = [_distances(points[names != group], point).min() for point, group in zip(points, groups, strict=True)]
    return float(max(nearest))


def _distances(points: Float64[np.ndarray, "n d"], point: Float64[np.ndarray, " d"]) -> Float64[np.ndarray, " n"]:
    """Return the root mean square differences to each point."""
    return np.sqrt(np.mean((points - point) ** 2, axis=1))


def _beyond(points: Float64[np.ndarray, "n d"], point: Float64[np.ndarray, " d"]) -> Float64[np.ndarray, " d"]:
    """Return how far a point lies outside of the range of others, along each axis; 0 within."""
    return np.maximum(np.maximum(points.min(axis=0) - point, point - points.max(axis=0)), 0)


def _scale(channels: Sequence[str]) -> Float[np.ndarray, " l"]:
    return np.tile(_NOTICEABLE, len(channels))
