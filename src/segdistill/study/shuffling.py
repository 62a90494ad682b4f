"""Showing a teacher a channel of another image: the control that keeps a channel's look and breaks its meaning."""

from collections.abc import Callable, Mapping, Sequence
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
        shuffled: Channels that are taken from an image of another group of the same split, or of any split where
            there is no other. Empty: every case as it is.

    Raises:
        ConfigError: There is no image of another group to take a channel from, or a case has none of these.
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
    """Return for every case one of another group: of its split, or of any where the split has one group alone.

    Images of one slide or patient are alike, so a channel of a neighbour would mean more than a stranger's.

    Raises:
        ConfigError: There is one group alone.
    """
    table = of_next_group(sorted(prepared.samples), prepared.groups)
    if not table:
        raise ConfigError(
            f"To shuffle a channel there must be images of two groups, but all {len(prepared.samples)} are of"
            f" {next(iter(prepared.groups.values()))!r}: a neighbour's channel would not be a stranger's. Leave that"
            " control out, or name smaller groups in a manifest."
        )
    for names in prepared.split.values():
        table |= of_next_group(names, prepared.groups)
    return table


def of_next_group(names: Sequence[str], groups: Mapping[str, str]) -> dict[str, str]:
    """Return for every name one of the group after its own, in a circle; nothing where there is one group alone.

    Args:
        names: Of images, each once.
        groups: Name to group.

    >>> of_next_group(["a1", "b1", "a2", "b2"], {"a1": "a", "a2": "a", "b1": "b", "b2": "b"})
    {'a1': 'b1', 'a2': 'b2', 'b1': 'a1', 'b2': 'a2'}
    """
    members: dict[str, list[str]] = {}
    for name in names:
        members.setdefault(groups[name], []).append(name)
    if len(members) < 2:
        return {}
    following = dict(zip(members, [*list(members)[1:], next(iter(members))], strict=True))
    return {
        name: members[following[group]][place % len(members[following[group]])]
        for group, own in members.items()
        for place, name in enumerate(own)
    }


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
