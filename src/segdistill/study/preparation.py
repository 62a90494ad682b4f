"""Reading a data set for a study: samples, splits, and what had to be left out."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from segdistill.data.case import shown
from segdistill.data.datasets import Case, Dataset, read_dataset
from segdistill.data.inversion import inverted
from segdistill.data.pseudonyms import image_sha256, pseudonymous
from segdistill.data.renaming import renamed_words
from segdistill.data.rescale import at_pixel_size
from segdistill.data.sample import Sample, read_sample
from segdistill.data.splits import split_cases
from segdistill.errors import ConfigError, DataError, UnknownName
from segdistill.networks.card import HASH_DIGITS
from segdistill.networks.licences import NOT_STATED
from segdistill.settings import Images, Scored, Source
from segdistill.study.duplicates import keep_together
from segdistill.study.origins import origins, refuse_seen

Notice = Callable[[str], None]

LICENCE = "licence"
"""Column of a manifest, behind its '#', that says under which terms an image may be used."""

HIDDEN = "could not be used; the reason, which names its file, was told when it ran"
"""What is kept of the reason why a private image was left out."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A data set in memory, divided."""

    dataset: Dataset
    samples: Mapping[str, Sample]
    """By name of the case; only those that could be read."""

    split: Mapping[str, tuple[str, ...]]
    """"train", "validation", "test" to names of cases, in order."""

    groups: Mapping[str, str]
    """Name of the case to its group, images that are alike in one: the unit of the statistics."""

    dropped: Mapping[str, str]
    """Name of a case that could not be read to the reason."""

    notes: tuple[str, ...]
    """What a reader of the result must know about the data."""

    by: str | None = None
    """Column of the manifest by whose values scores are told, too; None: none."""

    licences: Mapping[str, int] = field(default_factory=dict)
    """Under which terms how many of the images may be used; empty: nobody looked."""

    twins: tuple[tuple[str, ...], ...] = ()
    """Names of cases that show one picture, or nearly, in whatever parts they lie."""

    def of(self, split: str) -> list[Sample]:
        """Return the samples of a split, in order."""
        return [self.samples[name] for name in self.split[split]]

    def labelled(self, split: str) -> list[Sample]:
        """Return the samples of a split that carry any label."""
        return [sample for sample in self.of(split) if sample.known.any()]


def _terms(cases: Sequence[Case], source: Source) -> dict[str, int]:
    """Return under which terms images may be used, and how many of them."""
    stated = source.data_licence if isinstance(source, Scored) else None
    return dict(Counter(stated or case.remarks.get(LICENCE, "").strip() or NOT_STATED for case in cases))


@dataclass(frozen=True, eq=False)
class Readable:
    """A data set in memory, not yet divided."""

    dataset: Dataset
    samples: Mapping[str, Sample]
    """By name of the case; only those that could be read."""

    cases: tuple[Case, ...]
    """Those that could be read, images that are alike in one group."""

    dropped: Mapping[str, str]
    """Name of a case that could not be read to the reason."""

    notes: tuple[str, ...]
    """What a reader of the result must know about the data."""

    twins: tuple[tuple[str, ...], ...] = ()
    """Names of cases that show one picture, or nearly, in whatever splits they lie."""


