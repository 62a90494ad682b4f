"""Labels from a COCO file: one JSON file with the objects of many images and of several categories.

A data set names what belongs to an image by a path into the file that is no file of its own:
``labels/annotations.json/A01 (cell) [17 3].coco`` are the objects of category 3 in image 17.
Where a file marks a crowd (``iscrowd``), objects lie that nobody told apart: such pixels count for nothing.

Source:
    Lin et al. 2014, arXiv:1405.0312; https://cocodataset.org/#format-data.
"""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Bool, Float64

from segdistill.data.case import shown, stem
from segdistill.data.outline import Outline, Stamp
from segdistill.data.readers.faults import reading
from segdistill.errors import DataError

SUFFIX = ".coco"
"""Of a path into a COCO file."""

_KEY = re.compile(r"\[(-?\d+) (-?\d+)\]\.coco")


@dataclass(frozen=True, eq=False)
class CocoFile:
    """What a COCO file holds, by what belongs together."""

    images: Mapping[int, tuple[str, tuple[int, int]]]
    """Number of an image to its file's name, and its pixels along y and x."""

    categories: Mapping[int, str]
    """Number to name."""

    objects: Mapping[tuple[int, int], tuple[Any, ...]]
    """Image and category to its annotations of single objects, in the file's order."""

    crowds: Mapping[tuple[int, int], tuple[Any, ...]]
    """Image and category to its annotations of crowds (``iscrowd``), in the file's order."""

    @cached_property
    def used(self) -> Mapping[int, str]:
        """The categories of which there is any single object."""
        there = {category for _, category in self.objects}
        return {number: name for number, name in self.categories.items() if number in there}

    @property
    def unused(self) -> tuple[str, ...]:
        """Names of the categories of which there is no single object."""
        return tuple(name for number, name in self.categories.items() if number not in self.used)

    @cached_property
    def by_end(self) -> Mapping[str, tuple[int, ...]]:
        """Last part of an image's stem, without its folders, to the numbers of the images that have it."""
        found = defaultdict[str, list[int]](list)
        for number, (name, _) in self.images.items():
            found[image_of(name).rpartition("/")[2]].append(number)
        return {end: tuple(numbers) for end, numbers in found.items()}


def is_coco(path: Path) -> bool:
    """Return whether a file may hold COCO annotations, by its name."""
    return path.suffix.lower() == ".json"


def read_coco(path: Path) -> CocoFile:
    """Return what a COCO file holds; the last few files are kept in memory.

    Raises:
        DataError: It is damaged, is no COCO file of objects, or contradicts itself.
    """
    facts = path.stat()
    return _read(path, facts.st_mtime_ns, facts.st_size)


def image_of(file_name: str) -> str:
    """Return the stem by which an image of a COCO file is found among those of a data set.

    >>> image_of("train/A01.ome.tif")
    'train/A01'
    """
    return stem(PurePosixPath(file_name.replace("\\", "/")))


def inner_path(path: Path, file: CocoFile, image: int, category: int) -> Path:
    """Return the path that stands for the objects of one category in one image."""
    name, _ = file.images[image]
    title = f"{PurePosixPath(name).stem} ({file.categories[category]})".replace("/", "_").replace("\\", "_")
    return path / f"{title} [{image} {category}]{SUFFIX}"


def read_objects(path: Path) -> list[Outline | Stamp]:
    """Return the single objects that a path into a COCO file stands for; crowds are no objects.

    Polygons of one object are taken together; run-length masks, compressed or not, are decoded.

    Raises:
        DataError: One has no area, or cannot be read.
    """
    file, image, category = _parts(path)
    return _drawn(path, file.objects.get((image, category), ()), file.images[image][1])


def read_crowds(path: Path) -> list[Outline | Stamp]:
    """Return the crowds of a path into a COCO file: where objects lie that nobody told apart.

    Raises:
        DataError: One has no area, or cannot be read.
    """
    file, image, category = _parts(path)
    return _drawn(path, file.crowds.get((image, category), ()), file.images[image][1])


def _drawn(path: Path, annotations: Sequence[Any], shape: tuple[int, int]) -> list[Outline | Stamp]:
    found = [_area(path, each) for each in annotations]
    for each in found:
        if isinstance(each, Stamp) and each.whole != shape:
            raise DataError(
                f"{path}: {each.name} is a mask of {each.whole[0]} × {each.whole[1]} pixels (y × x), but the file says"
                f" that its image has {shape[0]} × {shape[1]}. Export it again."
            )
    return found


def stated_shape(path: Path) -> tuple[int, int]:
    """Return the pixels along y and x that the file states for the image of a path into it."""
    file, image, _ = _parts(path)
    return file.images[image][1]


def _parts(path: Path) -> tuple[CocoFile, int, int]:
    match = _KEY.search(path.name)
    if match is None:
        raise DataError(f"{path} names no image and category of a COCO file.")
    return read_coco(path.parent), int(match[1]), int(match[2])


