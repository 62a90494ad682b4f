"""What a survey of a data set says about its files taken together: differences, doubles, leaks."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from segdistill.data.case import Case, shown
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
        yield f"Channels of one value throughout, in {len(uniform)} images: {shown(uniform)}."
    yield from _torn_groups(dataset.cases)
    patients = [f"({shown(names, most=4)})" for names in of_one_patient(dataset.cases)]
    if patients:
        yield f"Of one patient each, as their DICOM files say: {shown(patients)}. Training keeps them in one split."
    yield from (f"The same picture: {shown(names)}.{_ADVICE}" for names in equal)
    told = [set(names) for names in equal]
    group = {case.name: case.group for case in dataset.cases}
    torn = [names for names in alike if len({group[name] for name in names}) > 1]  # slices of a scan are alike
    new = [names for names in torn if not any(set(names) <= each for each in told)]
    yield from (f"Nearly the same picture: {shown(names)}.{_ADVICE}" for names in new)


_ADVICE = " Keep one, or name one group for all in a manifest, or a split may tear them apart."


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


def _torn_groups(cases: Sequence[Case]) -> Iterator[str]:
    try:
        split_cases(cases, fractions=(1.0, 0.0, 0.0), seed=0)
    except DataError as error:
        yield str(error)