def prepare(source: Source, *, notice: Notice, tested: bool = True) -> Prepared:
    """Read and divide a data set.

    Args:
        source: Where it is and how to read it.
        notice: Told what was inferred and what could not be read.
        tested: Whether something is to be scored on the test images.

    Raises:
        ConfigError: Nothing can be read, nothing is labelled among the test images that are to be scored on, or the
            data holds images that were drawn by a model that has seen validation or test images.
        UnknownName: The manifest has no column by which scores are to be told.
    """
    dataset = open_dataset(source)
    by = find_column(dataset, source) if isinstance(source, Scored) else None
    found = read_whole(dataset, source, private=source.private, notice=notice)
    split = {
        name: tuple(case.name for case in part)
        for name, part in split_cases(found.cases, fractions=source.split, seed=source.split_seed).items()
    }
    held = {*split["validation"], *split["test"]}
    held_cases = [case for case in found.cases if case.name in held]
    refuse_seen(origins(found.cases), held_cases, found.samples, private=source.private)
    groups = {case.name: case.group for case in found.cases}
    nothing = tuple(_without_objects(found)) if tested else ()
    for note in nothing:
        notice(note)
    notes = (*found.notes, *nothing)
    prepared = Prepared(
        found.dataset, found.samples, split, groups, found.dropped, notes, by, _terms(found.cases, source), found.twins
    )
    if tested and not prepared.labelled("test"):
        raise ConfigError(
            f"None of the {len(split['test'])} test images in {source.data} is labelled, so nothing could be said"
            " about any student. Give a few test images labels: files in labels/ for some images, or a manifest with"
            " split test for images that have a label. That holds with --labels 0, too; a teacher's targets (segdistill"
            " targets) cannot replace them."
        )
    return prepared


def read_whole(dataset: Dataset, source: Images, *, private: bool, notice: Notice) -> Readable:
    """Read every image of a data set that can be read.

    Args:
        dataset: As ``open_dataset`` returns it.
        source: Where it is and how to read it.
        private: Whether its images and groups have pseudonyms from here on.
        notice: Told what was inferred and what could not be read.

    Raises:
        ConfigError: Nothing can be read.
    """
    if private:
        dataset = under_pseudonyms(dataset, notice)
    samples, dropped = _read(dataset, source, notice, private=private)
    readable = [case for case in dataset.cases if case.name in samples]
    together = keep_together(readable, axes=source.axes, fill_missing=source.fill_missing)
    stated = {name: sample.image.stated for name, sample in samples.items()}
    renamed = renamed_words(stated, source.channels, among=len(samples))
    notes = (*dataset.notes, *([] if renamed is None else [renamed]), *together.notes, *_inversions(samples, source))
    for note in notes:
        notice(note)
    return Readable(dataset, samples, together.cases, dropped, notes, together.twins)


def _inversions(samples: Mapping[str, Sample], source: Images) -> Iterator[str]:
    if source.invert != "none":
        turned = [name for name, sample in samples.items() if sample.image.inverted]
        names = f": {shown(turned)}" if turned else ""
        yield f"Turned from dark on bright to bright on dark: {len(turned)} of {len(samples)} images{names}."


def _without_objects(found: Readable) -> Iterator[str]:
    """Yield a sentence for each structure of which no image shows anything, though somebody looked for it."""
    for place, structure in enumerate(found.dataset.structures):
        looked = [sample for sample in found.samples.values() if sample.known[place]]
        if looked and not any(sample.planes[place][sample.counts].any() for sample in looked):
            yield (
                f"None of the {len(looked)} images that are labelled for {structure.name} shows any: students learn"
                " that there is none, and scores say whether they find none, not how well they find it."
            )


def open_dataset(source: Images) -> Dataset:
    """Return the data set that settings name, with the label sets that they name; no image is read.

    Raises:
        DataError: Files are missing, doubled or without partner.
        ConfigError: The kind of labels cannot be inferred, or settings contradict each other.
        UnknownName: There is no such label set.
    """
    dataset = read_dataset(
        source.data,
        channels=source.channels,
        axes=source.axes,
        label_kind=source.label_kind,
        structure=source.structure,
        value_names=source.names_of_values,
        pattern=source.pattern,
        fill_missing=source.fill_missing,
    )
    return _with_label_sets(dataset, source.label_sets)


def find_column(dataset: Dataset, source: Scored) -> str | None:
    """Return the column of the manifest by whose values scores are told, without its '#'; None where none is named.

    Raises:
        ConfigError: The data set is a folder, which has no columns.
        UnknownName: The manifest has no such column, or nothing stands in it.
    """
    if source.by is None:
        return None
    bare = source.by.removeprefix("#").strip()
    if source.data.is_dir():
        raise ConfigError(
            f"by is {source.by!r}, but {source.data} is a folder, and only a CSV manifest has columns. Write a manifest"
            f" with a column '#{bare}', or leave by out."
        )
    known = {column for case in dataset.cases for column in case.remarks}
    if bare not in known:
        raise UnknownName("filled '#' column in the manifest", bare, known)
    return bare


