"""Showing a teacher a channel of another image: the control that keeps a channel's look and breaks its meaning."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Shaped

from segdistill.data.case import numbered
from segdistill.data.sample import Sample
from segdistill.errors import ConfigError
from segdistill.study.folds import units_of
from segdistill.study.preparation import Prepared


def reading(prepared: Prepared, shuffled: Sequence[str]) -> Callable[[str], Sample]:
    """Return how a teacher reads a case.

    Args:
        prepared: The images.
        shuffled: Channels that are taken from an image of another group, of the same split where it has one. Empty:
            every case as it is.

    Raises:
        ConfigError: There is no second group to take a channel from.
    """
    if not shuffled:
        return prepared.samples.__getitem__
    partners = lenders(prepared, shuffled)

    def read(name: str) -> Sample:
        return with_channels_of(prepared.samples[name], prepared.samples[partners[name]], shuffled)

    return read


def lenders(prepared: Prepared, shuffled: Sequence[str]) -> dict[str, str]:
    """Return for every case the one that lends it channels: never one of its own group, nor its twin.

    A neighbour in a slide, or another slice of a patient, has nearly the channel that is to be broken: the control
    would be too good.

    Args:
        prepared: The images.
        shuffled: The channels, for the message.

    Raises:
        ConfigError: All images are of one group.
    """
    units = units_of(prepared)
    if len(set(units.values())) < 2:
        raise ConfigError(
            f"To shuffle {', '.join(shuffled)}, an image of another group must lend it, but all"
            f" {numbered(len(units), 'image')} are of one: a neighbour lends nearly the right one. Name smaller groups"
            " in a manifest, if they are independent, or leave out the arms with that teacher."
        )
    table: dict[str, str] = {}
    for names in prepared.split.values():
        table |= _lenders_among(names, units)
    return table


def lent_by_neighbours(prepared: Prepared, shuffled: Sequence[str]) -> bool:
    """Return whether some image was lent channels by another one before groups were heeded.

    Args:
        prepared: The images.
        shuffled: The channels.
    """
    return lenders(prepared, shuffled) != _next_ones(prepared)


def with_channels_of(own: Sample, other: Sample, names: Sequence[str]) -> Sample:
    """Return a field in which these channels are another field's, cut or mirrored to its size."""
    return replace(own, image=replace(own.image, array=_with_channels(own, other, names)))


def _lenders_among(names: Sequence[str], units: Mapping[str, str]) -> dict[str, str]:
    """Return a lender for each name: another of these, each of them once, where no unit has more than half of all.

    Args:
        names: Of one split.
        units: Of all cases, two at least.
    """
    blocks: dict[str, list[str]] = {}
    for name in names:
        blocks.setdefault(units[name], []).append(name)
    order = [name for block in blocks.values() for name in block]
    step = max(map(len, blocks.values()), default=0)  # from any place of a block it leads beyond the block
    if 2 * step <= len(order):
        return dict(zip(order, [*order[step:], *order[:step]], strict=True))
    found = {}
    for unit, block in blocks.items():
        others = [name for name in order if units[name] != unit] or sorted(
            each for each in units if units[each] != unit
        )
        found |= {name: others[place % len(others)] for place, name in enumerate(block)}
    return found


def _next_ones(prepared: Prepared) -> dict[str, str]:
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
        missing = [each.name for each in (own, other) if name not in each.image.channels]
        if missing:
            raise ConfigError(f"{name} is to be shuffled, but {missing[0]} has no such channel. Leave that image out.")
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
