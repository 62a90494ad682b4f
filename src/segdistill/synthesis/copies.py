"""What an image is nearly a copy of: the window of another image that is most like it, wherever it lies.

Note [How near is near]: windows are compared coarsely, 32 pixels along a side, by the correlation of their fine
structure, at every place and in every turn in which the model was shown images. How alike two different images of
a data set are depends on the data set, so no number says what a copy is: real images do, by how near they come to
real images of other groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Bool, Complex, Float, Float32
from scipy.fft import irfft2, next_fast_len, rfft2

from segdistill.data.likeness import fine_structure

COARSE = 32
"""Side of a window as it is compared, pixels."""

_SCALE = 1.5
Turn = tuple[int, int]
"""Quarter turns, and −1 for a mirror image or else 1, in the order of ``turned``."""


@dataclass(frozen=True)
class Nearest:
    """The window of another image that is most like an image."""

    index: int
    """Of the other image."""

    distance: float
    """1 less the correlation: 0 of a copy, about 1 where nothing is alike."""

    origin: tuple[int, int]
    """The window's first row and column, pixels of the other image."""

    turn: Turn
    """How the image must be turned to lie on the window."""


@dataclass(frozen=True, eq=False)
class Library:
    """Images among which the nearest is looked for."""

    spectra: Complex[np.ndarray, "n y f"]
    """Of their fine structure, filled up to one size."""

    deviations: Float32[np.ndarray, "n _ _"]
    """Of every window; infinite where it would leave its image."""

    turns: tuple[Turn, ...]
    """In which images may lie on them."""

    side: int
    """Of the images that are compared with them, pixels."""


def turns_of(*, flips: bool, turns: bool) -> tuple[Turn, ...]:
    """Return the ways in which images are turned when they are mirrored, turned by quarters, both or neither.

    >>> turns_of(flips=True, turns=False)
    ((0, 1), (0, -1))
    """
    return tuple(product(range(4) if turns else (0,), (1, -1) if flips else (1,)))


def turned(picture: Float[np.ndarray, "*c y x"], turn: Turn) -> Float[np.ndarray, "*c _ _"]:
    """Return a picture turned, then mirrored."""
    return np.rot90(picture, turn[0], axes=(-2, -1))[..., :: turn[1]]


def turned_back(picture: Float[np.ndarray, "*c y x"], turn: Turn) -> Float[np.ndarray, "*c _ _"]:
    """Undo ``turned``.

    >>> picture = np.arange(6.0).reshape(2, 3)
    >>> (turned_back(turned(picture, (1, -1)), (1, -1)) == picture).all()
    np.True_
    """
    return np.rot90(picture[..., :: turn[1]], -turn[0], axes=(-2, -1))


def make_library(pictures: Sequence[Float[np.ndarray, "c _y _x"]], *, side: int, turns: Sequence[Turn]) -> Library:
    """Return images in the form in which windows are looked for.

    Args:
        pictures: Of any sizes, at the scale of the images that will be compared with them.
        side: Of those images, pixels; a multiple of 32.
        turns: In which they may lie on these.
    """
    coarse = [_structure(_filled_up(_coarse(picture, side))) for picture in pictures]
    height, width = (max(each.shape[axis] for each in coarse) for axis in (0, 1))
    size = tuple(next_fast_len(length, real=True) for length in (height, width))
    deviations = np.full((len(coarse), height - COARSE + 1, width - COARSE + 1), np.inf, np.float32)
    for place, each in enumerate(coarse):
        own = _deviations(each)
        deviations[place, : own.shape[0], : own.shape[1]] = own
    spectra = np.stack([np.asarray(rfft2(each, s=size)) for each in coarse])
    return Library(spectra, deviations, tuple(turns), side)


