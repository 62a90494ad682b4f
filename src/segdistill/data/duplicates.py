"""Pictures that show the same thing, though not one pixel need be equal: found by their fine structure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Float32, Int
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from segdistill.data.case import Case
from segdistill.data.finite import filled
from segdistill.data.image import ImageSource
from segdistill.data.readers import open_image

_SIDE = 64
"""Side of the small picture that stands for an image, pixels."""

_WHOLE = 2**24
"""Images of more pixels are averaged band by band."""

# Note [How alike is alike]: on 100 ultrasound images, 664 images of nuclei, 30 radiographs, 28 fundus pictures
# and 13 fields of cells, no two different images reach 0.52 where what all images share is taken out
# first, nor 0.87 where it is not (two fundus pictures in the same round aperture). Duplicates that were
# cropped by a few pixels, resized or saved again lie from 0.63 upwards. The second bound serves data sets
# of which the greater part is duplicates, where taking out what all share takes out everything.
_ALIKE = 0.6
_ALIKE_AS_THEY_ARE = 0.95


def near_duplicate_groups(cases: Sequence[Case], *, axes: str | None = None) -> list[tuple[str, ...]]:
    """Return the names of cases whose images are near-duplicates of each other.

    Found are images that were saved again, resized, cropped by about a hundredth, made brighter,
    mirrored or turned by quarters. Not found are images that overlap in part only. Images without
    any structure are not compared.

    Args:
        cases: In any order; every image is read once.
        axes: Meaning of the files' axes; None takes the files' own.

    Returns:
        One tuple of at least two names per group, in the order of the cases. Likeness is passed on: a
        like b and b like c makes one group.

    Source:
        The small pictures are compared after local contrast normalisation: Jarrett, Kavukcuoglu,
        Ranzato, LeCun 2009, "What is the best multi-stage architecture for object recognition?",
        section 2.
    """
    if len(cases) < 2:
        return []
    structure = _fine_structure(np.stack([_small_picture(case, axes) for case in cases]))
    groups = _components(_alike(structure), len(cases))
    return [names for group in groups if len(names := tuple(cases[index].name for index in group)) > 1]


def joined_groups(cases: Sequence[Case], alike: Iterable[Sequence[str]]) -> tuple[Case, ...]:
    """Return the cases with groups merged wherever cases of two groups are alike.

    Args:
        cases: All cases of a data set.
        alike: Names that belong together, as ``near_duplicate_groups`` or ``equal_content`` return
            them.

    Returns:
        The cases in their order. A merged group has the first of its groups' names.

    >>> from pathlib import Path
    >>> cases = [Case(name, Path(name), {}, None, None, name, None) for name in "abc"]
    >>> [case.group for case in joined_groups(cases, [("c", "b")])]
    ['a', 'b', 'b']
    """
    place = {case.name: index for index, case in enumerate(cases)}
    first = {case.group: index for index, case in reversed(list(enumerate(cases)))}
    links = [(index, first[case.group]) for index, case in enumerate(cases)]
    links += [(place[names[0]], place[name]) for names in alike for name in names]
    joined = list(cases)
    for members in _components(np.array(links, dtype=np.int64).reshape(-1, 2), len(cases)):
        name = min(cases[index].group for index in members)
        for index in members:
            joined[index] = replace(cases[index], group=name)
    return tuple(joined)


def _components(links: Int[np.ndarray, "n 2"], count: int) -> list[list[int]]:
    """Return the members of each connected component, in order."""
    graph = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    groups: dict[int, list[int]] = {}
    for index, each in enumerate(component.tolist()):
        groups.setdefault(each, []).append(index)
    return list(groups.values())


def _small_picture(case: Case, axes: str | None) -> Float[np.ndarray, "side side"]:
    """Return the image's brightness, averaged in 64 × 64 fields."""
    with open_image(case.image, axes=axes) as opened:
        height, width = opened.shape[1:]
        if height * width > _WHOLE:
            return np.concatenate([_averaged(_brightness(opened, band), 1) for band in _fields(height, _SIDE)])
        return _averaged(_brightness(opened, slice(0, height)), _SIDE)


def _brightness(opened: ImageSource, rows: slice) -> Float[np.ndarray, "y x"]:
    return filled(opened.read((rows, slice(0, opened.shape[2])))).mean(axis=0, dtype=np.float64)


def _averaged(picture: Float[np.ndarray, "y x"], rows: int) -> Float[np.ndarray, "rows side"]:
    bands = np.stack([picture[band].mean(axis=0) for band in _fields(picture.shape[0], rows)])
    return np.stack([bands[:, field].mean(axis=1) for field in _fields(picture.shape[1], _SIDE)], axis=1)


def _fields(length: int, count: int) -> list[slice]:
    """Cut a length into so many parts of nearly equal size; of a short one some pixels occur twice."""
    starts = [index * length // count for index in range(count + 1)]
    return [slice(start, max(stop, start + 1)) for start, stop in pairwise(starts)]


def _fine_structure(pictures: Float[np.ndarray, "n y x"]) -> Float32[np.ndarray, "n y x"]:
    """Return local deviations, each measured by how much its surroundings deviate."""
    spread = np.ptp(pictures, axis=(1, 2), keepdims=True)
    flat = spread <= 1e-9 * np.abs(pictures).max(axis=(1, 2), keepdims=True)
    scaled = (pictures - pictures.mean(axis=(1, 2), keepdims=True)) / np.where(flat, 1, spread)
    detail = scaled - gaussian_filter(scaled, (0, 2, 2))
    contrast = np.sqrt(gaussian_filter(detail**2, (0, 4, 4)))
    typical = detail.std(axis=(1, 2), keepdims=True)
    return np.where(flat, 0, detail / (contrast + 0.3 * typical + 1e-9)).astype(np.float32)


def _alike(structure: Float32[np.ndarray, "n y x"]) -> Int[np.ndarray, "m 2"]:
    """Return pairs of indices of images that are alike, in one of the eight positions of a square."""
    centred = structure - structure.mean(axis=0)
    own, own_centred = _unit(structure), _unit(centred)
    found = []
    for quarter in range(4):
        for mirror in (1, -1):
            turned = _unit(np.rot90(structure, quarter, axes=(1, 2))[:, :, ::mirror])
            turned_centred = _unit(np.rot90(centred, quarter, axes=(1, 2))[:, :, ::mirror])
            for start in range(0, len(structure), 1024):
                rows = slice(start, start + 1024)
                as_they_are = own[rows] @ turned.T
                alike = (own_centred[rows] @ turned_centred.T >= _ALIKE) & (as_they_are >= _ALIKE)
                pairs = np.argwhere(alike | (as_they_are >= _ALIKE_AS_THEY_ARE))
                pairs[:, 0] += start
                found.append(pairs[pairs[:, 0] < pairs[:, 1]])
    return np.concatenate(found)


def _unit(pictures: Float32[np.ndarray, "n y x"]) -> Float32[np.ndarray, "n yx"]:
    """Return each picture as a vector of mean 0 and length 1, or of zeros if it is flat."""
    vectors = pictures.reshape(len(pictures), -1)
    vectors = vectors - vectors.mean(axis=1, keepdims=True)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 1e-6, length, 1)
