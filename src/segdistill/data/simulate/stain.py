"""Nuclei and stains: what each place of the tissue sends out before the microscope sees it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.special import ndtri
from skimage.segmentation import find_boundaries

from segdistill.data.simulate.fields import smooth_field
from segdistill.data.simulate.packing import Packing, largest_pieces
from segdistill.data.simulate.settings import TissueSettings

_SMALLEST_NUCLEUS = 0.2
"""Area below which a nucleus is out of plane, as a fraction of a typical nucleus's."""


@dataclass(frozen=True, eq=False)
class Nuclei:
    """Nuclei in the section, and the light of all of them, a typical nucleus being 1."""

    labels: Int[np.ndarray, "y x"]
    light: Float[np.ndarray, "y x"]


def inner_distance(labels: Int[np.ndarray, "y x"]) -> Float[np.ndarray, "y x"]:
    """Return each pixel's distance to the nearest pixel on the inner side of a cell's border, pixels.

    Where nothing has a border the distance is infinite.

    >>> inner_distance(np.array([[0, 1, 1, 1, 0]]))
    array([[1., 0., 1., 0., 1.]])
    """
    border = find_boundaries(labels, mode="inner")
    if not border.any():
        return np.full(labels.shape, np.inf)
    return np.asarray(distance_transform_edt(~border))


def place_nuclei(
    generator: np.random.Generator,
    cells: Packing,
    border_distance: Float[np.ndarray, "y x"],
    settings: TissueSettings,
) -> Nuclei:
    """Put an elliptic nucleus off the middle of each cell; some lie out of the plane.

    A nucleus's size depends only weakly on its cell's: with the power 0.2 of the cell's diameter,
    and chance besides. A nucleus out of plane is absent from the labels; half of those are
    invisible, the others faint and blurred.
    """
    shape, count = cells.labels.shape, cells.angle.size
    texture = smooth_field(generator, shape, scale=2.5) + 0.7 * smooth_field(generator, shape, scale=6.0)
    outline = smooth_field(generator, shape, scale=0.3 * settings.cell_diameter)
    if not count:
        return Nuclei(np.zeros(shape, np.int32), np.zeros(shape))
    radius = _nucleus_distance(generator, cells, settings) + 0.07 * outline
    inside = (cells.labels > 0) & (radius < 1) & (border_distance > 0)
    brightness = np.exp(0.25 * generator.standard_normal(count))
    plane = generator.random(count)  # in plane, faint, or invisible
    in_plane = np.append(False, plane >= settings.out_of_plane)
    faint = np.append(False, (plane >= settings.out_of_plane / 2) & (plane < settings.out_of_plane))
    typical = np.pi / 4 * (settings.nucleus_diameter * settings.cell_diameter) ** 2
    labels = largest_pieces(
        np.where(inside & in_plane[cells.labels], cells.labels, 0), smallest=_SMALLEST_NUCLEUS * typical
    )
    chromatin = np.clip(1 + 0.2 * texture, 0.3, 2.0) * np.append(0, brightness)[cells.labels]
    ghosts = gaussian_filter(np.where(inside & faint[cells.labels], 0.5, 0.0), 0.12 * settings.cell_diameter)
    return Nuclei(labels, np.where(labels > 0, chromatin, 0) + ghosts)


def stain_membranes(
    generator: np.random.Generator,
    cells: Packing,
    border_distance: Float[np.ndarray, "y x"],
    settings: TissueSettings,
) -> Float[np.ndarray, "y x"]:
    """Return the light of the membrane stain, a typical membrane being 1.

    The stain lies along borders, in patches, brighter in some cells and regions than in others;
    where a membrane is cut slantwise or from above it shows as a haze within the cell.
    """
    shape, count = cells.labels.shape, cells.angle.size
    patches = smooth_field(generator, shape, scale=0.4 * settings.cell_diameter)
    region = smooth_field(generator, shape, scale=3 * settings.cell_diameter)
    grain = smooth_field(generator, shape, scale=3.0)
    expression = np.exp(0.35 * generator.standard_normal(count))
    expression[generator.random(count) < settings.membrane_negative] *= 0.1
    amount = np.append(0, expression)[cells.labels] * np.exp(0.3 * region)
    present = _stained(patches, gaps=settings.membrane_gaps)
    rim = np.exp(-0.5 * (border_distance / 0.8) ** 2) * (0.1 + 0.9 * present)
    haze = 0.16 * np.clip(1 + 0.35 * grain, 0, None)
    return amount * (rim + haze)


def _stained(patches: Float[np.ndarray, "y x"], *, gaps: float) -> Float[np.ndarray, "y x"]:
    """Return 0 to 1: how much of the stain is present, near 0 on the given share of the area."""
    if gaps <= 0:
        return np.ones_like(patches)
    threshold = float(ndtri(min(gaps, 1 - 1e-9)))
    return 1 / (1 + np.exp(np.clip(-(patches - threshold) / 0.15, -50, 50)))


def _nucleus_distance(
    generator: np.random.Generator, cells: Packing, settings: TissueSettings
) -> Float[np.ndarray, "y x"]:
    """Return each pixel's distance from the middle of its cell's nucleus, in radii of its ellipse."""
    shape, count = cells.labels.shape, cells.angle.size
    flat, (row, column) = cells.labels.ravel(), np.indices(shape).reshape(2, -1)
    area = np.bincount(flat, minlength=count + 1)[1:]
    middle = np.stack([np.bincount(flat, axis, minlength=count + 1)[1:] for axis in (row, column)], -1) / area[:, None]
    cell_diameter = np.sqrt(4 / np.pi * area)
    size = settings.nucleus_diameter * settings.cell_diameter * np.exp(0.18 * generator.standard_normal(count))
    size = size * (cell_diameter / settings.cell_diameter) ** 0.2
    # As far off as the cytoplasm allows; where there is none, the nucleus still is not quite central.
    room = np.maximum(0.4 * (cell_diameter - size), 0.06 * cell_diameter)
    shift = generator.uniform(0.1, 1.0, count) * room
    towards = generator.uniform(0, 2 * np.pi, count)
    middle = middle + shift[:, None] * np.stack([np.sin(towards), np.cos(towards)], -1)
    stretch = np.sqrt(generator.uniform(1.0, 1.6, count))
    angle = cells.angle + 0.4 * generator.standard_normal(count)
    owner = np.maximum(flat - 1, 0)
    down, right = row - middle[owner, 0], column - middle[owner, 1]
    along = np.cos(angle)[owner] * right + np.sin(angle)[owner] * down
    across = np.cos(angle)[owner] * down - np.sin(angle)[owner] * right
    return (np.hypot(along / stretch[owner], across * stretch[owner]) / (size[owner] / 2)).reshape(shape)
