"""Dividing cases into training, validation and test: whole groups, and no picture on both sides."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Shaped

from segdistill.data.case import SPLITS, Case, Split, numbered, shown
from segdistill.data.image import ImageSource
from segdistill.data.readers import open_image
from segdistill.errors import ConfigError, DataError
from segdistill.files import sha256_array

_STRIP = 1024
"""Images are compared in strips of so many rows."""

_ON_TEST = (
    " Students are scored on labelled test images, which a fraction of 0 and a teacher's targets cannot replace: give"
    " split test to a few images with labels."
)

Division = dict[str, Split]
"""Group to split."""


def split_cases(
    cases: Sequence[Case], *, fractions: tuple[float, float, float], seed: int
) -> dict[str, tuple[Case, ...]]:
    """Return the cases of each split.

    Args:
        cases: In any order: the result depends on their names, groups and given splits alone.
        fractions: Wanted shares of the cases in train, validation and test, together 1. A share of
            0 means that no case is put there, except those that are there already.
        seed: Draws which groups go where.

    Returns:
        Split to cases in the given order. A split that a case already has is kept, and its whole
        group follows. Shares are met as well as whole groups permit; every split with a share
        above 0 has a group.

    Raises:
        ConfigError: The fractions are no shares, or there are fewer groups than splits asked for.
        DataError: A group has cases in several splits.

    >>> from pathlib import Path
    >>> cases = [Case(name, Path(name), {}, None, None, name[0], None) for name in ("a1", "a2", "b1", "c1")]
    >>> parts = split_cases(cases, fractions=(0.5, 0.25, 0.25), seed=0)
    >>> {split: len(part) for split, part in parts.items()}
    {'train': 2, 'validation': 1, 'test': 1}
    """
    shares = _shares(fractions)
    sizes = Counter(case.group for case in cases)
    given = _given(cases)
    free = sorted(set(sizes) - set(given))
    asked: list[Split] = [split for split in SPLITS if shares[split]]
    _refuse_too_few(asked, given, free)
    order = [free[index] for index in np.random.default_rng(seed).permutation(len(free))]
    wanted: dict[Split, float] = {split: share * len(cases) for split, share in shares.items()}
    division = _divide(order, sizes, wanted, given)
    _fill_empty(division, set(order), sizes, wanted)
    return {split: tuple(case for case in cases if division[case.group] == split) for split in SPLITS}


def _shares(fractions: tuple[float, float, float]) -> dict[Split, float]:
    if min(fractions) < 0 or not abs(sum(fractions) - 1) < 1e-6:
        raise ConfigError(
            f"The fractions of train, validation and test are {', '.join(map(str, fractions))}."
            " They must be 0 or more and add up to 1."
        )
    return {split: share for split, share in zip(SPLITS, fractions, strict=True)}  # noqa: C416


def _given(cases: Iterable[Case]) -> Division:
    """Return the split of every group that has one."""
    found = defaultdict(set)
    for case in cases:
        if case.split is not None:
            found[case.group].add(case.split)
    torn = sorted(f"{group} ({', '.join(sorted(splits))})" for group, splits in found.items() if len(splits) > 1)
    if torn:
        groups = "1 group has" if len(torn) == 1 else f"{len(torn)} groups have"
        raise DataError(
            f"{groups} cases in several splits: {shown(torn)}. Cases of one group are not independent:"
            " give them one split, or different groups if they are."
        )
    return {group: next(iter(splits)) for group, splits in found.items()}


def _refuse_too_few(asked: Sequence[Split], given: Division, free: Sequence[str]) -> None:
    empty = [split for split in asked if split not in given.values()]
    if len(empty) > len(free):
        raise ConfigError(
            f"{', '.join(asked)} are asked for, but there are only {numbered(len(free), 'group')} without a split and"
            f" {len(given)} with one ({shown(sorted({*free, *given})) or 'no cases'}), so nothing is left for"
            f" {' or '.join(empty)}. Give a fraction of 0 to what you can do without, or name smaller groups in a"
            f" manifest.{_ON_TEST if 'test' in empty else ''}"
        )


def _divide(order: Sequence[str], sizes: Mapping[str, int], wanted: Mapping[Split, float], given: Division) -> Division:
    """Give each group, the largest first, to the split that lacks most cases."""
    division = dict(given)
    lacking = {split: wanted[split] - sum(sizes[group] for group in given if given[group] == split) for split in SPLITS}
    open_splits: list[Split] = [split for split in SPLITS if wanted[split]]
    for group in sorted(order, key=lambda group: -sizes[group]):  # stable: equals stay shuffled
        split = max(open_splits, key=lacking.__getitem__)
        division[group] = split
        lacking[split] -= sizes[group]
    return division


def _fill_empty(division: Division, free: set[str], sizes: Mapping[str, int], wanted: Mapping[Split, float]) -> None:
    """Move a group of fitting size into each split that is wanted but got none."""
    needy: list[Split] = [split for split in SPLITS if wanted[split] and split not in division.values()]
    for split in sorted(needy, key=wanted.__getitem__):
        counts = Counter(division.values())
        misfit = {
            group: abs(sizes[group] - wanted[split])
            for group in division
            if group in free and counts[division[group]] > 1
        }
        division[min(misfit, key=misfit.__getitem__)] = split


def equal_content(
    cases: Sequence[Case], *, axes: str | None = None, fill_missing: bool = False
) -> list[tuple[str, ...]]:
    """Return the names of cases whose images have the same pixels, whatever the files are called.

    Images of one value throughout show nothing that could be the same, as the empty first slices of scans, and are left
    out.

    Args:
        cases: Only images of equal size are decoded, and those by strips. The same numbers in another
            integer type, and one grey channel instead of several equal ones, are the same picture.
        axes: Meaning of the files' axes; None takes the files' own.
        fill_missing: Whether pieces that files leave out are empty on purpose.

    Returns:
        One tuple of at least two names per picture, in the order of the cases.
    """
    by_size = defaultdict(list)
    for case in cases:
        with open_image(case.image, axes=axes, fill_missing=fill_missing) as opened:
            by_size[opened.shape[1:]].append(case)
    prints = {}
    for peers in by_size.values():
        for case in peers if len(peers) > 1 else ():
            with open_image(case.image, axes=axes, fill_missing=fill_missing) as opened:
                prints[case.name] = fingerprint(opened)
    return same(prints)


def fingerprint(opened: ImageSource) -> tuple[str, ...]:
    """Return what two images share only if they have the same pixels; nothing for an image of one value throughout."""
    height, width = opened.shape[1:]
    found, ends = [], set()
    for top in range(0, height, _STRIP):
        strip = opened.read((slice(top, min(top + _STRIP, height)), slice(0, width)))
        found.append(sha256_array(_plain(strip)))
        ends |= {strip.min().item(), strip.max().item()}
    return tuple(found) if len(ends) > 1 else ()


def same(prints: Mapping[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the names that share a fingerprint, in order, where there are at least two; an empty one is none.

    >>> same({"a": ("1",), "b": ("2",), "c": ("1",)})
    [('a', 'c')]
    """
    alike = defaultdict(list)
    for name, found in prints.items():
        if found:
            alike[found].append(name)
    return [tuple(names) for names in alike.values() if len(names) > 1]


def _plain(array: Shaped[np.ndarray, "c y x"]) -> Shaped[np.ndarray, "_ y x"]:
    """Return an array in the smallest form that says the same: one channel if all are equal, the smallest integers."""
    if array.dtype.kind in "iu" and array.min() >= 0:
        array = array.astype(np.min_scalar_type(array.max()))
    return array[:1] if (array[:1] == array).all() else array
