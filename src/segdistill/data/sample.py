"""One case in memory: image, label planes and which pixels count, checked against each other."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int32, Shaped

from segdistill.data.belonging import refuse_elsewhere
from segdistill.data.case import Case, image_files, shown
from segdistill.data.datasets import Dataset
from segdistill.data.finite import filled, refuse_non_finite
from segdistill.data.image import Image
from segdistill.data.labels import LabelSet, read_labels, read_planes
from segdistill.data.outlines import read_uncounted
from segdistill.data.readers import read_image
from segdistill.errors import DataError


@dataclass(frozen=True, eq=False)
class Sample:
    """One field with what is known of it."""

    name: str
    """Of the case."""

    image: Image
    """As the file holds it: neither resized nor normalised. No pixel is NaN or infinite."""

    planes: Int32[np.ndarray, "k y x"]
    """One plane per structure of the data set, in its order; 0 throughout where nobody labelled."""

    known: Bool[np.ndarray, " k"]
    """Whether somebody labelled this structure here. A plane of zeros with True says: there is none."""

    counts: Bool[np.ndarray, "y x"]
    """False where a pixel counts for nothing: in no loss, no score, no picture."""

    drawn_on: tuple[int, int] | None = None
    """Pixels along y and x of the file, if the image was brought to another pixel size since; None: it was not."""


def read_sample(case: Case, dataset: Dataset, *, fill_non_finite: bool = False) -> Sample:
    """Return a case with everything that belongs to it.

    Args:
        case: One of the data set's cases.
        dataset: Says what the channels are called and what the labels mean.
        fill_non_finite: Whether NaN and infinite pixels become the lowest finite value of their
            channel (0 if there is none) instead of being refused.

    Raises:
        DataError: A file cannot be used: it is damaged, has no pixels, has non-finite pixels, has
            another size than its image, or labels that its label set does not know.
    """
    fill_missing = dataset.fill_missing
    image = read_image(case.image, channels=dataset.channels, axes=dataset.axes, fill_missing=fill_missing)
    if not image.array.size:
        raise DataError(
            f"{image.source} has no pixels: its shape is {image.array.shape} (c, y, x). Remove it or save it again."
        )
    if fill_non_finite:
        image = replace(image, array=filled(image.array))
    refuse_non_finite(image.array, image.channels, source=image.source)
    parts, known = [], []
    counts = _counts(case, image, fill_missing)
    for label_set in dataset.label_sets:
        path = case.labels.get(label_set.name)
        known += [path is not None] * len(label_set.structures)
        if path is None:
            parts.append(np.zeros((len(label_set.structures), *image.array.shape[1:]), np.int32))
        else:
            parts.append(_of_size(path, case, image, fill_missing, label_set))
            counts &= ~read_uncounted(path, counts.shape)
    every = np.concatenate(parts) if parts else np.zeros((0, *image.array.shape[1:]), np.int32)
    return Sample(case.name, image, every, np.array(known, dtype=bool), counts)


def _counts(case: Case, image: Image, fill_missing: bool) -> Bool[np.ndarray, "y x"]:
    counts = np.ones(image.array.shape[1:], dtype=bool)
    if case.ignore is not None:
        counts &= _of_size(case.ignore, case, image, fill_missing) == 0
    if case.field_of_view is not None:
        counts &= _of_size(case.field_of_view, case, image, fill_missing) != 0
    return counts


def _of_size(
    path: Path, case: Case, image: Image, fill_missing: bool, label_set: LabelSet | None = None
) -> Shaped[np.ndarray, "..."]:
    """Return the planes of a label file, or the numbers of a mask, refusing another size than the image's."""
    shape = image.array.shape[1:]
    refuse_elsewhere(path, image_files(case))
    if label_set is None:
        labels = read_labels(path, fill_missing=fill_missing, shape=shape)
    else:
        labels = read_planes(path, label_set, fill_missing=fill_missing, shape=shape)
    if labels.shape[-2:] != shape:
        own, wanted = (" × ".join(map(str, each)) for each in (labels.shape[-2:], shape))
        raise DataError(
            f"{path} has {own} pixels (y × x), but its image {shown(image_files(case))} has {wanted}."
            " They must be of one size; nothing is resized silently."
        )
    return labels
