"""Showing a teacher a channel of another image: the control that keeps a channel's look and breaks its meaning."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Shaped

from segdistill.data.sample import Sample
from segdistill.errors import ConfigError
from segdistill.study.preparation import Prepared


def reading(prepared: Prepared, shuffled: Sequence[str]) -> Callable[[str], Sample]:
    """Return how a teacher reads a case.

    Args:
        prepared: The images.
        shuffled: Channels that are taken from another image of the same split, or of any split where
            there is no other. Empty: every case as it is.

    Raises:
        ConfigError: There is no second image to take a channel from.
    """
    if not shuffled:
        return prepared.samples.__getitem__
    if len(prepared.samples) < 2:
        raise ConfigError(f"To shuffle {', '.join(shuffled)} there must be two images, but there is one.")
    partners = _partners(prepared)

    def read(name: str) -> Sample:
        return with_channels_of(prepared.samples[name], prepared.samples[partners[name]], shuffled)

    return read


def with_channels_of(own: Sample, other: Sample, names: Sequence[str]) -> Sample:
    """Return a field in which these channels are another field's, cut or mirrored to its size."""
    return replace(own, image=replace(own.image, array=_with_channels(own, other, names)))


def _partners(prepared: Prepared) -> dict[str, str]:
    """Return for every case the next one of its split, in a circle; of all cases where a split has one alone."""
    everyone = sorted(prepared.samples)
    table = dict(zip(everyone, [*everyone[1:], everyone[0]], strict=True))
    for names in prepared.split.values():
        if len(names) > 1:
            table |= dict(zip(names, [*names[1:], names[0]], strict=True))
    return table


def _with_channels(own: Sample, other: Sample, names: Sequence[str]) -> Shaped[np.ndarray, "c y x"]:
    array = own.image.array.copy()
    height, width = array.shape[1:]
    for name in names:
        if name in own.image.channels and name in other.image.channels:
            taken = other.image.array[other.image.channels.index(name)]
            array[own.image.channels.index(name)] = fitted_to(taken, height, width)
    return array


def fitted_to(plane: Shaped[np.ndarray, "_ _"], height: int, width: int) -> Shaped[np.ndarray, "y x"]:
    """Return a plane cut to a size, mirrored at its ends where it is too small.

    >>> fitted_to(np.array([[1, 2, 3]]), 1, 5).tolist()
    [[1, 2, 3, 2, 1]]
    >>> fitted_to(np.array([[1, 2, 3]]), 2, 2).tolist()
    [[1, 2], [1, 2]]
    """
    beyond = ((0, max(0, height - plane.shape[0])), (0, max(0, width - plane.shape[1])))
    return np.pad(plane, beyond, mode="reflect")[:height, :width]
