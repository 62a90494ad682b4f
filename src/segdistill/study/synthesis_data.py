"""The images that a diffusion model is fitted on: training images alone, asserted by content."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Int32

from segdistill.data.case import shown
from segdistill.data.channels import select
from segdistill.data.image import Image
from segdistill.data.labels import Structure
from segdistill.data.normalisation import Rule, measure_range, normalise
from segdistill.data.pseudonyms import image_sha256
from segdistill.data.rescale import nearest
from segdistill.data.sample import Sample
from segdistill.errors import ConfigError
from segdistill.files import sha256_array
from segdistill.settings.synthesize import Synthesize
from segdistill.study.preparation import Prepared, prepare
from segdistill.synthesis.numbers import Numbers, brought_to, rule_for
from segdistill.synthesis.telling import told_maps
from segdistill.training.entries import Entry

Notice = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Real:
    """A training image as the model is shown it."""

    entry: Entry
    """0 to 1, at the scale of what is drawn."""

    numbers: Numbers
    """What 0 and 1 were in its file."""

    group: str
    """Images that are alike are of one."""

    image_sha256: str
    """Of its file."""

    pixels_sha256: str
    """Of its pixels, as they were read."""

    planes: Int32[np.ndarray, "k y x"]
    """Its labels at that scale, one plane per structure."""

    known: Bool[np.ndarray, " k"]
    """Which of them somebody labelled."""

    maps: Float32[np.ndarray, "o y x"]
    """Its labels as the model is told them, if it is; else of no output."""

    @property
    def shown(self) -> Entry:
        """What the model is shown: the image, and behind its channels the masks that it is told."""
        return replace(self.entry, image=np.concatenate([self.entry.image, self.maps]))


@dataclass(frozen=True, eq=False)
class Reals:
    """The training images of a data set."""

    channels: tuple[str, ...]
    """That are drawn, by name."""

    structures: tuple[Structure, ...]
    """What is labelled in them."""

    rule: Rule
    """That brought their numbers to 0..1."""

    fitted: tuple[Real, ...]
    """That the model is fitted on."""

    held_back: tuple[Real, ...]
    """That it is measured by; none of a group of which it is fitted on any."""

    pixel_size: float | None
    """Of what is drawn, micrometres; None: not known."""


def training_images(settings: Synthesize, *, notice: Notice) -> Reals:
    """Read the training images of a data set; validation and test images do not enter.

    Of a data set in which nothing is labelled every image is taken: nothing can be scored on it.

    Args:
        settings: Where they are, and what is to be drawn.
        notice: Told what was inferred, and what could not be read.

    Raises:
        ConfigError: There is no training image, one of them is by its content a validation or test image, or their
            channels differ.
        DataError: A channel is missing.
    """
    prepared = prepare(settings, notice=notice, tested=False)
    labelled = any(sample.known.any() for sample in prepared.samples.values())
    if not labelled:
        notice(f"Nothing is labelled here: all of its {len(prepared.samples)} images are taken for training images.")
    held = [name for part in ("validation", "test") for name in prepared.split[part]] if labelled else []
    names = [name for name in prepared.samples if name not in held]
    files = {case.name: image_sha256(case) for case in prepared.dataset.cases if case.name in prepared.samples}
    pixels = {name: sha256_array(sample.image.array) for name, sample in prepared.samples.items()}
    _refuse_leaks(names, held, files, pixels)
    samples = [prepared.samples[name] for name in names]
    channels = settings.image_channels or _shared_channels(samples)
    rule = rule_for([sample.image.array.dtype for sample in samples])
    apart = _held_back(names, prepared, settings.held_back, seed=settings.seed)
    reals = {
        sample.name: _real(sample, channels, rule, settings, prepared, (files[sample.name], pixels[sample.name]))
        for sample in samples
    }
    sizes = {sample.image.pixel_size for sample in samples}
    return Reals(
        tuple(channels),
        prepared.dataset.structures,
        rule,
        tuple(real for name, real in reals.items() if name not in apart),
        tuple(real for name, real in reals.items() if name in apart),
        sizes.pop() if settings.shown == "parts" and len(sizes) == 1 else None,
    )


def central_window(real: Real, side: int) -> np.ndarray:
    """Return the square in an image's middle, its last row and column repeated where it is too small."""
    picture = real.entry.image
    missing = [max(0, side - length) for length in picture.shape[1:]]
    picture = np.pad(picture, [(0, 0), *((0, each) for each in missing)], mode="edge")
    top, left = ((length - side) // 2 for length in picture.shape[1:])
    return picture[:, top : top + side, left : left + side]


def _refuse_leaks(names: Sequence[str], held: Sequence[str], files: dict[str, str], pixels: dict[str, str]) -> None:
    known = {hashes[name] for name in held for hashes in (files, pixels)}
    leaks = sorted(name for name in names if files[name] in known or pixels[name] in known)
    if leaks:
        raise ConfigError(
            f"{len(leaks)} training images are validation or test images, too, by their content: {shown(leaks)}. A"
            " model that was fitted on them would show them to whatever learns from its images. Give equal images"
            " one split in the manifest, or take them out."
        )


def _shared_channels(samples: Sequence[Sample]) -> tuple[str, ...]:
    kinds = {sample.image.channels: sample for sample in reversed(samples)}
    if len(kinds) > 1:
        found = "; ".join(f"{', '.join(channels)} in {sample.image.source}" for channels, sample in kinds.items())
        raise ConfigError(
            f"The images have different channels ({found}). Name those that all of them offer with --image-channels;"
            " of colour pictures and unnamed grey ones that is luma."
        )
    return next(iter(kinds))


def _held_back(names: Sequence[str], prepared: Prepared, share: float, *, seed: int) -> set[str]:
    """Return images of whole groups, at most this share of all."""
    groups = sorted({prepared.groups[name] for name in names})
    apart: set[str] = set()
    for place in np.random.default_rng((seed, len(groups))).permutation(len(groups)):
        own = {name for name in names if prepared.groups[name] == groups[place]}
        if len(apart) + len(own) <= share * len(names):
            apart |= own
    return apart


def _real(
    sample: Sample,
    channels: Sequence[str],
    rule: Rule,
    settings: Synthesize,
    prepared: Prepared,
    hashes: tuple[str, str],
) -> Real:
    image: Image = sample.image
    chosen = select(image.array, image.channels, channels, source=image.source)
    low, high = measure_range(image, rule, names=channels)
    picture = normalise(chosen, low, high)
    planes = sample.planes
    if settings.shown == "whole":
        picture = brought_to(picture, settings.size)
        planes = nearest(planes, (picture.shape[1], picture.shape[2]))
    size = picture.shape[1:]
    structures = prepared.dataset.structures
    told = told_maps(planes, sample.known, structures) if settings.given_masks else np.zeros((0, *size), np.float32)
    entry = Entry(
        sample.name, picture, np.zeros((0, *size), np.int32), np.zeros(0, dtype=bool), np.ones(size, dtype=bool)
    )
    numbers = Numbers(tuple(low.tolist()), tuple(high.tolist()), image.array.dtype.name, image.inverted)
    file, pixels = hashes
    return Real(entry, numbers, prepared.groups[sample.name], file, pixels, planes, sample.known, told)
