"""The images that an encoder is pre-trained on, none of which may be scored or chosen on later."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from segdistill.data.case import shown
from segdistill.data.pseudonyms import image_sha256
from segdistill.data.sample import Sample
from segdistill.errors import ConfigError
from segdistill.files import sha256_array
from segdistill.settings import Images, Pretrain
from segdistill.study.origins import origins, refuse_seen
from segdistill.study.preparation import Prepared, Readable, open_dataset, prepare, read_whole

Notice = Callable[[str], None]

_FURTHER = "transfer/"
"""Before the names of images that come from elsewhere than the data set of the task."""


@dataclass(frozen=True, eq=False)
class TransferSet:
    """Images to pre-train on, in memory."""

    prepared: Prepared
    """The data set of the task."""

    samples: Mapping[str, Sample]
    """Image by name."""

    hashes: Mapping[str, str]
    """Name to the SHA-256 of the image's file."""

    further: int
    """How many of them are not of the data set of the task."""

    behind: frozenset[str] = frozenset()
    """SHA-256 of the files of the images on which the models were fitted that drew further ones."""

    labelled_behind: frozenset[str] = frozenset()
    """Those of them whose labels the models were told."""


def gather(settings: Pretrain, *, notice: Notice) -> TransferSet:
    """Read the images to pre-train on: the training images of a data set, and further ones.

    Of a data set in which nothing is labelled every image is taken: nothing can be scored on it.

    Args:
        settings: Where they are.
        notice: Told what was inferred, and what could not be read.

    Raises:
        ConfigError: There is no image, or validation and test images are among the further ones, or among those on
            which the model was fitted that drew them.
    """
    prepared = prepare(settings, notice=notice, tested=False)
    labelled = any(sample.known.any() for sample in prepared.samples.values())
    held = [*prepared.split["validation"], *prepared.split["test"]] if labelled else []
    if not labelled:
        notice(f"Nothing is labelled in {_shown_place(settings)}: all of its {len(prepared.samples)} images are used.")
    of_task = {case.name: image_sha256(case) for case in prepared.dataset.cases if case.name in prepared.samples}
    samples = {name: sample for name, sample in prepared.samples.items() if name not in held}
    hashes = {name: of_task[name] for name in samples}
    found = None if settings.transfer is None else _read_further(settings, notice)
    drawn_by = {} if found is None else origins(found.cases)
    held_cases = [case for case in prepared.dataset.cases if case.name in held]
    refuse_seen(drawn_by, held_cases, prepared.samples, private=settings.private)
    further = {} if found is None else _further(found)
    held_files = {of_task[name] for name in held}
    held_pixels = {_pixels(prepared.samples[name]) for name in held}
    leaks = [name for name, (sample, sha) in further.items() if sha in held_files or _pixels(sample) in held_pixels]
    if leaks:
        raise ConfigError(
            f"{len(leaks)} of the images in {_shown_transfer(settings)} are validation or test images of the data, by"
            f" their content: {shown(leaks)}. What is pre-trained on them could not be scored on them. Take them out."
        )
    known = {_pixels(sample) for sample in samples.values()}
    twice = [name for name, (sample, _) in further.items() if _pixels(sample) in known]
    if twice:
        notice(f"{len(twice)} images in {_shown_transfer(settings)} are training images already, and used once.")
    fresh = {name: both for name, both in further.items() if name not in twice}
    return TransferSet(
        prepared,
        samples | {name: sample for name, (sample, _) in fresh.items()},
        hashes | {name: sha for name, (_, sha) in fresh.items()},
        len(fresh),
        frozenset(image for card in drawn_by.values() for image in card.images),
        frozenset(image for card in drawn_by.values() for image in card.labelled),
    )


def _read_further(settings: Pretrain, notice: Notice) -> Readable:
    """Return further images; they are read as the data is."""
    place = Images(
        data=settings.transfer,  # pyright: ignore[reportArgumentType]  (called where it is named)
        label_kind="instances",  # whatever the numbers mean: labels of further images are left aside
        channels=settings.channels,
        axes=settings.axes,
        pattern=settings.pattern,
        fill_missing=settings.fill_missing,
        nan=settings.nan,
        pixel_size=settings.pixel_size,
        invert=settings.invert,
    )
    return read_whole(open_dataset(place), place, private=settings.private, notice=notice)


def _further(found: Readable) -> dict[str, tuple[Sample, str]]:
    """Return further images by name, without labels, with the hashes of their files."""
    unlabelled = {
        name: replace(each, planes=each.planes[:0], known=each.known[:0]) for name, each in found.samples.items()
    }
    return {
        _FURTHER + case.name: (replace(unlabelled[case.name], name=_FURTHER + case.name), image_sha256(case))
        for case in found.cases
    }


def _pixels(sample: Sample) -> str:
    return sha256_array(sample.image.array)


def _shown_place(settings: Pretrain) -> str:
    return "the data" if settings.private else str(settings.data)


def _shown_transfer(settings: Pretrain) -> str:
    return "transfer" if settings.private else str(settings.transfer)
