"""Reading every file of a data set once, and saying everything that would go wrong later."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Bool, Int

from segdistill.data.belonging import refuse_elsewhere
from segdistill.data.case import Case, image_files, shown
from segdistill.data.channels import check_names
from segdistill.data.datasets import Dataset
from segdistill.data.held import held
from segdistill.data.image import ImageSource, stated_names
from segdistill.data.label_kinds import Evidence
from segdistill.data.labels import KINDS, Kind, LabelSet, planes, read_labels
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

    stated: tuple[str, ...] = ()
    """The names of channels that the file states, where the user gave others; else empty."""


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


@dataclass(frozen=True, eq=False)
class Seen:
    """A case whose image can be read, while a survey has its files at hand."""

    case: Case
    """Whose they are."""

    image: ImageSource
    """Opened; its pixels are in memory unless it is very large."""

    labels: Mapping[str, Int[np.ndarray, "y x"]]
    """Label set to the numbers of its file, where these can be used."""

    counts: Bool[np.ndarray, "y x"]
    """False where a pixel counts for nothing."""


Visit = Callable[[Seen], None]


def _pass_by(_: Seen) -> None:
    """Look at nothing."""


def survey(
    dataset: Dataset,
    *,
    label_kind: str | None = None,
    value_names: Mapping[int, str] | None = None,
    needed: Mapping[str, Sequence[str]] | None = None,
    fill_non_finite: bool = False,
    visit: Visit = _pass_by,
) -> Survey:
    """Return what every file of a data set is like, and what is wrong with it; each file is read once.

    Args:
        dataset: Its label sets need no kinds: ``read_dataset(..., label_kind="instances")`` opens no file.
        label_kind: What the numbers in label files mean; None infers it, from all of them.
        value_names: Of classes or bits, structure by class number or bit value; files that hold others have a fault.
            None takes whatever occurs.
        needed: Channels that every image must offer, by who needs them, such as "the student".
        fill_non_finite: Whether NaN and infinite pixels will be filled, and so are no fault.
        visit: Called with each case whose image can be read, while its files are in memory, for whatever
            else is to be found out about it. Images above ``held.WHOLE`` pixels are read again as often as
            they are looked at.

    Raises:
        UnknownName: There is no such kind.
        ConfigError: Names are given for values that cannot be classes or bits.
    """
    if label_kind is not None and label_kind not in KINDS:
        raise UnknownName("label kind", label_kind, KINDS)
    found = _Found(
        {
            each.name: _LabelFiles(_kind(each.name, dataset, label_kind), _meaning(each.name, label_kind, value_names))
            for each in dataset.label_sets
        }
    )
    for case in dataset.cases:
        _look_at_case(case, dataset, found, visit, fill_non_finite=fill_non_finite)
    faults = [*found.image_faults]
    for who, names in (needed or {}).items():
        faults += _lacking(who, names, found.images)
    faults += found.mask_faults
    label_sets = []
    for name, files in found.label_sets.items():
        faults += files.faults
        kind = files.kind
        if kind is None:
            kind = UNCLEAR
            try:
                kind = files.evidence.kind()
            except ConfigError as error:
                faults.append(f"Labels {name!r}: {error}")
        label_sets.append(LabelSetFacts(name, kind, tuple(files.facts)))
    return Survey(tuple(found.images), tuple(label_sets), tuple(faults))


@dataclass
class _LabelFiles:
    """The files of one label set, seen one after another."""

    kind: str | None
    """Given, or known from how they are stored; None: their numbers must tell."""

    meaning: LabelSet | None = None
    """What numbers there may be; None: any."""

    evidence: Evidence = field(default_factory=Evidence)
    facts: list[LabelFacts] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@dataclass
class _Found:
    """What a survey has found so far."""

    label_sets: Mapping[str, _LabelFiles]
    images: list[ImageFacts] = field(default_factory=list)
    image_faults: list[str] = field(default_factory=list)
    mask_faults: list[str] = field(default_factory=list)


def _kind(name: str, dataset: Dataset, label_kind: str | None) -> str | None:
    drawn = any(is_outlines(case.labels[name]) for case in dataset.cases if name in case.labels)
    return label_kind or ("instances" if drawn else None)


def _meaning(name: str, label_kind: str | None, value_names: Mapping[int, str] | None) -> LabelSet | None:
    if label_kind == "binary":
        return LabelSet(name, "binary", (name,))
    if label_kind in {"classes", "bits"} and value_names:
        return LabelSet(name, cast("Kind", label_kind), tuple(value_names.values()), tuple(value_names))
    return None


def _look_at_case(case: Case, dataset: Dataset, found: _Found, visit: Visit, *, fill_non_finite: bool) -> None:
    """Read everything of a case, note what is wrong, and let a visitor see it."""
    options = {"channels": dataset.channels, "axes": dataset.axes, "fill_missing": dataset.fill_missing}
    with ExitStack() as stack:
        image, shape = None, None
        try:
            image = held(stack.enter_context(open_image(case.image, **options)))
            facts, wrong = _look_at_image(case, image)
        except DataError as error:
            found.image_faults.append(str(error))
            image = None
        else:
            found.images.append(facts)
            found.image_faults += [] if fill_non_finite else wrong
            shape = facts.shape[1:]
        labels, regions = _look_at_files(case, dataset, found, shape)
        if image is not None and shape is not None:
            visit(Seen(case, image, labels, _counts(case, regions, shape)))


def _look_at_image(case: Case, image: ImageSource) -> tuple[ImageFacts, list[str]]:
    """Return what an image is like, and of which channels some pixels are no numbers."""
    low, high, wrong = _ranges(image)
    file = ", ".join(map(str, image_files(case)))
    faults = [
        f"{file}: {count:,} of {image.shape[1] * image.shape[2]:,} pixels of channel {channel} are NaN or infinite."
        " Correct the file, or use --nan fill."
        for channel, count in zip(image.channels, wrong.tolist(), strict=True)
        if count
    ]
    uniform = tuple(name for name, same in zip(image.channels, (low >= high).tolist(), strict=True) if same)
    stated = stated_names(image)
    facts = ImageFacts(case.name, image.shape, image.channels, image.pixel_size, str(image.dtype), uniform, stated)
    return facts, faults


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


_Plane = Int[np.ndarray, "y x"]


def _look_at_files(
    case: Case, dataset: Dataset, found: _Found, shape: tuple[int, int] | None
) -> tuple[dict[str, _Plane], dict[Path, _Plane]]:
    """Return the label planes of a case by label set, and its masks by file; without those that cannot be used."""
    masks = {path for path in (case.ignore, case.field_of_view) if path is not None}
    regions = {}
    for path in sorted(masks):
        plane = _look_at_labels(path, case, shape, found.mask_faults, dataset)
        if plane is not None:
            regions[path] = plane
    labels = {}
    for name, files in found.label_sets.items():
        path = case.labels.get(name)
        plane = None if path is None else _look_at_labels(path, case, shape, files.faults, dataset, files.meaning)
        if plane is None:
            continue
        files.facts.append(LabelFacts(case.name, int(np.count_nonzero(np.unique(plane)))))
        if files.kind is None:
            files.evidence.add(plane)
        if shape is not None:
            labels[name] = plane
    return labels, regions


def _look_at_labels(
    path: Path,
    case: Case,
    shape: tuple[int, int] | None,
    faults: list[str],
    dataset: Dataset,
    meaning: LabelSet | None = None,
) -> _Plane | None:
    """Return the numbers of a label file; None, and a fault, where they cannot be used."""
    if shape is None and is_outlines(path):
        return None  # the image is a fault of its own; without it nothing is known of outlines
    try:
        refuse_elsewhere(path, image_files(case))
        array = read_labels(path, fill_missing=dataset.fill_missing, shape=shape)
        read_uncounted(path, (array.shape[0], array.shape[1]))
        if meaning is not None and meaning.kind == "binary" and not is_outlines(path):  # outlines are taken together
            planes(array, meaning, source=str(path))
    except DataError as error:
        faults.append(str(error))
        return None
    if shape is not None and array.shape != shape:
        own, wanted = (" × ".join(map(str, each)) for each in (array.shape, shape))
        faults.append(f"{path} has {own} pixels (y × x), but its image has {wanted}. They must be of one size.")
        return None
    if meaning is not None and meaning.values and not is_outlines(path):
        try:
            planes(array, meaning, source=str(path))
        except DataError as error:  # the numbers can be looked at all the same, and show what was not named
            faults.append(str(error))
    return array


def _counts(case: Case, regions: Mapping[Path, _Plane], shape: tuple[int, int]) -> Bool[np.ndarray, "y x"]:
    counts = np.ones(shape, bool)
    if case.ignore is not None and case.ignore in regions:
        counts &= regions[case.ignore] == 0
    if case.field_of_view is not None and case.field_of_view in regions:
        counts &= regions[case.field_of_view] != 0
    for path in case.labels.values():
        with suppress(DataError):  # a fault already
            counts &= ~read_uncounted(path, shape)
    return counts
