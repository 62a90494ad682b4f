"""Cells as a relaxed, anisotropic Voronoi packing with holes and loose regions."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree
from scipy.special import ndtr
from skimage.measure import label

from segdistill.data.simulate.fields import smooth_field
from segdistill.data.simulate.settings import TissueSettings

_RELAXATIONS = 3
_CANDIDATES = 6
_SMALLEST = 0.22
"""Area below which a cell is dropped, as a fraction of a typical cell's."""


@dataclass(frozen=True, eq=False)
class Packing:
    """Cells on a canvas.

    Args:
        labels: 0 where there is no cell, else its id from 1.
        angle: Direction of the long axis of cell ``id`` at ``angle[id - 1]``, radians from the x
            axis towards the y axis.
    """

    labels: Int[np.ndarray, "y x"]
    angle: Float[np.ndarray, " cell"]


@dataclass(frozen=True, eq=False)
class _Sites:
    """Where cells grow from, and how: one entry per cell."""

    centre: Float[np.ndarray, "cell 2"]
    angle: Float[np.ndarray, " cell"]
    ratio: Float[np.ndarray, " cell"]
    radius: Float[np.ndarray, " cell"]
    reach: Float[np.ndarray, " cell"]


def pack_cells(generator: np.random.Generator, shape: tuple[int, int], settings: TissueSettings) -> Packing:
    """Return cells that fill a canvas as tissue does.

    Points are relaxed by Lloyd's method, those in holes and some others are taken away, and each
    remaining one claims the pixels that are nearest by its own elliptic distance, as far as its
    own reach. Where reaches are long the cells touch along polygons; where they are short the
    cells are round and apart. The reach has no counterpart in the nuclei: this is what the
    nuclear channel cannot tell.

    Args:
        generator: Where the random numbers come from.
        shape: Rows and columns of the canvas, pixels.
        settings: The tissue.

    Source:
        Lloyd 1982, Least squares quantization in PCM (relaxation); Labelle, Shewchuk 2003,
        Anisotropic Voronoi diagrams (distance).

    >>> packing = pack_cells(np.random.default_rng(0), (64, 96), TissueSettings())
    >>> packing.labels.shape, int(packing.labels.max()) == packing.angle.size
    ((64, 96), True)
    """
    sites = _draw_sites(generator, shape, settings)
    roughness = np.stack([smooth_field(generator, shape, scale=0.35 * settings.cell_diameter) for _ in range(2)])
    if not len(sites.centre):
        return Packing(np.zeros(shape, np.int32), sites.angle)
    position = np.indices(shape).astype(np.float64) + 0.03 * settings.cell_diameter * roughness
    labels = largest_pieces(_grow(position, sites), smallest=_SMALLEST * np.pi / 4 * settings.cell_diameter**2)
    kept = np.unique(labels)
    kept = kept[kept > 0]
    return Packing(renumber(labels, kept), sites.angle[kept - 1])


def largest_pieces(labels: Int[np.ndarray, "y x"], *, smallest: float) -> Int[np.ndarray, "y x"]:
    """Keep the largest connected piece of each id, and only if it is large enough.

    Args:
        labels: 0 is no object.
        smallest: Objects below this many pixels are removed.

    >>> largest_pieces(np.array([[1, 1, 0, 1, 2]]), smallest=2.0)
    array([[1, 1, 0, 0, 0]])
    """
    pieces = np.asarray(label(labels, background=0, connectivity=1))
    area = np.bincount(pieces.ravel())
    owner = np.zeros(len(area), labels.dtype)
    owner[pieces.ravel()] = labels.ravel()
    area[owner == 0] = 0
    order = np.lexsort((-area, owner))  # by id, the largest piece of each first
    first = np.diff(owner[order], prepend=-1) > 0
    good = np.zeros(len(area), bool)
    good[order[first]] = True
    good &= (area >= smallest) & (owner > 0)
    return np.where(good[pieces], labels, 0).astype(labels.dtype)


