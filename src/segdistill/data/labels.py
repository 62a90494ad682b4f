"""What label files say: structures to segment, the kinds of label files, and their planes.

A label file has one integer per pixel. What the integer means is its kind:

    instances   0 is background, every other number names one object
    binary      0 is background, the one other number is the structure (1 or 255, it does not matter)
    classes     every number is a class; 0 is background; structures exclude each other
    bits        every bit is a structure; structures may overlap

Or it has outlines, drawn in QuPath or ImageJ: then its objects are numbered, and it is of kind instances,
or binary where its objects together are one structure.
"""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Int, Int32, Integer, Shaped
from PIL import Image as Pillow

from segdistill.data.coco import is_coco
from segdistill.data.dicom_labels import is_segmentation, read_segmentation
from segdistill.data.faithful import refuse_lossy, refuse_stretched
from segdistill.data.outlines import is_outlines, read_outlines
from segdistill.data.readers import read_image
from segdistill.data.readers.faults import reading
from segdistill.errors import ConfigError, DataError

Kind = Literal["instances", "binary", "classes", "bits"]
KINDS: tuple[Kind, ...] = get_args(Kind)
BOUNDARY = ".boundary"
"""What is added to a structure's name to name the network output that finds its inner boundary."""

_LARGEST = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Structure:
    """One thing to segment."""

    name: str
    """In files, settings and reports."""

    instances: bool
    """Whether single objects are told apart."""

    def __post_init__(self) -> None:
        if not self.name.strip() or self.name.endswith(BOUNDARY) or {"/", "\\"} & set(self.name):
            raise ConfigError(
                f"A structure cannot be called {self.name!r}. Choose a name that is not empty, has no slash"
                f" and does not end in {BOUNDARY!r}."
            )


@dataclass(frozen=True)
class LabelSet:
    """What the files of one folder (or manifest column) of labels mean."""

    name: str
    """Of the folder or column; for one structure, also the structure's."""

    kind: Kind
    """What a pixel's integer means."""

    structures: tuple[str, ...]
    """One name for instances and binary; one per value for classes and bits."""

    values: tuple[int, ...] = ()
    """Class numbers or bit values, in the order of ``structures``; empty for instances and binary."""

    def __post_init__(self) -> None:
        wanted = len(self.values) if self.kind in {"classes", "bits"} else 1
        if len(self.structures) != wanted or (self.kind in {"instances", "binary"} and self.values):
            raise ConfigError(
                f"Label set {self.name!r} is of kind {self.kind} with values {list(self.values)}, but names"
                f" {len(self.structures)} structures: {', '.join(self.structures) or 'none'}. Name one per value."
            )
        if any(value < 1 for value in self.values) or len(set(self.values)) < len(self.values):
            raise ConfigError(
                f"Label set {self.name!r} has values {list(self.values)}; they must be 1 or more, each once."
            )
        if self.kind == "bits" and any(value & (value - 1) for value in self.values):
            raise ConfigError(
                f"Label set {self.name!r} is a bit mask with values {list(self.values)}; each must be one bit:"
                " 1, 2, 4, 8, ..."
            )


def structures_of(label_sets: Iterable[LabelSet]) -> tuple[Structure, ...]:
    """Return all structures of some label sets, in order.

    Raises:
        ConfigError: Two label sets have a structure of the same name.

    >>> structures_of([LabelSet("cell", "instances", ("cell",)), LabelSet("organ", "bits", ("lung",), (4,))])
    (Structure(name='cell', instances=True), Structure(name='lung', instances=False))
    """
    found = tuple(Structure(name, each.kind == "instances") for each in label_sets for name in each.structures)
    names = [structure.name for structure in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"Several label sets have a structure called {', '.join(twice)}. Give each its own name.")
    return found


def output_names(structures: Sequence[Structure]) -> tuple[str, ...]:
    """Return the names of a network's outputs for these structures, in order.

    Each structure has its foreground, and its inner boundary after it if its instances are told
    apart. Every output is a sigmoid of its own.

    >>> output_names((Structure("cell", True), Structure("vessel", False)))
    ('cell', 'cell.boundary', 'vessel')
    """
    return tuple(
        name
        for structure in structures
        for name in (structure.name, f"{structure.name}{BOUNDARY}")[: 1 + structure.instances]
    )


