"""Reading every file of a data set once, and saying everything that would go wrong later."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Int

from segdistill.data.case import Case, image_files, shown
from segdistill.data.channels import check_names
from segdistill.data.datasets import Dataset
from segdistill.data.image import ImageSource
from segdistill.data.label_kinds import infer_kind
from segdistill.data.labels import KINDS, LabelSet, planes, read_labels
from segdistill.data.outlines import is_outlines, read_uncounted
from segdistill.data.readers import open_image
from segdistill.errors import ConfigError, DataError, UnknownName

_STRIP = 1024
"""Images are read in strips of so many rows."""

UNCLEAR = "not clear"
"""Kind of labels whose numbers could mean several things."""


@dataclass(frozen=True)
class ImageFacts:
    """What a readable image is like."""

    name: str
    """Of the case."""

    shape: tuple[int, int, int]
    """Channels, pixels along y, pixels along x."""

    channels: tuple[str, ...]
    """Their names."""

    pixel_size: float | None
    """Micrometres; None where nothing says."""

    dtype: str
    """Type of the pixels."""

    uniform: tuple[str, ...]
    """Channels that have one value throughout."""


@dataclass(frozen=True)
class LabelFacts:
    """What a readable label file is like."""

    name: str
    """Of the case."""

    values: int
    """How many different numbers besides 0 it holds: objects, if these are instances."""


@dataclass(frozen=True)
class LabelSetFacts:
    """What the label files of one set are like."""

    name: str
    """Of the label set."""

    kind: str
    """Given or inferred; ``UNCLEAR`` where neither."""

    labels: tuple[LabelFacts, ...]
    """Of the files that could be read."""


@dataclass(frozen=True)
class Survey:
    """What a data set holds, file by file."""

    images: tuple[ImageFacts, ...]
    """Of the images that could be read."""

    label_sets: tuple[LabelSetFacts, ...]
    """Of every label set."""

    faults: tuple[str, ...]
    """Everything that would be refused; each names its file."""

    sound: tuple[Case, ...] = field(default=())
    """Cases whose images could be read."""


def survey(
    dataset: Dataset,
    *,
    label_kind: str | None = None,
    needed: Mapping[str, Sequence[str]] | None = None,
    fill_non_finite: bool = False,
) -> Survey:
    """Return what every file of a data set is like, and what is wrong with it.

    Args:
        dataset: Its label sets need no kinds: ``read_dataset(..., label_kind="instances")`` opens no file.
        label_kind: What the numbers in label files mean; None infers it, from all of them.
        needed: Channels that every image must offer, by who needs them, such as "the student".
        fill_non_finite: Whether NaN and infinite pixels will be filled, and so are no fault.

    Raises:
        UnknownName: There is no such kind.
    """
    if label_kind is not None and label_kind not in KINDS:
        raise UnknownName("label kind", label_kind, KINDS)
    faults: list[str] = []
    images: dict[str, ImageFacts] = {}
    for case in dataset.cases:
        facts = _look_at_image(case, dataset, faults, fill_non_finite=fill_non_finite)
        if facts is not None:
            images[case.name] = facts
    for who, names in (needed or {}).items():
        faults += _lacking(who, names, images.values())
    for case in dataset.cases:
        for mask in (case.ignore, case.field_of_view):
            if mask is not None:
                _look_at_labels(mask, case, images, faults, fill_missing=dataset.fill_missing)
    label_sets = tuple(_look_at_set(each.name, dataset, label_kind, images, faults) for each in dataset.label_sets)
    sound = tuple(case for case in dataset.cases if case.name in images)
    return Survey(tuple(images.values()), label_sets, tuple(faults), sound)


def _look_at_image(case: Case, dataset: Dataset, faults: list[str], *, fill_non_finite: bool) -> ImageFacts | None:
    """Return what an image is like; None, and a fault, where it cannot be read."""
    file = ", ".join(map(str, image_files(case)))
    try:
        with open_image(
            case.image, channels=dataset.channels, axes=dataset.axes, fill_missing=dataset.fill_missing
        ) as opened:
            low, high, wrong = _ranges(opened)
            channels, shape, dtype, pixel_size = opened.channels, opened.shape, str(opened.dtype), opened.pixel_size
    except DataError as error:
        faults.append(str(error))
        return None
    for channel, count in zip(channels, wrong.tolist(), strict=True):
        if count and not fill_non_finite:
            faults.append(
                f"{file}: {count:,} of {shape[1] * shape[2]:,} pixels of channel {channel} are NaN or infinite."
                " Correct the file, or use --nan fill."
            )
    uniform = tuple(name for name, same in zip(channels, (low >= high).tolist(), strict=True) if same)
    return ImageFacts(case.name, shape, channels, pixel_size, dtype, uniform)


def _lacking(who: str, names: Sequence[str], images: Iterable[ImageFacts]) -> Iterator[str]:
    """Yield one fault for all images that offer the same channels, if these are not enough."""
    alike: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for image in images:
        alike[image.channels].append(image.name)
    for channels, cases in alike.items():
        try:
            check_names(channels, names, source=f"What {who} is to see in {shown(cases)}")
        except DataError as error:
            yield str(error)


def _ranges(opened: ImageSource) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each channel's lowest and highest finite value, and how many of its pixels are not finite."""
    count, height, width = opened.shape
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    wrong = np.zeros(count, np.int64)
    for top in range(0, height, _STRIP):
        strip = opened.read((slice(top, min(top + _STRIP, height)), slice(0, width)))
        finite = np.isfinite(strip)
        low = np.minimum(low, np.where(finite, strip, np.inf).min(axis=(1, 2)))
        high = np.maximum(high, np.where(finite, strip, -np.inf).max(axis=(1, 2)))
        wrong += np.count_nonzero(~finite, axis=(1, 2))
    return low, high, wrong


