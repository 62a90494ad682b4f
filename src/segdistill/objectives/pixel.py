"""Objectives that compare probabilities pixel by pixel, and the overlap of two soft masks."""

import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

from segdistill.objectives.inputs import check_shapes, prepare, widen


def probability_mse(scores: Float[Tensor, "b k y x"], target: Float[Tensor, "b k _ _"]) -> Float[Tensor, "b k y x"]:
    """Squared difference of the two probabilities at each pixel.

    Args:
        scores: The student's logits. Gradients flow here only.
        target: The teacher's probabilities, 0 to 1.

    Returns:
        0 to 1, without a unit; 0 at equality. Its gradient dies as p(1 − p) where the student is sure.
        Weigh with ``pixel_weights``.

    Raises:
        ShapeError: The grids differ.

    Source:
        arXiv:2606.00928, the distillation term.

    >>> import torch
    >>> probability_mse(torch.zeros(1, 1, 1, 2), torch.tensor([[[[0.5, 1.0]]]])).tolist()
    [[[[0.0, 0.25]]]]
    """
    scores, target = prepare(scores, target, what="scores and target")
    return (scores.sigmoid() - target) ** 2


def binary_cross_entropy(
    scores: Float[Tensor, "b k y x"], target: Float[Tensor, "b k _ _"]
) -> Float[Tensor, "b k y x"]:
    """Cross-entropy of each output as an independent yes or no.

    Args:
        scores: The student's logits. Gradients flow here only.
        target: Labels as 0 and 1, or probabilities.

    Returns:
        Nats, ≥ 0. Least at equality, where it is the target's entropy: 0 for labels only.
        Weigh with ``pixel_weights``.

    Raises:
        ShapeError: The grids differ.
    """
    scores, target = prepare(scores, target, what="scores and target")
    return F.binary_cross_entropy_with_logits(scores, target, reduction="none")


def soft_dice(
    scores: Float[Tensor, "b k y x"],
    target: Float[Tensor, "b k _ _"],
    counts: Float[Tensor, "b k _ _"],
    *,
    smoothing: float = 1.0,
) -> Float[Tensor, "b k"]:
    """One minus the Dice overlap of two soft masks, per image and output, with squared sums.

    Args:
        scores: The student's logits. Gradients flow here only.
        target: Labels as 0 and 1, or probabilities.
        counts: How much each pixel counts, 0 to 1; weighs every sum.
        smoothing: Added to numerator and denominator, pixels, > 0. Where the target is empty the
            value is Σp² / (Σp² + smoothing): an empty answer costs nothing.

    Returns:
        0 to 1, without a unit; 0 at equality, soft or hard, and where no pixel counts.
        Weigh with ``image_weights``.

    Raises:
        ShapeError: The grids differ.

    Source:
        Milletari, Navab, Ahmadi 2016, arXiv:1606.04797, section 3. With sums of p instead of p², the
        best answer to a target of 0.7 would be 1 (Wang et al. 2023, arXiv:2303.16296).

    >>> import torch
    >>> empty = torch.zeros(1, 1, 2, 3)
    >>> soft_dice(empty - 80, empty, empty + 1).tolist()
    [[0.0]]
    """
    scores, target = prepare(scores, target, what="scores and target")
    check_shapes(scores, counts, what="scores and counts")
    return squared_dice(scores.sigmoid(), target, widen(counts), smoothing=smoothing)


def squared_dice(
    probabilities: Float[Tensor, "b k y x"],
    target: Float[Tensor, "b k y x"],
    counts: Shaped[Tensor, "b k y x"],
    *,
    smoothing: float = 1.0,
) -> Float[Tensor, "b k"]:
    """Return ``soft_dice`` of what are probabilities already."""
    both = (counts * probabilities * target).sum(dim=(2, 3))
    either = (counts * (probabilities**2 + target**2)).sum(dim=(2, 3))
    return 1 - (2 * both + smoothing) / (either + smoothing)