def read_labels(
    path: Path, *, fill_missing: bool = False, shape: tuple[int, ...] | None = None
) -> Int[np.ndarray, "y x"]:
    """Return the integers of a label file; nothing is scaled, guessed or rounded.

    Args:
        path: PNG, GIF, TIFF, npy or whatever else ``read_image`` reads, of one plane. Of a picture
            with a palette the palette's indices are the labels. A picture of several channels is
            taken if they are all equal. Of DICOM-SEG the segments' numbers are the labels
            (``segdistill.data.dicom_labels``). Or outlines: GeoJSON from QuPath, .roi or .zip from ImageJ, or a path
            into a COCO file (``segdistill.data.coco``).
        fill_missing: Whether tiles or chunks of which nothing is stored hold no label, as many programs
            leave them out. Otherwise they are refused.
        shape: Pixels along y and x of the image, which outlines need, having no size of their own. Of other
            files it is not compared. None refuses outlines.

    Returns:
        int32, or int64 where a number needs it. A file of zeros is data: nothing is there.

    Raises:
        DataError: The file holds colours, fractions, negative or non-finite numbers, or was
            compressed with loss, whatever it is called; or programs disagree about its numbers, as about
            greys of 2 or 4 bits; or an outline is no area of the image.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "cells.npy"
    >>> np.save(path, np.array([[0, 0, 70000]], dtype=np.uint32))
    >>> read_labels(path)
    array([[    0,     0, 70000]], dtype=int32)
    """
    if is_outlines(path):
        return _drawn(path, shape)
    if is_coco(path):
        raise DataError(
            f"{path} may hold the objects of many images, as COCO files do, and is no label of one. Put it into labels/"
            " of a folder with images/, or name it in the label column of a manifest: each image is then found by its"
            " file's name."
        )
    refuse_lossy(path)
    array = read_segmentation(path) if is_segmentation(path) else _palette_indices(path)
    if array is None:
        array = _one_plane(read_image(path, fill_missing=fill_missing).array, path)
        refuse_stretched(array, path)
    if not array.size:
        raise DataError(f"{path} has no pixels: its shape is {array.shape} (y, x). Remove it or save it again.")
    return _integers(array, path)


def _drawn(path: Path, shape: tuple[int, ...] | None) -> Int32[np.ndarray, "y x"]:
    if shape is None:
        raise DataError(
            f"{path} holds outlines, which have no size of their own and can be labels beside an image only."
            " Give a label image here."
        )
    height, width = shape
    return read_outlines(path, (height, width))


def read_planes(
    path: Path, label_set: LabelSet, *, fill_missing: bool = False, shape: tuple[int, ...] | None = None
) -> Int32[np.ndarray, "k y x"]:
    """Return one plane per structure of a label file: ``planes`` of ``read_labels``.

    Args:
        path: As in ``read_labels``.
        label_set: What its numbers mean. Outlines are instances, or together one binary structure.
        fill_missing: As in ``read_labels``.
        shape: As in ``read_labels``.

    Raises:
        DataError: The file cannot be used, or holds something that the label set does not know.
    """
    labels = read_labels(path, fill_missing=fill_missing, shape=shape)
    if is_outlines(path):
        if label_set.kind not in {"instances", "binary"}:
            raise DataError(
                f"{path} holds outlines of objects, but label set {label_set.name!r} is of kind {label_set.kind}."
                " Outlines are instances or binary: save those of each structure in a folder of its own."
            )
        labels = labels if label_set.kind == "instances" else (labels > 0).astype(np.int32)
    return planes(labels, label_set, source=str(path))


def _palette_indices(path: Path) -> Shaped[np.ndarray, "y x"] | None:
    """Return the indices of a picture with a palette; None for every other file."""
    if path.suffix.lower() not in {".png", ".gif", ".bmp"}:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
        try:
            picture = Pillow.open(path, formats=("PNG", "GIF", "BMP"))
        except (OSError, SyntaxError, ValueError, Pillow.DecompressionBombError):
            return None  # read_image says what is wrong
    with picture, reading(str(path), "picture"):
        plain = picture.mode != "P" or getattr(picture, "n_frames", 1) > 1
        return None if plain else np.asarray(picture)


def _one_plane(array: Shaped[np.ndarray, "c y x"], path: Path) -> Shaped[np.ndarray, "y x"]:
    if any(not np.array_equal(array[0], other) for other in array[1:]):
        raise DataError(
            f"{path} has {len(array)} channels that differ, so it is no label file: a label is one integer per pixel."
            " Turn colours into class numbers and save one channel."
        )
    return array[0]


