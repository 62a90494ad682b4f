"""How far a student sees, and how much border a window needs."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from segdistill.data.image import Image
from segdistill.evaluation.overlap import dice
from segdistill.inference.maps import predict_maps, stride_of
from segdistill.inference.windows import WINDOW, View, usual_side, window_sides
from segdistill.networks.card import Halo

CANDIDATES = (16, 32, 48, 64, 96, 128)
"""Halos among which the fast one is sought, pixels."""

USUAL = 64
"""The fast halo where nothing could be measured, pixels."""

_LARGEST = 1024
"""Of larger validation images the middle is looked at, pixels; or as much as two windows hold, if that is more."""

_MOST = 2
"""So many of the validation images are looked at."""


@torch.inference_mode()
def measure_reach(network: nn.Module, *, channels: int, limit: int = 512) -> int | None:
    """Return the exact halo: how far beyond the edge of what is seen an output can depend on the unseen.

    Measured in one pass per axis, whatever the weights: both ends of a strip are NaN, and NaN times
    anything is NaN, so every score that depends on them is NaN too. A gradient would miss what a
    rectifier or a maximum happens to block: at random weights it finds 85 px for the 287 of `unet-resnet18`.

    Args:
        network: In evaluation mode, on the CPU. What is seen ends on its grid, as in ``plan_windows``.
        channels: Number of its input channels.
        limit: Reaches beyond this are not told apart from none, pixels.

    Returns:
        Pixels; None where the network has no bound below the limit: it pools over the whole image
        (squeeze-excite), attends across it, or is deep.

    >>> measure_reach(nn.Conv2d(2, 1, 5, padding=2), channels=2)
    2
    """
    stride = stride_of(network)
    unseen = 2 * stride
    length = -(-2 * (unseen + limit + 1) // stride) * stride
    strip = torch.full((1, channels, stride, length), 0.5)
    strip[..., :unseen] = strip[..., -unseen:] = torch.nan
    reaches: list[int] = []
    for image in (strip, strip.mT.contiguous()):
        scores = network(image)[0]
        certain = torch.isfinite(scores).all(0).all(0 if image is strip else 1)
        places = torch.where(certain)[0]
        if len(places) == 0:
            return None
        reaches += [int(places[0]) - unseen, length - unseen - 1 - int(places[-1])]
    reach = max(0, *reaches)
    return reach if reach <= limit else None


def measure_fast_halo(
    network: nn.Module,
    views: Sequence[View],
    *,
    outputs: int,
    tile: int = WINDOW,
    agreement: float = 0.999,
    most: int = _MOST,
) -> tuple[int, float | None]:
    """Return the smallest halo at which windowed masks agree with those of the uncut images.

    Args:
        network: In evaluation mode, on the CPU.
        views: Validation images. Those that fit into one window say nothing and are passed over.
        outputs: Number of the network's maps.
        tile: Side of a window, pixels.
        agreement: Least mean Dice, of every map above one half.
        most: Look at so many of the images.

    Returns:
        The halo in pixels and the agreement measured at it (the worst map's); the largest
        candidate where none agrees enough; the usual halo and None where no image is larger than a window.
    """
    comparison = _comparison(network, views, outputs=outputs, tile=tile, most=most)
    if comparison is None:
        return USUAL, None
    halo, measured = USUAL, 0.0
    for halo in (halo for halo in CANDIDATES if 4 * halo <= tile):
        measured = comparison(halo)
        if measured >= agreement:
            break
    return halo, measured


def measure_halo(network: nn.Module, views: Sequence[View], *, outputs: int, exact: int | None) -> Halo:
    """Return what a model's card says of its halos.

    The fast one is sought in windows of the usual size. Where no image is larger than those it is the usual one, and
    what it costs is measured in smaller windows: half as wide as the largest image, or wider where so much would be
    border. A network that pools over what it is shown differs more in those than in windows of the usual size.
    The fast halo is never above the exact one, with which masks are the same already.

    Args:
        network: In evaluation mode, on the CPU.
        views: Validation images.
        outputs: Number of the network's maps.
        exact: From ``measure_reach``, pixels.
    """
    tile: int | None = usual_side(stride_of(network))
    fast, agreement = measure_fast_halo(network, views, outputs=outputs, tile=tile)
    cut = agreement is not None
    if exact is not None and exact < fast:
        fast, agreement = exact, None
    if not cut:
        tile = cutting_side(views, halo=fast, stride=stride_of(network))
    if agreement is None and tile is not None:
        comparison = _comparison(network, views, outputs=outputs, tile=tile)
        agreement = None if comparison is None else comparison(fast)
    return {"exact": exact, "fast": fast, "agreement": agreement, "tile": tile}


def _comparison(
    network: nn.Module, views: Sequence[View], *, outputs: int, tile: int, most: int = _MOST
) -> Callable[[int], float] | None:
    """Return what tells, of a halo, the agreement of windowed masks with uncut ones; None where nothing is cut."""
    larger = [middle(view, tile=tile) for view in views if max(view.shape) > tile][:most]

    def masks(view: View, *, side: int, halo: int) -> np.ndarray:
        return predict_maps(network, view, outputs=outputs, tile=side, halo=halo) > 0.5

    whole = [masks(view, side=max(view.shape), halo=0) for view in larger]

    def agreement(halo: int) -> float:
        pairs = [(masks(view, side=tile, halo=halo), uncut) for view, uncut in zip(larger, whole, strict=True)]
        return min(float(np.mean([dice(cut[k], uncut[k]) for cut, uncut in pairs])) for k in range(outputs))

    return agreement if larger else None


def cutting_side(views: Sequence[View], *, halo: int, stride: int) -> int | None:
    """Return the side of windows into which the largest image is cut, pixels; None where it is too small for that.

    The usual side where an image is larger than that.
    """
    longest = max((max(view.shape) for view in views), default=0)
    if longest > usual_side(stride):
        return usual_side(stride)
    _, border = window_sides(side=8 * max(halo, stride), halo=halo, stride=stride)
    side = max(2 * border + stride, longest // 2 // stride * stride)
    return side if side < longest else None


def middle(view: View, *, tile: int) -> View:
    """Return the middle of what is looked at, in memory and on the network's scale.

    Args:
        view: The image.
        tile: Side of the windows into which it will be cut, pixels: the middle is as large as two, for in one
            window nothing would be cut, and windows would agree with what they are.
    """
    most = max(_LARGEST, 2 * tile)
    rows, columns = (slice((side - min(side, most)) // 2, (side + min(side, most)) // 2) for side in view.shape)
    zeros = np.zeros(len(view.channels), np.float32)
    image = Image(view.read((rows, columns)), view.channels, None, view.source.source)
    return View(image, view.channels, zeros, zeros + 1)
