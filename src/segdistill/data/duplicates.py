"""Cases whose images show the same thing, though not one pixel need be equal, and keeping them in one group."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float32

from segdistill.data.case import Case
from segdistill.data.likeness import alike_groups, small_picture
from segdistill.data.readers import open_image


def near_duplicate_groups(
    cases: Sequence[Case], *, axes: str | None = None, fill_missing: bool = False
) -> list[tuple[str, ...]]:
    """Return the names of cases whose images are near-duplicates of each other.

    Found are images that were saved again, resized, cropped by one or two hundredths, made brighter,
    mirrored or turned by quarters. Not found are images that overlap in part only. Images without
    any structure are not compared.

    Args:
        cases: In any order; every image is read once.
        axes: Meaning of the files' axes; None takes the files' own.
        fill_missing: Whether pieces that files leave out are empty on purpose.

    Returns:
        One tuple of at least two names per group, in the order of the cases. Likeness is passed on: a
        like b and b like c makes one group.
    """
    pictures = {}
    for case in cases:
        with open_image(case.image, axes=axes, fill_missing=fill_missing) as opened:
            pictures[case.name] = small_picture(opened)
    return alike_names(pictures)


def alike_names(pictures: Mapping[str, Float32[np.ndarray, "side side"]]) -> list[tuple[str, ...]]:
    """Return the names of near-duplicates; see ``near_duplicate_groups``.

    Args:
        pictures: Name to what ``small_picture`` made of its image.
    """
    names = [name for name, picture in pictures.items() if np.ptp(picture) > 0]  # empty slices are not alike
    if len(names) < 2:
        return []
    groups = alike_groups(np.stack([pictures[name] for name in names]))
    return [tuple(names[index] for index in group) for group in groups if len(group) > 1]


def joined_groups(cases: Sequence[Case], alike: Iterable[Sequence[str]]) -> tuple[Case, ...]:
    """Return the cases with groups merged wherever cases of two groups are alike.

    Args:
        cases: All cases of a data set.
        alike: Names that belong together, as ``near_duplicate_groups`` or ``equal_content`` return
            them.

    Returns:
        The cases in their order. A merged group has the name that comes first in the alphabet.

    >>> from pathlib import Path
    >>> cases = [Case(name, Path(name), {}, None, None, name, None) for name in "abc"]
    >>> [case.group for case in joined_groups(cases, [("c", "b")])]
    ['a', 'b', 'b']
    """
    own = {case.name: case.group for case in cases}
    merged = {case.group: case.group for case in cases}
    for names in alike:
        together = {merged[own[name]] for name in names}
        merged = {group: min(together) if name in together else name for group, name in merged.items()}
    return tuple(replace(case, group=merged[case.group]) for case in cases)
