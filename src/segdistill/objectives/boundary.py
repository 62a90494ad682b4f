"""Objectives that look at borders: the soft morphological gradient, and the distance to a border."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from segdistill.errors import ConfigError
from segdistill.objectives.inputs import check_shapes, prepare, widen
from segdistill.objectives.pixel import squared_dice
from segdistill.objectives.weights import image_weights

SQUEEZE = 0.01
"""Both gradients are squeezed from [0, 1] into [SQUEEZE, 1 − SQUEEZE] before the cross-entropy.

A soft gradient is a difference of probabilities, so there are no logits to compute it from, and the
derivative of its logarithm has no bound. Clamping would bound it by killing it; squeezing keeps a
slope everywhere, of at most 1 / SQUEEZE. Both sides are squeezed, so the minimum stays at equality;
its value there is the entropy of the squeezed target, 0.056 nats for a hard one.
"""


def boundary_gradient(
    scores: Float[Tensor, "b k y x"],
    target: Float[Tensor, "b k _ _"],
    counts: Float[Tensor, "b k _ _"],
    *,
    size: int = 3,
) -> Float[Tensor, "b k"]:
    """Cross-entropy plus Dice between the soft borders of two masks, per image and output.

    The soft border is the morphological gradient: the largest minus the smallest value in a window.

    Args:
        scores: The student's logits. Gradients flow here only.
        target: Labels as 0 and 1, or a teacher's probabilities where there are none.
        counts: How much each pixel counts, 0 to 1. A border counts as much as the least counting
            pixel of its window, so what lies under ignored pixels cannot matter.
        size: Side of the window, 3 or 5 pixels.

    Returns:
        Mean cross-entropy over the pixels that count (nats) plus one minus Dice. Least at
        equality, but not 0 there: see ``SQUEEZE``. Empty and full masks have no border: an answer
        without borders is then the best. Weigh with ``boundary_weights``.

    Raises:
        ShapeError: The grids differ.
        ConfigError: The size is neither 3 nor 5.

    Source:
        arXiv:2606.00928 names a boundary-aware term and does not define it; this form is ours.

    >>> empty = torch.zeros(1, 1, 4, 5)
    >>> round(boundary_gradient(empty - 80, empty, empty + 1).item(), 3)
    0.056
    """
    scores, target = prepare(scores, target, what="scores and target")
    check_shapes(scores, counts, what="scores and counts")
    student, teacher = soft_border(scores.sigmoid(), size=size), soft_border(target, size=size)
    inner = whole_windows(counts, size=size)
    entropy = _cross_entropy(_squeeze(student), _squeeze(teacher))
    total = inner.sum(dim=(2, 3))
    mean_entropy = (inner * entropy).sum(dim=(2, 3)) / (total + (total == 0))
    return mean_entropy + squared_dice(student, teacher, inner)


def boundary_weights(counts: Float[Tensor, "b k y x"], *, size: int = 3) -> Float[Tensor, "b k"]:
    """Return the weights of ``boundary_gradient``: 1 where any whole window counts, else 0.

    Args:
        counts: How much each pixel counts, 0 to 1.
        size: Side of the window, 3 or 5 pixels; the same as the objective's.
    """
    return image_weights(whole_windows(counts, size=size))


def whole_windows(counts: Float[Tensor, "b k y x"], *, size: int = 3) -> Float[Tensor, "b k y x"]:
    """Return how much the window around each pixel counts: as much as its least counting pixel.

    Args:
        counts: How much each pixel counts, 0 to 1.
        size: Side of the window, 3 or 5 pixels. At the image's edge the window is cut.

    Raises:
        ConfigError: The size is neither 3 nor 5.

    >>> whole_windows(torch.tensor([[[[1.0, 1.0, 1.0, 0.0]]]])).tolist()
    [[[[1.0, 1.0, 0.0, 0.0]]]]
    """
    return -_largest(-widen(counts), size=size)


def soft_border(values: Float[Tensor, "b k y x"], *, size: int = 3) -> Float[Tensor, "b k y x"]:
    """Return the largest minus the smallest value in the window around each pixel.

    Args:
        values: Probabilities, 0 to 1.
        size: Side of the window, 3 or 5 pixels. At the image's edge the window is cut.

    Raises:
        ConfigError: The size is neither 3 nor 5.

    Source:
        Rivest, Soille, Beucher 1993, Morphological gradients, J. Electronic Imaging 2(4).

    >>> soft_border(torch.tensor([[[[0.0, 0.0, 0.0, 1.0]]]])).tolist()
    [[[[0.0, 0.0, 1.0, 1.0]]]]
    """
    return _largest(values, size=size) + _largest(-values, size=size)


def surface_distance(scores: Float[Tensor, "b k y x"], distance: Float[Tensor, "b k _ _"]) -> Float[Tensor, "b k y x"]:
    """Probability times signed distance to the label's border, at each pixel.

    Args:
        scores: The student's logits. Gradients flow here only.
        distance: Pixels to the label's border, negative inside: ``signed_distances`` of the labels
            on this grid. 0 everywhere for an empty or a full label, for which this says nothing.

    Returns:
        Pixels; negative inside the label. Because its sum can be negative it takes a fixed weight
        (0.01 is usual) and never a learnt one. Weigh with ``pixel_weights``.

    Raises:
        ShapeError: The grids differ.

    Source:
        Kervadec et al. 2019, arXiv:1812.07032, the boundary loss.

    >>> surface_distance(torch.zeros(1, 1, 1, 2), torch.tensor([[[[-0.5, 0.5]]]])).tolist()
    [[[[-0.25, 0.25]]]]
    """
    scores, distance = prepare(scores, distance, what="scores and distance")
    return scores.sigmoid() * distance


def _largest(values: Float[Tensor, "b k y x"], *, size: int) -> Float[Tensor, "b k y x"]:
    if size not in (3, 5):
        raise ConfigError(f"The window of a soft border is {size} pixels wide. Choose 3 or 5.")
    return F.max_pool2d(values, size, stride=1, padding=size // 2)


def _squeeze(border: Float[Tensor, "b k y x"]) -> Float[Tensor, "b k y x"]:
    return SQUEEZE + (1 - 2 * SQUEEZE) * border


def _cross_entropy(student: Float[Tensor, "b k y x"], target: Float[Tensor, "b k y x"]) -> Float[Tensor, "b k y x"]:
    return -(target * torch.log(student) + (1 - target) * torch.log1p(-student))
