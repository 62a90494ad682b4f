"""Whether squeeze-excite layers had better pool around each place than over a whole tile."""

from collections.abc import Callable, Sequence
from copy import deepcopy

import numpy as np
from torch import nn

from segdistill.data.image import Image
from segdistill.evaluation.overlap import dice
from segdistill.inference.halo import USUAL, cutting_side, middle
from segdistill.inference.maps import predict_maps, stride_of
from segdistill.inference.windows import View, window_sides
from segdistill.networks.card import Pooling
from segdistill.networks.local_pooling import pool_locally, pools_over_all

MAY_LOSE = 0.005
"""Pooling around each place is taken unless it costs the validation images more Dice than this: 0.5 points."""

_MOST = 2
"""So many of the validation images are looked at."""


def choose_pooling(
    network: nn.Module,
    views: Sequence[View],
    *,
    outputs: int,
    crop: int,
    score: Callable[[nn.Module], float | None],
) -> tuple[nn.Module, Pooling | None]:
    """Return the network as it is to be used, and how it pools.

    It pools around each place where masks then depend less on where the tiles lie, and validation images
    do not suffer. What a tile is must not decide what is found in it.

    Args:
        network: In evaluation mode, on the CPU; it is left as it is.
        views: Validation images. Those that fit into one tile say nothing about tiles.
        outputs: Number of the network's maps.
        crop: Side of the training crops, pixels: how far the window reaches.
        score: Mean Dice of a network on the validation images; None: it cannot be told.

    Returns:
        The network, or a copy that pools around each place; None for one that has no squeeze-excite layer.
    """
    if not pools_over_all(network):
        return network, None
    local = pool_locally(deepcopy(network), crop=crop, channels=len(views[0].channels)) if views else network
    whole = offset_agreement(network, views, outputs=outputs)
    sliding = offset_agreement(local, views, outputs=outputs)
    if whole is None or sliding is None or sliding <= whole:
        return network, {"window": None, "whole": whole, "sliding": sliding}
    before, after = score(network), score(local)
    if before is not None and after is not None and after < before - MAY_LOSE:
        return network, {"window": None, "whole": whole, "sliding": sliding}
    return local, {"window": crop, "whole": whole, "sliding": sliding}


def offset_agreement(network: nn.Module, views: Sequence[View], *, outputs: int) -> float | None:
    """Return the Dice between masks of tiles at two offsets, of the worst map, mean over images.

    The usual fast halo is used. The second tiling begins half a tile further on, so that the seams of one lie in
    the middles of the other's tiles; what lies near the edges at which it begins is not compared.

    Args:
        network: In evaluation mode, on the CPU.
        views: Images; of large ones the middle is looked at.
        outputs: Number of the network's maps.

    Returns:
        None where no image is large enough to be cut.
    """
    stride = stride_of(network)
    tile = cutting_side(views, halo=USUAL, stride=stride)
    if tile is None:
        return None
    core, border = window_sides(side=tile, halo=USUAL, stride=stride)
    offset = max(stride, core // 2 // stride * stride)
    far = offset + border
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for view in [middle(view, tile=tile) for view in views if min(view.shape) > max(tile, far)][:_MOST]:
        later = _beginning_at(view, offset)
        one, other = (
            predict_maps(network, each, outputs=outputs, tile=tile, halo=USUAL) > 0.5 for each in (view, later)
        )
        pairs.append((one[:, far:, far:], other[:, border:, border:]))
    if not pairs:
        return None
    return min(float(np.mean([dice(one[k], other[k]) for one, other in pairs])) for k in range(outputs))


def _beginning_at(view: View, offset: int) -> View:
    """Return an image in memory without its first rows and columns."""
    rows, columns = (slice(offset, side) for side in view.shape)
    image = Image(view.read((rows, columns)), view.channels, None, view.source.source)
    zeros = np.zeros(len(view.channels), np.float32)
    return View(image, view.channels, zeros, zeros + 1)