@lru_cache(maxsize=4)
def _read(path: Path, modified: int, size: int) -> CocoFile:  # noqa: ARG001  (they say that the file is the same)
    with reading(str(path), "JSON"):
        document = json.loads(path.read_text("utf-8-sig"))
    parts = {key: document.get(key) if isinstance(document, dict) else None for key in _PARTS}
    wrong = [key for key, value in parts.items() if not isinstance(value, list)]
    if wrong:
        raise DataError(
            f"{path} is no COCO file of objects: it has no list of {', '.join(wrong)}. Export the annotations as COCO"
            " instance segmentation, or take the file out of labels/."
        )
    try:
        return _sorted(path, parts)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path} has an entry that cannot be read ({type(error).__name__}: {error}). Export it again."
        ) from error


_PARTS = ("images", "annotations", "categories")


def _sorted(path: Path, parts: Mapping[str, Any]) -> CocoFile:
    images = {int(each["id"]): (str(each["file_name"]), _shape(each)) for each in parts["images"]}
    categories = {int(each["id"]): str(each["name"]).strip() for each in parts["categories"]}
    for what, found, listed in (("images", images, parts["images"]), ("categories", categories, parts["categories"])):
        if len(found) < len(listed):
            raise DataError(f"{path} has {len(listed)} {what}, but only {len(found)} different ids. Export it again.")
    twice = sorted({name for name in categories.values() if list(categories.values()).count(name) > 1})
    if twice:
        raise DataError(f"{path} has several categories called {shown(twice)}. Give each a name of its own.")
    objects, crowds = defaultdict[tuple[int, int], list[Any]](list), defaultdict[tuple[int, int], list[Any]](list)
    for each in parts["annotations"]:
        image, category = int(each["image_id"]), int(each["category_id"])
        if image not in images or category not in categories:
            raise DataError(
                f"{path}: annotation {each.get('id')} belongs to image {image} and category {category}, of which the"
                " file does not know both. Export it again."
            )
        (crowds if _is_crowd(path, each) else objects)[image, category].append(each)
    single, together = ({key: tuple(found) for key, found in kind.items()} for kind in (objects, crowds))
    return CocoFile(images, categories, single, together)


def _is_crowd(path: Path, annotation: Mapping[str, Any]) -> bool:
    marked = annotation.get("iscrowd") or 0
    if marked not in {0, 1}:
        raise DataError(
            f"{path}: annotation {annotation.get('id')} has {marked!r} as iscrowd, which is 0 for a single object and 1"
            " for a crowd. Correct it."
        )
    return bool(marked)


def _shape(image: Mapping[str, Any]) -> tuple[int, int]:
    return int(image["height"]), int(image["width"])


def _area(path: Path, annotation: Mapping[str, Any]) -> Outline | Stamp:
    name = f"annotation {annotation.get('id')}"
    drawn = annotation.get("segmentation")
    if not drawn:
        _refuse(path, name, "has no segmentation, perhaps a box alone")
    try:
        return Outline(name, tuple((_ring(ring),) for ring in drawn)) if isinstance(drawn, list) else _mask(name, drawn)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(f"{path}: {name} has a segmentation that cannot be read ({error}). Export it again.") from error


def _ring(numbers: Any) -> Float64[np.ndarray, "_ 2"]:
    ring = np.array(numbers, dtype=np.float64).reshape(-1, 2)
    if len(ring) < 3:
        raise ValueError("a polygon needs three corners of x and y")
    if not np.isfinite(ring).all():
        raise ValueError("a corner is not finite")
    return ring


def _mask(name: str, coded: Mapping[str, Any]) -> Stamp:
    height, width = (int(side) for side in coded["size"])
    counts = coded["counts"]
    runs = np.array(runs_of(counts) if isinstance(counts, str) else counts, dtype=np.int64)
    if runs.ndim != 1 or (runs < 0).any() or runs.sum() != height * width:
        raise ValueError(f"its runs do not make up {height} × {width} pixels (y × x)")
    values = np.arange(len(runs)) % 2 == 1  # the first run is background
    inside: Bool[np.ndarray, "y x"] = np.repeat(values, runs).reshape(width, height).T  # column after column
    return Stamp.cut(name, inside)


def runs_of(text: str) -> list[int]:
    """Return the lengths of the runs in a compressed run-length mask.

    Each is written in steps of five bits, lowest first, as characters from "0" on; a sixth bit says
    that more follow, and from the fourth run on it is the difference to the one two before.

    >>> runs_of("0R1")  # no background, then 34 pixels
    [0, 34]

    Raises:
        ValueError: The text ends within a number, or has a character that means nothing.
    """
    runs: list[int] = []
    value = place = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"{letter!r} is no part of a run-length mask")
        value |= (bits & 31) << (5 * place)
        place += 1
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << (5 * place)  # the number is negative
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = place = 0
    if place:
        raise ValueError("the run-length mask ends within a number")
    return runs


def _refuse(path: Path, name: str, what: str) -> NoReturn:
    raise DataError(
        f"{path}: {name} {what}. Labels are areas, one for each object: take it out of the file, or mark what counts"
        " for nothing in a mask in ignore/."
    )
