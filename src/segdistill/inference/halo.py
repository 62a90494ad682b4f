"""How far a student sees, and how much border a window needs."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from segdistill.evaluation.overlap import dice
from segdistill.inference.windows import View, predict_maps

CANDIDATES = (16, 32, 48, 64, 96, 128)


def measure_reach(network: nn.Module, *, channels: int, limit: int = 512) -> int | None:
    """Return how many pixels away an input pixel can still change an output, or None beyond a limit.

    Measured, not derived: the gradient of the middle output pixels with respect to a random image
    is zero outside the reach. A network that pools over the whole image (squeeze-excite) or
    attends across it has no bound.

    Args:
        network: In evaluation mode, on the CPU.
        channels: Number of its input channels.
        limit: Reaches beyond this are not told apart from none, pixels.
    """
    side = 2 * limit + 64
    image = torch.rand(1, channels, side, side, generator=torch.Generator().manual_seed(0)).requires_grad_()
    middle = side // 2
    # A block as wide as the coarsest stride, so that every alignment to the stride is covered.
    scores = network(image)[:, :, middle - 16 : middle + 16, middle - 16 : middle + 16]
    (gradient,) = torch.autograd.grad(scores.square().sum(), image)
    seen = gradient[0].abs().amax(0) > 0
    rows, columns = torch.where(seen.any(1))[0], torch.where(seen.any(0))[0]
    if len(rows) == 0:
        return 0
    ends = torch.stack([rows[0], columns[0], side - 1 - rows[-1], side - 1 - columns[-1]])
    if int(ends.min()) == 0:
        return None
    return int((middle - 16) - ends.min())


def measure_fast_halo(
    network: nn.Module, views: Sequence[View], *, outputs: int, tile: int, agreement: float = 0.999
) -> tuple[int, float | None]:
    """Return the smallest border at which windowed masks agree with those of the uncut images.

    Args:
        network: In evaluation mode, on the CPU.
        views: Validation images. Those that fit into one window say nothing and are passed over.
        outputs: Number of the network's maps.
        tile: Side of a window, pixels.
        agreement: Least mean Dice between the two masks.

    Returns:
        The border in pixels and the agreement measured at it; the largest candidate where none
        agrees enough; (64, None) where no image is larger than a window.
    """
    larger = [view for view in views if max(view.shape) > tile]
    if not larger:
        return 64, None
    whole = [predict_maps(network, v, outputs=outputs, tile=max(v.shape)) > 0.5 for v in larger]
    candidates = [halo for halo in CANDIDATES if 2 * halo < tile]
    halo, measured = candidates[-1], 0.0
    for halo in candidates:
        cut = [predict_maps(network, v, outputs=outputs, tile=tile, halo=halo) > 0.5 for v in larger]
        measured = float(np.mean([dice(a[0], b[0]) for a, b in zip(cut, whole, strict=True)]))
        if measured >= agreement:
            break
    return halo, measured
