"""How well two maps go together, whatever their offset and gain."""

from jaxtyping import Float
from torch import Tensor

from segdistill.objectives.inputs import check_shapes, prepare, widen

_NOISE = 1e-4
"""Variance of the noise that both maps are taken to share, squared probability: keeps flat maps finite."""


def dist_intra(
    scores: Float[Tensor, "b k y x"],
    target: Float[Tensor, "b k _ _"],
    counts: Float[Tensor, "b k _ _"],
) -> Float[Tensor, "b k"]:
    """One minus the Pearson correlation of two probability maps over the pixels of an image.

    Nearly blind to offset and gain of the student's probabilities, so it cannot fix a threshold:
    without labels it needs another term beside it (``check_anchored``).

    Args:
        scores: The student's logits. Gradients flow here only.
        target: The teacher's probabilities, 0 to 1.
        counts: How much each pixel counts, 0 to 1.

    Returns:
        0 to 2, without a unit; 0 at equality and where no pixel counts. A flat target (empty or
        full) asks for a flat answer.
        Weigh with ``image_weights``.

    Raises:
        ShapeError: The grids differ.

    Source:
        Huang et al. 2022, arXiv:2205.10536, the intra-class half; the inter-class half has no
        gradient for two classes.

    >>> import torch
    >>> scores = torch.randn(1, 2, 4, 5)
    >>> dist_intra(scores, scores.sigmoid(), torch.ones_like(scores)).abs().max().item() < 1e-5
    True
    """
    scores, target = prepare(scores, target, what="scores and target")
    check_shapes(scores, counts, what="scores and counts")
    weights = widen(counts)
    total = weights.sum(dim=(2, 3), keepdim=True)
    share = weights / (total + (total == 0))
    student, teacher = _centre(scores.sigmoid(), share), _centre(target, share)
    together = (share * student * teacher).sum(dim=(2, 3)) + _NOISE
    alone = [(share * centred**2).sum(dim=(2, 3)) + _NOISE for centred in (student, teacher)]
    return 1 - together / (alone[0] * alone[1]).sqrt()


def _centre(values: Float[Tensor, "b k y x"], share: Float[Tensor, "b k y x"]) -> Float[Tensor, "b k y x"]:
    return values - (share * values).sum(dim=(2, 3), keepdim=True)
