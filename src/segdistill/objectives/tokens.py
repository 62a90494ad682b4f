"""Objectives that compare feature grids token by token: the student's, projected, and a teacher's.

All take ``b d y x``, one vector of width d per token, on one grid and of one width. A student of
another width goes through a projection first (``segdistill.networks``), and a teacher's grid is
brought to the student's when it is loaded. Every value is a mean over the channels, never a sum:
768 channels must not outweigh a mask.
"""

import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

from segdistill.errors import ConfigError, ShapeError
from segdistill.objectives.inputs import widen

LEAST = 1e-6
"""Added to squared lengths, squared features: a token of zeros has a direction to nowhere, and finite gradients."""

_COSINE_SHARE = 0.9
"""Share of the cosine in ``token_cosine_smooth_l1``; the smooth L1 has the rest."""


def token_mse(student: Float[Tensor, "b d y x"], teacher: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b y x"]:
    """Squared difference at each token, averaged over the channels.

    Args:
        student: Projected tokens. Gradients flow here only.
        teacher: Tokens, best standardised: the unit of the value is theirs, squared.

    Returns:
        ≥ 0; 0 at equality. Weigh with ``token_weights``.

    Raises:
        ShapeError: Grids or widths differ.

    Source:
        arXiv:2504.02351, the loss of one teacher.

    >>> import torch
    >>> token_mse(torch.zeros(1, 2, 1, 1), torch.tensor([3.0, 1.0]).reshape(1, 2, 1, 1)).item()  # (9 + 1) / 2
    5.0
    """
    student, teacher = _prepare(student, teacher)
    return ((student - teacher) ** 2).mean(dim=1)


def token_cosine(student: Float[Tensor, "b d y x"], teacher: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b y x"]:
    """One minus the cosine between the two vectors of each token.

    Blind to how long the student's tokens are.

    Args:
        student: Projected tokens. Gradients flow here only.
        teacher: Tokens.

    Returns:
        0 to 2, without a unit; 0 at equality, of zeros too. Weigh with ``token_weights``.

    Raises:
        ShapeError: Grids or widths differ.

    Source:
        Ranzinger et al. 2024, arXiv:2312.06709, section 3.4.

    >>> import torch
    >>> right, up = torch.tensor([[1.0, 0.0], [0.0, 5.0]]).reshape(2, 1, 2, 1, 1)
    >>> round(token_cosine(right, up).item(), 4)
    1.0
    """
    student, teacher = _prepare(student, teacher)
    together = (student * teacher).sum(dim=1) + LEAST
    alone = (student**2).sum(dim=1) + LEAST, (teacher**2).sum(dim=1) + LEAST
    return 1 - together / (alone[0].sqrt() * alone[1].sqrt())


def token_smooth_l1(
    student: Float[Tensor, "b d y x"], teacher: Float[Tensor, "b _ _ _"], *, beta: float = 1.0
) -> Float[Tensor, "b y x"]:
    """Huber's loss at each token, averaged over the channels: squared for small differences, linear for large.

    Args:
        student: Projected tokens. Gradients flow here only.
        teacher: Tokens, best standardised.
        beta: Difference from which the loss is linear, unit of the features, > 0.

    Returns:
        ≥ 0; 0 at equality. Weigh with ``token_weights``.

    Raises:
        ShapeError: Grids or widths differ.
        ConfigError: Beta is not positive.

    Source:
        Ranzinger et al. 2024, arXiv:2312.06709, section 3.4.

    >>> import torch
    >>> differences = torch.tensor([1.0, 3.0]).reshape(1, 2, 1, 1)
    >>> token_smooth_l1(differences, torch.zeros(1, 2, 1, 1)).item()  # (1/2 + (3 - 1/2)) / 2
    1.5
    """
    student, teacher = _prepare(student, teacher)
    if not beta > 0:
        raise ConfigError(f"beta is {beta}, but it is a difference of features. Choose one above 0.")
    return F.smooth_l1_loss(student, teacher, reduction="none", beta=beta).mean(dim=1)


def token_cosine_smooth_l1(
    student: Float[Tensor, "b d y x"], teacher: Float[Tensor, "b _ _ _"]
) -> Float[Tensor, "b y x"]:
    """0.9 × ``token_cosine`` + 0.1 × ``token_smooth_l1``: direction first, length too.

    Args:
        student: Projected tokens. Gradients flow here only.
        teacher: Standardised tokens.

    Returns:
        ≥ 0; 0 at equality. Weigh with ``token_weights``.

    Raises:
        ShapeError: Grids or widths differ.

    Source:
        Ranzinger et al. 2024, arXiv:2312.06709, section 3.4, the loss of spatial features.
    """
    length = token_smooth_l1(student, teacher)
    return _COSINE_SHARE * token_cosine(student, teacher) + (1 - _COSINE_SHARE) * length


def hidden_mse(student: Float[Tensor, "b d y x"], teacher: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b y x"]:
    """Squared difference of layer-normalised tokens, averaged over the channels.

    Each token is centred and scaled over its channels, without learnt parameters, so it is blind to
    offset and length of the student's tokens.

    Args:
        student: A hidden layer's tokens after their projection W. Gradients flow here only.
        teacher: The tokens of the layer that it is paired with.

    Returns:
        0 to 4, without a unit; 0 at equality. Weigh with ``token_weights``.

    Raises:
        ShapeError: Grids or widths differ, or the width is 1: there is nothing to compare then.

    Source:
        arXiv:2503.06976; the normalisation and the mean over channels are ours.

    >>> import torch
    >>> tokens = torch.randn(1, 8, 2, 3)
    >>> hidden_mse(5 * tokens + 1, tokens).max().item() < 1e-4
    True
    """
    student, teacher = _prepare(student, teacher)
    if student.shape[1] < 2:
        raise ShapeError("Layer-normalised tokens of width 1 are all 0. Compare hidden layers of two or more channels.")
    return ((_layer_normal(student) - _layer_normal(teacher)) ** 2).mean(dim=1)


def _layer_normal(tokens: Float[Tensor, "b d y x"]) -> Float[Tensor, "b d y x"]:
    return F.layer_norm(tokens.movedim(1, -1), tokens.shape[1:2]).movedim(-1, 1)


def _prepare(
    student: Float[Tensor, "b d y x"], teacher: Shaped[Tensor, "..."]
) -> tuple[Float[Tensor, "b d y x"], Float[Tensor, "b d y x"]]:
    if student.shape != teacher.shape:
        raise ShapeError(
            f"The student's tokens are {tuple(student.shape)}, but the teacher's are {tuple(teacher.shape)} (batch,"
            " width, y, x). Resample the teacher's grid to the student's, and project the student's width."
        )
    wide = widen(student)
    return wide, teacher.detach().to(wide.dtype)
