"""What a check of a data set finds, put together for the page and the command line."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from segdistill import __version__
from segdistill.data.case import shown as listed
from segdistill.data.datasets import Dataset, read_dataset
from segdistill.data.duplicates import alike_names
from segdistill.data.glimpse import Glimpse, LabelMeasures, glimpse
from segdistill.data.likeness import small_picture
from segdistill.data.oddities import oddities, sided
from segdistill.data.renaming import renamed_words
from segdistill.data.splits import fingerprint, same
from segdistill.data.survey import ImageFacts, LabelSetFacts, Seen, Survey, survey
from segdistill.data.survey_remarks import remarks, shown_size, torn_groups
from segdistill.errors import DataError
from segdistill.report.check_content import Balance, ChannelHistograms, CheckContent, CheckPicture
from segdistill.report.check_page import contact_picture
from segdistill.settings import Check
from segdistill.study.preparation import under_pseudonyms

MOST_ODD, MOST_OTHERS = 60, 240
"""Cases with a picture on the page: those to look at first, and others."""

SIDE, ODD_SIDE = 176, 256
"""Longer side of their pictures, pixels."""

MOST_LINES = 100
"""Images whose histograms are drawn."""

BINS = 48
Notice = Callable[[str], None]


@dataclass
class Looked:
    """Everything that is kept of the cases that can be read: small things."""

    wanted: int
    near_duplicates: bool
    notice: Notice
    glimpses: list[Glimpse] = field(default_factory=list)
    prints: dict[str, tuple[str, ...]] = field(default_factory=dict)
    pictures: dict[str, np.ndarray] = field(default_factory=dict)

    def look(self, seen: Seen) -> None:
        """Keep what is needed of a case."""
        name = seen.case.name
        try:
            self.prints[name] = fingerprint(seen.image)
            if self.near_duplicates:
                self.pictures[name] = small_picture(seen.image)
            self.glimpses.append(glimpse(seen))
        except DataError as error:
            self.notice(f"No picture of {name}: {error}")
        if len(self.prints) % 100 == 0:
            self.notice(f"{len(self.prints)} of {self.wanted} images looked at.")


def check(data: Path, settings: Check, *, notice: Notice = lambda _: None) -> CheckContent:
    """Read every image and label of a data set once, and return everything that would go wrong or is odd.

    Args:
        data: Folder with images/ and, where they exist, labels/ of the same stems; or a CSV manifest.
        settings: How to read it, and what it must offer.
        notice: Told how far it is, where there are many images; and what a private page must not say.

    Raises:
        SegdistillError: There is no data set, or a setting is wrong.
    """
    dataset = read_dataset(
        data,
        channels=settings.channels,
        axes=settings.axes,
        label_kind="instances",  # opens no label file: the survey reads them all and says what is wrong with each
        structure=settings.structure,
        pattern=settings.pattern,
        fill_missing=settings.fill_missing,
    )
    if settings.private:
        dataset = under_pseudonyms(dataset, notice)
    wanted = {"the student": settings.student_channels, "the teacher": settings.teacher_channels}
    looked = Looked(len(dataset.cases), settings.near_duplicates, notice)
    found = survey(
        dataset,
        label_kind=settings.label_kind,
        value_names=settings.names_of_values,
        needed={who: names for who, names in wanted.items() if names},
        fill_non_finite=settings.nan == "fill",
        visit=looked.look,
    )
    kinds = {each.name: each.kind for each in found.label_sets}
    balance = tuple(class_balance(looked.glimpses, kinds, settings.names_of_values or {}))
    reasons = oddities(looked.glimpses, instances=[name for name, kind in kinds.items() if kind == "instances"])
    shown = [each for each in looked.glimpses if not (settings.private and each.overlays)]
    odd, others, left_out = _pictures(shown, reasons, kinds)
    stated = {each.name: each.stated for each in found.images}
    renamed = renamed_words(stated, settings.channels, among=len(stated))
    equal, alike = same(looked.prints), alike_names(looked.pictures)
    return CheckContent(
        data="private data" if settings.private else str(data),
        made=f"Checked by segdistill {__version__} on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        facts=tuple(facts_of(dataset, found)),
        faults=(
            *torn_groups(dataset.cases),
            *(_hidden(found.faults, notice) if settings.private else found.faults),
        ),
        remarks=(
            *([] if renamed is None else [renamed]),
            *remarks(dataset, found, equal=equal, alike=alike),
            *_sides(balance),
            *(_on_writing(looked.glimpses) if settings.private else ()),
        ),
        odd=odd,
        pictures=others,
        left_out=left_out,
        histograms=tuple(_histograms(looked.glimpses)),
        balance=balance,
        images=tuple(_row(each) for each in found.images),
    )


def _hidden(faults: Sequence[str], notice: Notice) -> Iterator[str]:
    """Tell every fault, and yield in its place what does not name a file."""
    for number, fault in enumerate(faults, start=1):
        notice(f"Fault {number}: {fault}")
        yield f"Fault {number}, whose words name a file: they were told when the check ran."


def _on_writing(glimpses: Sequence[Glimpse]) -> Iterator[str]:
    written = [each.name for each in glimpses if each.overlays]
    if written:
        yield f"{len(written)} images seem to be written on and are not shown, for it may be a name: {listed(written)}."
    yield "Pictures show what images show: look for names in them before this page is passed on."


def _pictures(
    glimpses: Sequence[Glimpse], reasons: Mapping[str, Sequence[str]], kinds: Mapping[str, str]
) -> tuple[tuple[CheckPicture, ...], tuple[CheckPicture, ...], int]:
    """Return the cases to look at first, others spread evenly over the rest, and how many have no picture."""
    by_name = {each.name: each for each in glimpses}
    first = [name for name in reasons if name in by_name][:MOST_ODD]
    odd = tuple(_picture(by_name[name], kinds, reasons[name], side=ODD_SIDE) for name in first)
    rest = [each for each in glimpses if each.name not in first]
    places = np.linspace(0, len(rest) - 1, min(len(rest), MOST_OTHERS)).round().astype(int).tolist() if rest else []
    others = tuple(_picture(rest[place], kinds, reasons.get(rest[place].name, ()), side=SIDE) for place in places)
    return odd, others, len(rest) - len(others)


def _picture(each: Glimpse, kinds: Mapping[str, str], reasons: Sequence[str], *, side: int) -> CheckPicture:
    told = [
        f"{name}: {len(measures.pixels):,} objects"
        if kinds.get(name) == "instances"
        else f"{name}: {100 * measures.covered:.1f} % of the image"
        for name, measures in each.measures.items()
    ]
    uri = contact_picture(each.view, each.channels, each.labels.values(), each.counts, side=side)
    return CheckPicture(name=each.name, uri=uri, words="; ".join(told) or "not labelled", reasons=tuple(reasons))


def _histograms(glimpses: Sequence[Glimpse]) -> Iterator[ChannelHistograms]:
    """Yield the histograms of each channel, over images that are evenly spread if there are many."""
    for channel in dict.fromkeys(name for each in glimpses for name in each.channels):
        having = [each for each in glimpses if channel in each.channels]
        having = having[:: -(-len(having) // MOST_LINES)]
        places = [each.channels.index(channel) for each in having]
        stored = [each.sample[place] for each, place in zip(having, places, strict=True)]
        low, high = min(float(pixels.min()) for pixels in stored), max(float(pixels.max()) for pixels in stored)
        yield ChannelHistograms(
            channel=channel,
            stored={each.name: _shares(pixels, low, high) for each, pixels in zip(having, stored, strict=True)},
            low=low,
            high=high,
            normalised={
                each.name: _shares(each.normalised[place], 0.0, 1.0) for each, place in zip(having, places, strict=True)
            },
        )


def _shares(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    counts, _ = np.histogram(pixels, bins=BINS, range=(low, high if high > low else low + 1))
    return counts / max(1, pixels.size)


def class_balance(glimpses: Sequence[Glimpse], kinds: Mapping[str, str], names: Mapping[int, str]) -> Iterator[Balance]:
    """Yield how much there is of each thing that is labelled.

    Args:
        glimpses: Of the cases.
        kinds: Label set to what its numbers mean.
        names: Number of a class or bit to its name; others are called by their number.
    """
    for name, kind in kinds.items():
        every = [each.measures[name] for each in glimpses if name in each.measures]
        total = sum(each.size for each in every)
        if not total:
            continue
        if kind == "instances":
            sizes = [size for each in every for size in each.pixels.values()]
            yield Balance(
                label_set=name,
                structure=name,
                images=sum(bool(each.pixels) for each in every),
                of_images=len(every),
                share=sum(sizes) / total,
                objects=len(sizes),
                median_size=float(np.median(sizes)) if sizes else None,
            )
        else:
            yield from _values(name, kind, every, total, names)


def _values(
    name: str, kind: str, every: Sequence[LabelMeasures], total: int, names: Mapping[int, str]
) -> Iterator[Balance]:
    """Yield one row per class, per bit, or for whatever is not background."""
    numbers = sorted({number for each in every for number in each.pixels})
    meant: dict[str, Callable[[int], bool]] = {}
    if kind == "bits":
        bits = [1 << place for place in range(max(numbers, default=0).bit_length())]
        meant = {names.get(bit, f"bit {bit}"): (lambda number, bit=bit: bool(number & bit)) for bit in bits}
    elif kind == "binary":
        meant = {name: bool}
    else:
        meant = {
            names.get(number, f"value {number}"): (lambda other, number=number: other == number) for number in numbers
        }
    for structure, holds in meant.items():
        pixels = [sum(size for number, size in each.pixels.items() if holds(number)) for each in every]
        yield Balance(
            label_set=name,
            structure=structure,
            images=sum(bool(each) for each in pixels),
            of_images=len(every),
            share=sum(pixels) / total,
        )


def _sides(balance: Iterable[Balance]) -> Iterator[str]:
    names = sided(dict.fromkeys(name for each in balance for name in (each.label_set, each.structure)))
    if names:
        yield (
            f"{', '.join(names)}: a mirrored image has left and right exchanged. Train with --protocol.no-flips"
            " and --protocol.no-turns."
        )


def facts_of(dataset: Dataset, found: Survey) -> Iterator[tuple[str, str]]:
    """Yield what all images have, and in what they differ: sizes, channels, pixel sizes, types, labels."""
    sizes = sorted({image.shape[1:] for image in found.images}, key=lambda size: size[0] * size[1])
    ends = [_size(*size) for size in (sizes[:1] + sizes[-1:] if len(sizes) > 1 else sizes)]
    yield "images", str(len(dataset.cases))
    yield "readable images", str(len(found.images))
    yield "size (y × x)", " to ".join(ends)
    yield "channels", _listed(", ".join(image.channels) for image in found.images)
    yield "pixel size", _listed(shown_size(image.pixel_size) for image in found.images)
    yield "type", _listed(image.dtype for image in found.images)
    for each in found.label_sets:
        yield f"labels {each.name}", _labels(each)


def _row(image: ImageFacts) -> tuple[str, str, str, str, str]:
    size = _size(*image.shape[1:])
    return image.name, size, image.dtype, shown_size(image.pixel_size), ", ".join(image.channels)


def _size(height: int, width: int) -> str:
    return f"{height} × {width}"


def _listed(values: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(values))


def _labels(facts: LabelSetFacts) -> str:
    files, values = len(facts.labels), [label.values for label in facts.labels]
    objects = f", {sum(values):,} objects" if facts.kind == "instances" else ""
    return f"{facts.kind}, {files} readable files{objects}, {values.count(0)} empty"