def nearest(
    picture: Float[np.ndarray, "c side side"], library: Library, *, apart: Bool[np.ndarray, " n"] | None = None
) -> Nearest:
    """Return the window of the library that is most like a picture.

    Args:
        picture: Of the library's side.
        library: Where to look.
        apart: Images of the library that are not looked at, but not all of them; None: every one is.

    Source:
        Lewis 1995, "Fast normalized cross-correlation".
    """
    structure = _structure(_coarse(picture, library.side))
    best = Nearest(0, np.inf, (0, 0), library.turns[0])
    for turn in library.turns:
        likeness = _likeness(turned(structure, turn), library)
        if apart is not None:
            likeness[apart] = -np.inf
        index, y, x = (int(place) for place in np.unravel_index(likeness.argmax(), likeness.shape))
        distance = 1 - float(likeness[index, y, x])
        if distance < best.distance:
            factor = library.side // COARSE
            best = Nearest(index, distance, (y * factor, x * factor), turn)
    return best


def distances_between(
    windows: Sequence[Float[np.ndarray, "c side side"]], library: Library, groups: Sequence[str]
) -> Float[np.ndarray, " n"]:
    """Return how near each image of a library comes to one of another group; images of one group are not looked at.

    Args:
        windows: One of each image of the library, in its order.
        library: These images.
        groups: Of each image.

    Returns:
        A distance for each image; none where all are of one group.
    """
    names = np.array(groups)
    if len(set(groups)) < 2:
        return np.zeros(0)
    return np.array(
        [nearest(window, library, apart=names == group).distance for window, group in zip(windows, groups, strict=True)]
    )


def _coarse(picture: Float[np.ndarray, "c y x"], side: int) -> Float32[np.ndarray, "_ _"]:
    """Return brightness in fields of so many pixels that a side has 32 of them."""
    factor = side // COARSE
    grey = picture.mean(axis=0)
    height, width = (length // factor for length in grey.shape)
    fields = grey[: height * factor, : width * factor].reshape(height, factor, width, factor)
    return fields.mean(axis=(1, 3)).astype(np.float32)


def _filled_up(picture: Float32[np.ndarray, "y x"]) -> Float32[np.ndarray, "_ _"]:
    """Return a picture that is large enough for one window, its last row and column repeated if it was not."""
    return np.pad(picture, [(0, max(0, COARSE - length)) for length in picture.shape], mode="edge")


def _structure(picture: Float32[np.ndarray, "y x"]) -> Float32[np.ndarray, "y x"]:
    return fine_structure(picture[None], _SCALE)[0]


def _deviations(picture: Float32[np.ndarray, "y x"]) -> Float32[np.ndarray, "_ _"]:
    """Return the root of the sum of squares about the mean of every window; infinite where it is flat."""
    sums, squares = (_window_sums(each.astype(np.float64)) for each in (picture, picture.astype(np.float64) ** 2))
    about = squares - sums**2 / COARSE**2
    flat = about <= 1e-6 * max(float(squares.max()), 1e-12)
    return np.where(flat, np.inf, np.sqrt(np.where(flat, 1, about))).astype(np.float32)


def _window_sums(picture: Float[np.ndarray, "y x"]) -> Float[np.ndarray, "_ _"]:
    table = np.pad(picture, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    far, near = slice(COARSE, None), slice(None, -COARSE)
    return table[far, far] - table[near, far] - table[far, near] + table[near, near]


def _likeness(structure: Float32[np.ndarray, "y x"], library: Library) -> Float32[np.ndarray, "n _ _"]:
    """Return the correlation of a picture with every window of every image."""
    vector = structure - structure.mean()
    length = float(np.linalg.norm(vector))
    n, height, width = library.deviations.shape
    if length < 1e-6:
        return np.zeros((n, height, width), np.float32)
    size = tuple(next_fast_len(extent + COARSE - 1, real=True) for extent in (height, width))
    spectrum = np.asarray(rfft2(vector / length, s=size)).conj()
    products = np.asarray(irfft2(library.spectra * spectrum, s=size))[:, :height, :width]
    likeness = (products / library.deviations).astype(np.float32)
    likeness[np.isinf(library.deviations)] = -1  # no window, or a flat one: unlike everything
    return likeness
