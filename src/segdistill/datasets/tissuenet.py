"""TissueNet 1.1: multiplexed tissue, whole cells and nuclei; three arrays of images.

Source:
    Greenwald, Miller et al. 2022, Nature Biotechnology 40. Key, MD5 and terms: ``deepcell/datasets/
    tissuenet.py`` of github.com/vanvalenlab/deepcell-tf, which also says that validation images come
    twice, at two resolutions. Order of channels: nucleus, membrane in X; whole cell, nucleus in y.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from segdistill.data.case import SPLIT_WORDS, Split
from segdistill.data.writers import write_labels
from segdistill.datasets.entry import Entry, Part, Prepared, Row, files, refuse_empty
from segdistill.datasets.npy_stream import images, length, table
from segdistill.datasets.writing import write_image
from segdistill.errors import DataError
from segdistill.fetch import DEEPCELL, Item

LAYOUT = "tissuenet_v1.1_train.npz, tissuenet_v1.1_val.npz and tissuenet_v1.1_test.npz, each with the arrays X and y"
CHANNELS = ("nucleus", "membrane")
STRUCTURES = ("cell", "nucleus")

_TWICE = (
    "Validation images come twice, at two resolutions, and are cut from larger ones: all that were cut from one"
    " image are a group and must not be counted as independent."
)
_UNKNOWN = (
    "{name} does not say which images were cut from one: all of it is one group, so its images are not counted as"
    " independent."
)


def prepare(source: Path, out: Path) -> Prepared:
    """Write every image as OME-TIFF and its cells and nuclei as label images.

    Images that the file says were cut from one larger image are a group.
    """
    found = files(source, "tissuenet_v1.1_*.npz")
    arrays: dict[Path, Split] = {path: SPLIT_WORDS[path.stem.rpartition("_")[2]] for path in found}
    refuse_empty(arrays, source, LAYOUT)
    rows: list[Row] = []
    notes = [_TWICE]
    for path, split in arrays.items():
        groups = _groups(path)
        if groups is None:
            notes.append(_UNKNOWN.format(name=path.name))
        rows.extend(_rows(path, split, groups, out))
    return Prepared(manifests={"manifest": tuple(rows)}, notes=tuple(notes))


def _rows(path: Path, split: Split, groups: list[str] | None, out: Path) -> Iterator[Row]:
    if length(path, "X") != length(path, "y"):
        raise DataError(f"{path} has {length(path, 'X')} images and {length(path, 'y')} labels. Get it again.")
    for number, (image, labels) in enumerate(zip(images(path, "X"), images(path, "y"), strict=True)):
        name = f"{split}/{number:04d}"
        if image.shape[2:] != (2,) or labels.shape != image.shape:
            raise DataError(
                f"{path}: image {number} is {image.shape}, its labels are {labels.shape}; wanted is (y, x, 2)."
            )
        picture = out / "images" / f"{name}.ome.tif"
        write_image(picture, np.ascontiguousarray(np.moveaxis(image, -1, 0)), CHANNELS)
        written = {}
        for plane, structure in enumerate(STRUCTURES):
            written[structure] = out / "labels" / structure / f"{name}.tif"
            write_labels(written[structure], labels[..., plane].astype(np.int64))
        yield Row(name=name, image=picture, labels=written, split=split, group=groups[number] if groups else split)


def _groups(path: Path) -> list[str] | None:
    """Return of each image the name of the file that it was cut from; None where that is not said."""
    lines = table(path, "meta")
    if lines is None or any("filename" not in line for line in lines):
        return None
    if len(lines) != length(path, "X"):
        raise DataError(f"{path} describes {len(lines)} images, but holds {length(path, 'X')}. Get it again.")
    return [line["filename"] for line in lines]


ENTRY = Entry(
    what="multiplexed tissue of six platforms and nine organs, nucleus and membrane",
    labels="cell, nucleus (instances)",
    licence="modified Apache-2.0: non-commercial academic use only; registration",
    page="https://datasets.deepcell.org",
    layout=LAYOUT,
    prepare=prepare,
    parts=(
        Part(
            item=Item(
                name="tissuenet_v1-1.zip",
                address="data/tissuenet/tissuenet_v1-1.zip",
                checksum="md5:cab3b8f242aaee02035557b93546d9dc",
                megabytes=4100,
                door=DEEPCELL,
            ),
            into="tissuenet_v1.1",
        ),
    ),
    settings="--label-kind instances",
)