def under_pseudonyms(dataset: Dataset, notice: Notice) -> Dataset:
    """Return the data set with its cases under pseudonyms; remarks that may name files are told and not kept."""
    for note in dataset.notes:
        notice(note)
    left = [f"{len(dataset.notes)} remarks on files, which name them, were told when it ran."] if dataset.notes else []
    return replace(dataset, cases=pseudonymous(dataset.cases), notes=tuple(left))


def read_field(case: Case, dataset: Dataset, source: Images) -> Sample:
    """Return a field as students and teachers read it.

    Raises:
        DataError: It cannot be used.
    """
    sample = read_sample(case, dataset, fill_non_finite=source.nan == "fill")
    sample = replace(sample, image=inverted(sample.image, source.invert))
    return at_pixel_size(sample, source.pixel_size)


def read_privately(case: Case, dataset: Dataset, source: Images, *, notice: Notice) -> Sample:
    """Return a field that names no file, of a case under a pseudonym; see ``read_field``.

    Raises:
        DataError: It cannot be used; the reason, which may name its file, is told and not raised.
    """
    try:
        sample = read_field(case, dataset, source)
    except Exception as error:  # whatever it is, its words may name the file
        notice(f"{case.name}: {error}")
        raise DataError(HIDDEN) from error
    return replace(sample, image=replace(sample.image, source=case.name))


def _with_label_sets(dataset: Dataset, names: tuple[str, ...] | None) -> Dataset:
    """Return the data set with these label sets only; None keeps all."""
    if names is None:
        return dataset
    known = {label_set.name: label_set for label_set in dataset.label_sets}
    for name in names:
        if name not in known:
            raise UnknownName("label set", name, known)
    return replace(dataset, label_sets=tuple(known[name] for name in names))


def _read(
    dataset: Dataset, source: Images, notice: Notice, *, private: bool
) -> tuple[dict[str, Sample], dict[str, str]]:
    samples: dict[str, Sample] = {}
    dropped: dict[str, str] = {}
    for case in dataset.cases:
        try:
            sample = read_field(case, dataset, source)
        except DataError as error:
            dropped[case.name] = HIDDEN if private else str(error)
            notice(f"Left out: {error}")
            continue
        if private:
            sample = replace(sample, image=replace(sample.image, source=case.name))
        samples[case.name] = sample
    if not samples:
        raise ConfigError(
            f"None of the {len(dataset.cases)} images in {source.data} can be used; the reasons are above."
        )
    return samples, dropped


def file_marks(prepared: Prepared, names: Collection[str]) -> tuple[str, ...]:
    """Return, in order, what a model's card calls the images of some cases by: beginnings of their files' hashes."""
    cases = (case for case in prepared.dataset.cases if case.name in names)
    return tuple(sorted({image_sha256(case)[:HASH_DIGITS] for case in cases}))


def labelled_budget(samples: Sequence[Sample], count: int | None, *, seed: int) -> frozenset[str]:
    """Return the names of the training images whose labels an arm may use.

    Budgets are nested: a smaller one is part of every larger one of the same seed. The seed draws
    which images these are, so the spread over seeds includes the luck of that draw.

    Args:
        samples: Labelled training images.
        count: How many. None is all of them.
        seed: Of the draw.

    Raises:
        ConfigError: More are asked for than there are.
    """
    if count is None:
        return frozenset(sample.name for sample in samples)
    if count > len(samples):
        raise ConfigError(
            f"labels is {count}, but only {len(samples)} training images are labelled. Lower it, or drop it to use all."
        )
    order = np.random.default_rng((seed, len(samples))).permutation(len(samples))
    return frozenset(samples[index].name for index in order[:count])


def budget_seed(split_seed: int, seed: int) -> int:
    """Return the seed by which a run draws its labelled images: of the division and of the run itself.

    >>> budget_seed(2, 1)
    2001
    """
    return 1000 * split_seed + seed
