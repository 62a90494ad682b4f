"""How alike two pictures are, judged by their fine structure: shifts, sizes and brightness do not matter much."""

from collections.abc import Iterator
from itertools import pairwise, product

import numpy as np
from jaxtyping import Float, Float32, Int
from scipy.ndimage import gaussian_filter

from segdistill.data.finite import filled
from segdistill.data.image import ImageSource

SIDE = 128
"""Side of the small picture that stands for an image, pixels."""

_COARSE = 32
_WHOLE = 2**24

# Note [How alike is alike]: measured on 100 ultrasound images, 664 images of nuclei, 30 radiographs, 28 fundus
# pictures and 13 fields of cells. What all images of a data set share (a round aperture, a vignette) is
# taken out first. Then different images reach 0.30, and duplicates that were cropped a little, resized or
# saved again lie from 0.41 upwards (a few ultrasound pairs at other zooms: 0.33). Where most of a data set is
# one series, taking out what all share takes out everything: so pictures are alike as well if they
# reach 0.9 as they are; different pictures in one sharp aperture stay below 0.5 then.
_ALIKE = 0.4
_ALIKE_AS_THEY_ARE = 0.9

# Coarse pictures, compared all with all, say which pairs to look at closely; these bounds let through all
# duplicates found in those images, and one pair in ten thousand of the images of nuclei.
_PERHAPS = 0.3
_PERHAPS_AS_THEY_ARE = 0.92

_REACH = 6  # pixels by which fine pictures may be shifted
_BLOCK = 1024  # pictures compared with all others at once


