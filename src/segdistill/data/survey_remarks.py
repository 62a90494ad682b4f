"""What a survey of a data set says about its files taken together: differences, doubles, leaks."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from segdistill.data.case import SPLITS, Case, Split, numbered, shown
from segdistill.data.datasets import Dataset
from segdistill.data.scans import of_one_patient
from segdistill.data.splits import split_cases
from segdistill.data.survey import ImageFacts, Survey
from segdistill.errors import DataError


def remarks(
    dataset: Dataset, found: Survey, *, equal: Sequence[Sequence[str]], alike: Sequence[Sequence[str]]
) -> Iterator[str]:
    """Yield what is not wrong in any one file, but should be known.

    Args:
        dataset: What was surveyed.
        found: The survey.
        equal: Names of cases whose images have the same pixels, those of each picture together.
        alike: Names of cases whose images show the same thing, though their pixels may differ.
    """
    yield from dataset.notes
    yield from _differences("channels", found.images, lambda image: ", ".join(image.channels))
    yield from _differences("types", found.images, lambda image: image.dtype)
    yield from _differences("pixel sizes", found.images, lambda image: shown_size(image.pixel_size))
    uniform = [f"{image.name} ({', '.join(image.uniform)})" for image in found.images if image.uniform]
    if uniform:
        yield f"Channels of one value throughout, in {numbered(len(uniform), 'image')}: {shown(uniform)}."
    patients = [f"({shown(names, most=4)})" for names in of_one_patient(dataset.cases)]
    if patients:
        yield f"Of one patient each, as their DICOM files say: {shown(patients)}. Training keeps them in one split."
    splits = _given_splits(dataset.cases)
    yield from (f"The same picture: {shown(names)}.{_advice(names, splits)}" for names in equal)
    told = [set(names) for names in equal]
    group = {case.name: case.group for case in dataset.cases}
    torn = [names for names in alike if len({group[name] for name in names}) > 1]  # slices of a scan are alike
    new = [names for names in torn if not any(set(names) <= each for each in told)]
    yield from (f"Nearly the same picture: {shown(names)}.{_advice(names, splits)}" for names in new)


def torn_groups(cases: Sequence[Case]) -> Iterator[str]:
    """Yield what is wrong where a group has cases in several of the given splits, which no training takes."""
    try:
        split_cases(cases, fractions=(1.0, 0.0, 0.0), seed=0)
    except DataError as error:
        yield str(error)


def _given_splits(cases: Sequence[Case]) -> dict[str, Split | None]:
    """Return the split of each case or of its group; None where nothing gives one."""
    of_group: dict[str, Split | None] = {case.group: case.split for case in cases if case.split is not None}
    return {case.name: of_group.get(case.group) if case.split is None else case.split for case in cases}


def _advice(names: Sequence[str], splits: Mapping[str, Split | None]) -> str:
    """Return what to do about images that are alike: some stand in several splits already, others only might."""
    standing: defaultdict[Split, list[str]] = defaultdict(list)
    for name in names:
        split = splits[name]
        if split is not None:
            standing[split].append(name)
    if len(standing) < 2:
        return " Keep one, or name one group for all in a manifest, or a split may tear them apart."
    places = "; ".join(f"{split}: {shown(standing[split])}" for split in SPLITS if split in standing)
    return f" They stand in several splits ({places}), and scores on them flatter. Keep one, or name one split for all."


def shown_size(pixel_size: float | None) -> str:
    """Return a pixel size as text.

    >>> shown_size(0.5), shown_size(None)
    ('0.5 µm', 'not stated')
    """
    return "not stated" if pixel_size is None else f"{pixel_size:g} µm"


def _differences(what: str, images: Sequence[ImageFacts], look: Callable[[ImageFacts], Any]) -> Iterator[str]:
    """Yield one remark where images differ; what most of them share is told without their names."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for image in images:
        groups[look(image)].append(image.name)
    (most, names), *others = sorted(groups.items(), key=lambda group: -len(group[1])) or [("", [])]
    if others:
        rest = "; ".join(f"{found} in {len(names)}: {shown(names, most=5)}" for found, names in others)
        yield f"Images have different {what}: {most} in {len(names)}; {rest}."
