"""Masks from probability maps: a threshold, or a seeded watershed where objects are told apart."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from jaxtyping import Bool, Float, Int32, Integer, UInt32

from segdistill.data.labels import BOUNDARY, Structure, output_names
from segdistill.errors import ShapeError

DEFAULT_THRESHOLDS: Mapping[str, float] = {"foreground": 0.5, "seed": 0.5, "smoothing": 0.0, "minimum_size": 0}

_REACH = 4
"""A Gaussian is cut off at so many standard deviations."""


def segment(
    maps: Float[np.ndarray, "o y x"],
    structures: Sequence[Structure],
    thresholds: Mapping[str, Mapping[str, Any]],
    *,
    seeds: Mapping[str, Bool[np.ndarray, "y x"]] | None = None,
) -> dict[str, UInt32[np.ndarray, "y x"]]:
    """Return a mask for each structure.

    Args:
        maps: Probabilities in the order of ``output_names(structures)``.
        structures: What is segmented.
        thresholds: Per structure ``foreground`` (probability), ``seed`` (probability, instances
            only), ``smoothing`` (pixels, instances only) and ``minimum_size`` (pixels); what is missing
            takes ``DEFAULT_THRESHOLDS``.
        seeds: From ``find_seeds``, of the same pixels; None finds them here. A part of an image needs
            those of a larger part: see ``seed_reach``.

    Returns:
        Per structure, object numbers from 1 where it has instances, else 0 and 1.

    Raises:
        ShapeError: There is not one map per output.

    >>> maps = np.zeros((2, 3, 7), np.float32)
    >>> maps[0, 1, 1:6] = 0.9           # one bar of foreground …
    >>> maps[1, 1, 3:6] = 0.8, 0.1, 0.1  # … with a boundary across its middle
    >>> segment(maps, [Structure("cell", True)], {})["cell"][1].tolist()
    [0, 1, 1, 1, 2, 2, 0]
    """
    by_name = _by_name(maps, structures)
    masks = {}
    for structure in structures:
        cut = {**DEFAULT_THRESHOLDS, **thresholds.get(structure.name, {})}
        foreground = by_name[structure.name]
        if structure.instances:
            boundary, inside = by_name[structure.name + BOUNDARY], foreground > cut["foreground"]
            own = _seeds(foreground, boundary, cut) if seeds is None else seeds[structure.name]
            masks[structure.name] = without_small(grown(boundary, own, inside), int(cut["minimum_size"]))
        else:
            masks[structure.name] = (foreground > cut["foreground"]).astype(np.uint32)
    return masks


def find_seeds(
    maps: Float[np.ndarray, "o y x"],
    structures: Sequence[Structure],
    thresholds: Mapping[str, Mapping[str, Any]],
) -> dict[str, Bool[np.ndarray, "y x"]]:
    """Return from which pixels the objects of each structure are grown; none where objects are not told apart.

    The arguments, and what is raised, are those of ``segment``.
    """
    by_name = _by_name(maps, structures)
    found = {}
    for structure in structures:
        cut = {**DEFAULT_THRESHOLDS, **thresholds.get(structure.name, {})}
        foreground = by_name[structure.name]
        found[structure.name] = (
            _seeds(foreground, by_name[structure.name + BOUNDARY], cut)
            if structure.instances
            else np.zeros(foreground.shape, bool)
        )
    return found


def seed_reach(thresholds: Mapping[str, Mapping[str, Any]]) -> int:
    """Return from how far away a pixel decides whether another is a seed, pixels.

    >>> seed_reach({"cell": {"smoothing": 2.0}, "vessel": {}})
    8
    """
    return max((round(_REACH * cut.get("smoothing", 0.0)) for cut in thresholds.values()), default=0)


def _by_name(maps: Float[np.ndarray, "o y x"], structures: Sequence[Structure]) -> dict[str, np.ndarray]:
    names = output_names(structures)
    if len(names) != len(maps):
        raise ShapeError(f"{len(maps)} maps were given for {len(names)} outputs ({', '.join(names)}).")
    return dict(zip(names, maps, strict=True))


def instances(
    foreground: Float[np.ndarray, "y x"],
    boundary: Float[np.ndarray, "y x"],
    *,
    foreground_threshold: float,
    seed_threshold: float,
    minimum_size: int,
    smoothing: float = 0.0,
) -> UInt32[np.ndarray, "y x"]:
    """Return objects grown from seeds by a watershed.

    A seed is a connected piece where foreground is likely and boundary is not; the watershed floods
    the boundary map, inside the foreground. A piece of foreground without a seed is one object.

    Args:
        foreground: Probability that a pixel belongs to an object.
        boundary: Probability that a pixel lies on an object's inner border.
        foreground_threshold: Objects lie where ``foreground`` is above it.
        seed_threshold: Seeds lie where ``foreground × (1 − boundary)`` is above it.
        minimum_size: Smaller objects are dropped, pixels. 0 keeps all.
        smoothing: Standard deviation of the Gaussian by which that product is smoothed first, pixels: specks
            of a noisy map would each become an object. 0 takes it as it is.

    Returns:
        Object numbers from 1 without gaps; 0 is background.

    Source:
        Seeded watershed on border probabilities: Meyer and Beucher 1990; as used for nuclei by
        Caicedo et al. 2019 (three-class U-Nets).
    """
    cut = {"foreground": foreground_threshold, "seed": seed_threshold, "smoothing": smoothing}
    seeds = _seeds(foreground, boundary, cut)
    return without_small(grown(boundary, seeds, foreground > foreground_threshold), minimum_size)


def grown(
    relief: Float[np.ndarray, "y x"], seeds: Bool[np.ndarray, "y x"], inside: Bool[np.ndarray, "y x"]
) -> Int32[np.ndarray, "y x"]:
    """Return objects grown from seeds over a relief, lowest pixels first, within a mask.

    Args:
        relief: High between objects.
        seeds: Each piece of it is where an object begins.
        inside: Where objects may be. A piece of it without a seed is one object.

    Returns:
        Object numbers, some may be missing; 0 is background.
    """
    from skimage.segmentation import watershed

    numbered, count = _pieces(seeds & inside)
    markers = _with_seedless(inside, numbered, count)
    flooded = _beside(inside & (markers == 0)) & inside
    return np.where(flooded, watershed(relief, markers=np.where(flooded, markers, 0), mask=flooded), markers)


def _beside(open_pixels: Bool[np.ndarray, "y x"]) -> Bool[np.ndarray, "y x"]:
    """Return these pixels and those that share a side with one.

    A flood has nothing to decide elsewhere: within a seed every neighbour has its number. Most of an object is
    seed, and a watershed pays for every pixel that it is shown.
    """
    found = open_pixels.copy()
    found[1:] |= open_pixels[:-1]
    found[:-1] |= open_pixels[1:]
    found[:, 1:] |= open_pixels[:, :-1]
    found[:, :-1] |= open_pixels[:, 1:]
    return found


def _seeds(
    foreground: Float[np.ndarray, "y x"], boundary: Float[np.ndarray, "y x"], cut: Mapping[str, float]
) -> Bool[np.ndarray, "y x"]:
    inner = foreground * (1 - boundary)
    if cut["smoothing"] > 0:
        from scipy import ndimage

        # each pixel's sum is the same whatever part of the image is looked at
        inner = ndimage.gaussian_filter(inner, cut["smoothing"], mode="nearest", truncate=_REACH)
    return (inner > cut["seed"]) & (foreground > cut["foreground"])


def _pieces(mask: Bool[np.ndarray, "y x"]) -> tuple[Int32[np.ndarray, "y x"], int]:
    """Return the pieces of a mask that hang together by the sides of pixels, numbered from 1, and their number."""
    from scipy import ndimage

    numbered = np.empty(mask.shape, np.int32)
    return numbered, cast(int, ndimage.label(mask, output=numbered))


def _with_seedless(
    inside: Bool[np.ndarray, "y x"], seeds: Int32[np.ndarray, "y x"], count: int
) -> Int32[np.ndarray, "y x"]:
    """Return the seeds, and every piece of foreground without one as a seed of its own."""
    pieces, most = _pieces(inside)
    seeded = np.zeros(most + 1, dtype=bool)
    seeded[pieces[seeds > 0]] = True
    seeded[0] = True
    return np.where(seeded[pieces], seeds, pieces + np.int32(count))


def without_small(objects: Integer[np.ndarray, "y x"], minimum_size: int) -> UInt32[np.ndarray, "y x"]:
    """Return objects of at least this many pixels, numbered from 1 without gaps."""
    sizes = np.bincount(objects.ravel())
    keep = sizes >= max(minimum_size, 1)
    keep[:1] = False
    numbers = np.where(keep, np.cumsum(keep), 0).astype(np.uint32)
    return numbers[objects]