def small_picture(opened: ImageSource) -> Float32[np.ndarray, "side side"]:
    """Return an image's brightness, averaged over channels and in 128 × 128 fields.

    Args:
        opened: Images above 16 megapixels are read in bands.
    """
    _, height, width = opened.shape
    bands = min(height, SIDE) if height * width > _WHOLE else 1
    edges = [index * height // bands for index in range(bands + 1)]
    columns = [_averaged(_brightness(opened, slice(*span)).T).T for span in pairwise(edges)]
    if bands > 1:
        columns = [band.mean(axis=0, keepdims=True) for band in columns]
    return _averaged(np.concatenate(columns)).astype(np.float32)


def _brightness(opened: ImageSource, rows: slice) -> Float[np.ndarray, "y x"]:
    return filled(opened.read((rows, slice(0, opened.shape[2])))).mean(axis=0, dtype=np.float64)


def _averaged(picture: Float[np.ndarray, "y x"]) -> Float[np.ndarray, "side x"]:
    """Return means over 128 bands of equal height; a pixel on the border of two counts for both in part."""
    length = len(picture)
    sums = np.concatenate([np.zeros_like(picture[:1]), np.cumsum(picture, axis=0)])
    edges = np.linspace(0, length, SIDE + 1)
    whole = np.minimum(edges.astype(int), length - 1)
    at_edges = sums[whole] + (edges - whole)[:, None] * picture[whole]
    return np.diff(at_edges, axis=0) * (SIDE / length)


def alike_groups(pictures: Float32[np.ndarray, "n side side"]) -> list[list[int]]:
    """Return the indices of pictures that are alike, each in one group, in order; likeness is passed on.

    Args:
        pictures: As ``small_picture`` returns them. They may be mirrored or turned by quarters.

    Source:
        Pictures are compared after local contrast normalisation: Jarrett, Kavukcuoglu, Ranzato, LeCun
        2009, "What is the best multi-stage architecture for object recognition?", section 2; by
        the highest of their normalised cross-correlations.
    """
    group = list(range(len(pictures)))
    step = SIDE // _COARSE
    coarse = pictures.reshape(len(pictures), _COARSE, step, _COARSE, step).mean(axis=(2, 4))
    coarse, fine = fine_structure(coarse, 1.5), fine_structure(pictures, 2.0)
    for shared, perhaps, alike in ((True, _PERHAPS, _ALIKE), (False, _PERHAPS_AS_THEY_ARE, _ALIKE_AS_THEY_ARE)):
        small, large = (each - each.mean(axis=0) * shared for each in (coarse, fine))
        for first, second, turn in _candidates(small, perhaps):
            if group[first] != group[second] and _correlation(large[first], _turned(large[second], *turn)) >= alike:
                low, high = sorted((group[first], group[second]))
                group = [low if each == high else each for each in group]
    return [[index for index, each in enumerate(group) if each == name] for name in sorted(set(group))]


def fine_structure(pictures: Float32[np.ndarray, "n y x"], scale: float) -> Float32[np.ndarray, "n y x"]:
    """Return local deviations, each measured by how much its surroundings deviate.

    Args:
        pictures: Of any brightness.
        scale: Size of what counts as fine, pixels.
    """
    spread = np.ptp(pictures, axis=(1, 2), keepdims=True)
    flat = spread <= 1e-5 * np.abs(pictures).max(axis=(1, 2), keepdims=True)
    scaled = (pictures - pictures.mean(axis=(1, 2), keepdims=True)) / np.where(flat, 1, spread)
    detail = scaled - gaussian_filter(scaled, (0, scale, scale))
    contrast = np.sqrt(gaussian_filter(detail**2, (0, 2 * scale, 2 * scale)))
    typical = detail.std(axis=(1, 2), keepdims=True)
    return np.where(flat, 0, detail / (contrast + 0.3 * typical + 1e-9)).astype(np.float32)


def _turned(picture: Float32[np.ndarray, "*n y x"], quarters: int, mirror: int) -> Float32[np.ndarray, "*n _ _"]:
    return np.rot90(picture, quarters, axes=(-2, -1))[..., ::mirror]


def _candidates(pictures: Float32[np.ndarray, "n y x"], bound: float) -> Iterator[tuple[int, int, tuple[int, int]]]:
    """Yield pairs of pictures that correlate at a shift of up to one pixel, and how the second is turned."""
    middle = _unit(pictures[:, 1:-1, 1:-1])
    for quarters, mirror in product(range(4), (1, -1)):
        turned = _turned(pictures, quarters, mirror)
        shifted = [_unit(turned[:, y : y - 2 or None, x : x - 2 or None]).T for y, x in product(range(3), repeat=2)]
        for start in range(0, len(pictures), _BLOCK):
            rows = middle[start : start + _BLOCK]
            best = rows @ shifted[0]
            for other in shifted[1:]:
                np.maximum(best, rows @ other, out=best)
            for first, second in _above(best, bound).tolist():
                if start + first < second:
                    yield start + first, second, (quarters, mirror)


def _above(values: Float32[np.ndarray, "m n"], bound: float) -> Int[np.ndarray, "k 2"]:
    """Return where values reach a bound, the highest first."""
    places = np.argwhere(values >= bound)
    return places[np.argsort(-values[tuple(places.T)], kind="stable")]


def _unit(pictures: Float32[np.ndarray, "n y x"]) -> Float32[np.ndarray, "n yx"]:
    """Return each picture as a vector of mean 0 and length 1, or of zeros if it is flat."""
    vectors = pictures.reshape(len(pictures), -1)
    vectors = vectors - vectors.mean(axis=1, keepdims=True)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 1e-6, length, 1)


def _correlation(one: Float32[np.ndarray, "y x"], other: Float32[np.ndarray, "y x"]) -> float:
    """Return the highest correlation of two pictures, faded out at their borders, at a shift of up to 6 pixels."""
    window = np.sqrt(np.outer(np.hanning(SIDE), np.hanning(SIDE)))
    spectra = [np.fft.rfft2(picture * window, s=(2 * SIDE, 2 * SIDE)) for picture in (one, other)]
    correlations = np.fft.irfft2(spectra[0] * spectra[1].conj())
    near = np.roll(correlations, (_REACH, _REACH), axis=(0, 1))[: 2 * _REACH + 1, : 2 * _REACH + 1]
    length = np.linalg.norm(one * window) * np.linalg.norm(other * window)
    return float(near.max() / length) if length > 1e-6 else 0.0