def _look_at_set(
    name: str, dataset: Dataset, label_kind: str | None, images: Mapping[str, ImageFacts], faults: list[str]
) -> LabelSetFacts:
    files = [(case, case.labels[name]) for case in dataset.cases if name in case.labels]
    facts: list[LabelFacts] = []

    def arrays() -> Iterator[Int[np.ndarray, "_ _"]]:
        for case, path in files:
            array = _look_at_labels(
                path, case, images, faults, binary=label_kind == "binary", fill_missing=dataset.fill_missing
            )
            if array is not None:
                facts.append(LabelFacts(case.name, int(np.count_nonzero(np.unique(array)))))
                yield array

    drawn = any(is_outlines(path) for _, path in files)
    kind = label_kind or ("instances" if drawn else UNCLEAR)
    if label_kind is None and not drawn:
        try:
            kind = infer_kind(arrays())
        except ConfigError as error:
            faults.append(f"Labels {name!r}: {error}")
    else:
        for _ in arrays():
            pass
    return LabelSetFacts(name, kind, tuple(facts))


def _look_at_labels(
    path: Path,
    case: Case,
    images: Mapping[str, ImageFacts],
    faults: list[str],
    *,
    fill_missing: bool,
    binary: bool = False,
) -> Int[np.ndarray, "y x"] | None:
    """Return the numbers of a label file; None, and a fault, where they cannot be used."""
    image = images.get(case.name)
    if image is None and is_outlines(path):
        return None  # the image is a fault of its own; without it nothing is known of outlines
    try:
        array = read_labels(path, fill_missing=fill_missing, shape=None if image is None else image.shape[1:])
        read_uncounted(path, (array.shape[0], array.shape[1]))
        if binary and not is_outlines(path):  # outlines are taken together
            planes(array, LabelSet("mask", "binary", ("mask",)), source=str(path))
    except DataError as error:
        faults.append(str(error))
        return None
    if image is not None and array.shape != image.shape[1:]:
        own, wanted = (" × ".join(map(str, shape)) for shape in (array.shape, image.shape[1:]))
        faults.append(f"{path} has {own} pixels (y × x), but its image has {wanted}. They must be of one size.")
        return None
    return array
