"""Objectives that compare how the tokens of an image relate to each other, whatever their widths.

They need no projection: student and teacher share the grid, not the width. All give one value per
image, and all are means, so grids of any size weigh alike.
"""

import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

from segdistill.errors import ConfigError, ShapeError
from segdistill.objectives.inputs import check_shapes, widen
from segdistill.objectives.tokens import LEAST


def gram(
    student: Float[Tensor, "b d y x"], teacher: Float[Tensor, "b e _ _"], counts: Float[Tensor, "b _ _"]
) -> Float[Tensor, " b"]:
    """Mean squared difference of the cosines between all pairs of tokens of an image.

    Args:
        student: Tokens of any width. Gradients flow here only.
        teacher: Tokens of any width on the same grid.
        counts: How much each token counts, 0 to 1; a pair counts as much as the product.

    Returns:
        0 to 4, without a unit; 0 at equality, for turned or longer tokens, and where nothing counts.
        Weigh with ``grid_weights``. Takes memory for every pair of tokens.

    Raises:
        ShapeError: The grids differ.

    Source:
        Siméoni et al. 2025 (DINOv3), arXiv:2508.10104, section 4.2, as a mean instead of a sum.

    >>> import torch
    >>> tokens = torch.randn(1, 3, 2, 4)
    >>> gram(7 * tokens, tokens, torch.ones(1, 2, 4)).item() < 1e-6
    True
    """
    student, teacher, weights = _prepare(student, teacher, counts)
    return _cosine_difference(student.flatten(2), teacher.flatten(2), weights.flatten(1))


def pairwise(
    student: Float[Tensor, "b d y x"],
    teacher: Float[Tensor, "b e _ _"],
    counts: Float[Tensor, "b _ _"],
    *,
    node: int = 2,
) -> Float[Tensor, " b"]:
    """Mean squared difference of the cosines between all pairs of nodes, which are averages of tokens.

    Args:
        student: Tokens of any width. Gradients flow here only.
        teacher: Tokens of any width on the same grid.
        counts: How much each token counts in the average of its node, 0 to 1; and how much the node does.
        node: Side of the square of tokens that make a node, ≥ 1. Those at the end may be smaller.

    Returns:
        0 to 4, without a unit; 0 at equality and where nothing counts. Weigh with ``grid_weights``.

    Raises:
        ShapeError: The grids differ.
        ConfigError: The side is below 1.

    Source:
        Liu et al. 2019, arXiv:1903.04197, pair-wise distillation.
    """
    student, teacher, weights = _prepare(student, teacher, counts)
    if node < 1:
        raise ConfigError(f"A node is a square of {node} × {node} tokens. Choose 1 or more.")
    weight = weights[:, None]
    pooled = _pool(weight, node)
    divisor = pooled + (pooled == 0)
    ours, theirs = ((_pool(weight * tokens, node) / divisor).flatten(2) for tokens in (student, teacher))
    return _cosine_difference(ours, theirs, pooled.flatten(1))


def attention_map(
    student: Float[Tensor, "b d y x"], teacher: Float[Tensor, "b e _ _"], counts: Float[Tensor, "b _ _"]
) -> Float[Tensor, " b"]:
    """Squared distance between where in the image the two are active: mean squares, as maps of length 1.

    Args:
        student: Tokens of any width. Gradients flow here only.
        teacher: Tokens of any width on the same grid.
        counts: How much each token counts, 0 to 1.

    Returns:
        0 to 2, without a unit; 0 at equality, for tokens of another common length, and where nothing counts.
        Weigh with ``grid_weights``.

    Raises:
        ShapeError: The grids differ.

    Source:
        Zagoruyko, Komodakis 2017, arXiv:1612.03928, equation 2 with p = 2.

    >>> import torch
    >>> one = torch.tensor([[[[1.0, 0.0]]]])
    >>> round(attention_map(one, one.flip(3), torch.ones(1, 1, 2)).item(), 4)
    2.0
    """
    student, teacher, weights = _prepare(student, teacher, counts)
    maps = [(tokens**2).mean(dim=1).flatten(1) * weights.flatten(1).sqrt() for tokens in (student, teacher)]
    ours, theirs = (each / ((each**2).sum(dim=1, keepdim=True) + LEAST**2).sqrt() for each in maps)
    return ((ours - theirs) ** 2).sum(dim=1)


def _cosine_difference(
    student: Float[Tensor, "b d n"], teacher: Float[Tensor, "b e n"], weights: Float[Tensor, "b n"]
) -> Float[Tensor, " b"]:
    ours, theirs = (tokens / ((tokens**2).sum(dim=1, keepdim=True) + LEAST).sqrt() for tokens in (student, teacher))
    difference = (ours.mT @ ours - theirs.mT @ theirs) ** 2
    total = weights.sum(dim=1, keepdim=True)
    share = weights / (total + (total == 0))
    return (share[:, None] @ difference @ share[..., None]).flatten()


def _pool(values: Float[Tensor, "b c y x"], node: int) -> Float[Tensor, "b c _ _"]:
    return F.avg_pool2d(values, node, ceil_mode=True, count_include_pad=False)


def _prepare(
    student: Float[Tensor, "b d y x"], teacher: Shaped[Tensor, "b e _ _"], counts: Shaped[Tensor, "..."]
) -> tuple[Float[Tensor, "b d y x"], Float[Tensor, "b e y x"], Float[Tensor, "b y x"]]:
    if student[:, 0].shape != teacher[:, 0].shape:
        raise ShapeError(
            f"The student's tokens are {tuple(student.shape)}, but the teacher's are {tuple(teacher.shape)} (batch,"
            " width, y, x). Resample the teacher's grid to the student's; their widths may differ."
        )
    check_shapes(student[:, 0], counts, what="tokens and counts")
    wide = widen(student)
    return wide, teacher.detach().to(wide.dtype), widen(counts).to(wide.dtype)