def renumber(labels: Int[np.ndarray, "y x"], ids: Int[np.ndarray, " n"]) -> Int[np.ndarray, "y x"]:
    """Give the listed ids the numbers 1, 2, ... in their order; others become 0.

    >>> renumber(np.array([[7, 0, 3]]), np.array([3, 7])).tolist()
    [[2, 0, 1]]
    """
    table = np.zeros(max(int(labels.max(initial=0)), int(ids.max(initial=0))) + 1, np.int32)
    table[ids] = np.arange(1, len(ids) + 1)
    return table[labels]


def _draw_sites(generator: np.random.Generator, shape: tuple[int, int], settings: TissueSettings) -> _Sites:
    diameter = settings.cell_diameter
    places = max(1, round(shape[0] * shape[1] / (np.pi / 4 * diameter**2)))
    centre = _relax(generator.random((places, 2)) * shape, shape, spacing=diameter)
    index = tuple(np.clip(centre.astype(int).T, 0, np.array(shape)[:, None] - 1))
    hole, loose, turn, stretch, spread = (
        smooth_field(generator, shape, scale=scale * diameter)[index] for scale in (2.0, 3.0, 6.0, 4.0, 2.5)
    )
    draws = generator.standard_normal((3, places))
    loosened = settings.density + 0.5 * min(settings.density, 1 - settings.density) * loose
    empty = ndtr(hole) < settings.holes  # its share of a Gaussian field, on average
    kept = ~empty & (generator.random(places) < loosened)
    sites = _Sites(
        centre=centre,
        angle=np.pi * turn + 0.2 * draws[0],
        ratio=1 + (settings.elongation - 1) / (1 + np.exp(-3 * stretch)),
        radius=0.5 * diameter * np.exp(0.18 * draws[1]),
        reach=np.clip(1.0 + 0.28 * spread + 0.1 * draws[2], 0.65, 1.7),
    )
    return _Sites(*(getattr(sites, name)[kept] for name in ("centre", "angle", "ratio", "radius", "reach")))


def _relax(
    centre: Float[np.ndarray, "cell 2"], shape: tuple[int, int], *, spacing: float
) -> Float[np.ndarray, "cell 2"]:
    """Move each point to the middle of the region nearest to it, a few times."""
    step = max(1.0, spacing / 8)
    grid = np.stack(np.meshgrid(*(np.arange(step / 2, size, step) for size in shape), indexing="ij"), -1)
    grid = grid.reshape(-1, 2)
    for _ in range(_RELAXATIONS):
        nearest = KDTree(centre).query(grid)[1]
        count = np.bincount(nearest, minlength=len(centre))
        total = np.stack([np.bincount(nearest, grid[:, axis], minlength=len(centre)) for axis in range(2)], -1)
        centre = np.where(count[:, None] > 0, total / np.maximum(count, 1)[:, None], centre)
    return centre


def _grow(position: Float[np.ndarray, "2 y x"], sites: _Sites) -> Int[np.ndarray, "y x"]:
    """Give each pixel to the site nearest by that site's distance, or to none beyond its reach."""
    shape = position.shape[1:]
    pixel = position.reshape(2, -1).T
    wanted = min(_CANDIDATES, len(sites.centre))
    candidate = np.asarray(KDTree(sites.centre).query(pixel, k=wanted)[1]).reshape(len(pixel), wanted)
    best = np.full(len(pixel), np.inf)
    labels = np.zeros(len(pixel), np.int32)
    for site in candidate.T:
        distance = _elliptic_distance(pixel, sites, site)
        nearer = distance < best
        best = np.where(nearer, distance, best)
        labels = np.where(nearer, np.where(distance < sites.reach[site], site + 1, 0), labels)
    return labels.astype(np.int32).reshape(shape)


def _elliptic_distance(
    pixel: Float[np.ndarray, "n 2"], sites: _Sites, site: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Return the distance in radii of the site's ellipse, which has the area of a disc of its radius."""
    offset = pixel - sites.centre[site]
    cosine, sine = np.cos(sites.angle)[site], np.sin(sites.angle)[site]
    along = cosine * offset[:, 1] + sine * offset[:, 0]
    across = cosine * offset[:, 0] - sine * offset[:, 1]
    stretch = np.sqrt(sites.ratio)[site]
    return np.hypot(along / stretch, across * stretch) / sites.radius[site]