def _integers(array: Shaped[np.ndarray, "y x"], path: Path) -> Int[np.ndarray, "y x"]:
    if array.dtype.kind == "f":
        _refuse_inexact(array, path)
    elif array.dtype.kind not in "biu":
        raise DataError(f"{path} holds {array.dtype} numbers; labels are integers. Save them as uint16 or uint32.")
    low, high = int(array.min()), int(array.max())
    if low < 0:
        raise DataError(
            f"{path} holds negative numbers ({np.count_nonzero(array < 0)} pixels, lowest {low}); labels start at 0,"
            " the background. Put pixels that must not count into ignore/ and 0 in their place."
        )
    if high > np.iinfo(np.int64).max:
        raise DataError(f"{path} holds the label {high}, which is above 2**63 - 1. Number the objects from 1 again.")
    return array.astype(np.int32 if high <= _LARGEST else np.int64)


def _refuse_inexact(array: Shaped[np.ndarray, "y x"], path: Path) -> None:
    """Refuse floating-point labels that are not exact whole numbers."""
    wrong = ~np.isfinite(array)
    wrong |= np.trunc(np.where(wrong, 0, array)) != np.where(wrong, 0, array)
    if wrong.any():
        raise DataError(
            f"{path} holds {np.count_nonzero(wrong)} pixels that are no whole numbers, such as {array[wrong][0]};"
            " labels are integers. Is this a probability map, or were labels resized by interpolation?"
        )
    exact = 2 ** (np.finfo(array.dtype).nmant + 1)
    if np.abs(array).max() > exact:
        raise DataError(
            f"{path} holds {array.dtype} labels up to {array.max():.0f}, but {array.dtype} tells whole numbers apart"
            f" only up to {exact}. Save the labels as uint32."
        )


def planes(
    labels: Integer[np.ndarray, "y x"], label_set: LabelSet, *, source: str = "a label array"
) -> Int32[np.ndarray, "k y x"]:
    """Return one plane per structure of a label set.

    Args:
        labels: As ``read_labels`` returns them.
        label_set: What they mean.
        source: File name, for the error message.

    Returns:
        For instances the ids as they are: an id in several pieces stays one object, and ids are
        renumbered, in their order, only where they do not fit 32 bits. For the other kinds 0 or 1.

    Raises:
        DataError: The labels hold a value that the label set does not know.

    >>> planes(np.array([[0, 1, 5]]), LabelSet("organ", "bits", ("lung", "heart"), (1, 4)))[:, 0]
    array([[0, 1, 1],
           [0, 0, 1]], dtype=int32)
    """
    if label_set.kind == "instances":
        return _fitting(labels)[None]
    if label_set.kind == "binary":
        return _one_value(labels, source)[None].astype(np.int32)
    if label_set.kind == "classes":
        _refuse_unknown(labels, ~np.isin(labels, (0, *label_set.values)), label_set, source)
        return np.stack([labels == value for value in label_set.values]).astype(np.int32)
    wide = labels.astype(np.int64)
    _refuse_unknown(labels, (wide & ~sum(label_set.values)) != 0, label_set, source)
    return np.stack([(wide & value) != 0 for value in label_set.values]).astype(np.int32)


def _fitting(labels: Integer[np.ndarray, "y x"]) -> Int32[np.ndarray, "y x"]:
    if labels.size and labels.max() > _LARGEST:
        ids = np.unique(labels[labels > 0])
        return np.where(labels > 0, np.searchsorted(ids, labels) + 1, 0).astype(np.int32)
    return labels.astype(np.int32)


def _one_value(labels: Integer[np.ndarray, "y x"], source: str) -> Bool[np.ndarray, "y x"]:
    present = labels != 0
    found = np.unique(labels[present])
    if len(found) > 1:
        raise DataError(
            f"{source} holds {len(found)} values besides 0 ({shown_values(found.tolist())}), but its label set is"
            " binary, which has one. Threshold the mask when you save it, or give another --label-kind."
        )
    return present


def _refuse_unknown(
    labels: Integer[np.ndarray, "y x"], unknown: Bool[np.ndarray, "y x"], label_set: LabelSet, source: str
) -> None:
    if unknown.any():
        found = shown_values(np.unique(labels[unknown]).tolist())
        raise DataError(
            f"{source} holds the values {found}, but the {label_set.kind} of label set {label_set.name!r} are"
            f" {shown_values(label_set.values)}. Name them too, or correct the file."
        )


def shown_values(values: Sequence[int]) -> str:
    """Return numbers as text, at most ten of them.

    >>> shown_values([1, 2, 4]), shown_values(list(range(1, 300)))
    ('1, 2, 4', '1, 2, 3, 4, 5, 6, 7, 8, 9, ... 299')
    """
    if len(values) <= 10:
        return ", ".join(map(str, values))
    return f"{', '.join(map(str, values[:9]))}, ... {values[-1]}"
