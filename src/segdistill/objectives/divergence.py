"""Kullback-Leibler divergences from teacher to student: over classes, over yes and no, over pixels.

All take the logits of both, divide them by a temperature and multiply the result by its square, so
that gradients keep their size when the temperature changes (Hinton, Vinyals, Dean 2015).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from segdistill.errors import ConfigError, ShapeError
from segdistill.objectives.inputs import check_shapes, prepare, widen

_VARIANCE_FLOOR = 1e-4
"""Least variance that standardising divides by, squared logits: a flat map stays flat."""


def pixel_kl(
    student: Float[Tensor, "b k y x"], teacher: Float[Tensor, "b k _ _"], *, temperature: float = 2.0
) -> Float[Tensor, "b y x"]:
    """KL(teacher ‖ student) over exclusive classes at each pixel.

    Args:
        student: Logits. Gradients flow here only.
        teacher: Logits.
        temperature: Divides both sets of logits, > 0. No unit.

    Returns:
        Nats times ``temperature**2``, ≥ 0; 0 at equality. Weigh with ``joint_weights``.

    Raises:
        ShapeError: The grids differ, or there is one class only.
        ConfigError: The temperature is not positive.

    Source:
        Hinton, Vinyals, Dean 2015, arXiv:1503.02531, section 2.

    >>> logits = torch.randn(2, 3, 4, 5)
    >>> pixel_kl(logits, logits).shape
    torch.Size([2, 4, 5])
    """
    student, teacher = prepare(student, teacher, what="student and teacher logits")
    _check_classes(student)
    _check_temperature(temperature)
    log_student = F.log_softmax(student / temperature, dim=1)
    log_teacher = F.log_softmax(teacher / temperature, dim=1)
    return temperature**2 * F.kl_div(log_student, log_teacher, reduction="none", log_target=True).sum(dim=1)


def binary_kl(
    student: Float[Tensor, "b k y x"], teacher: Float[Tensor, "b k _ _"], *, temperature: float = 2.0
) -> Float[Tensor, "b k y x"]:
    """KL(teacher ‖ student) of each output as an independent yes or no, at each pixel.

    Args:
        student: Logits. Gradients flow here only.
        teacher: Logits.
        temperature: Divides both sets of logits, > 0. No unit.

    Returns:
        Nats times ``temperature**2``, ≥ 0; 0 at equality. Weigh with ``pixel_weights``.

    Raises:
        ShapeError: The grids differ.
        ConfigError: The temperature is not positive.

    Source:
        Hinton, Vinyals, Dean 2015, arXiv:1503.02531, section 2, for two classes.

    >>> binary_kl(torch.ones(1, 1, 1, 2), torch.ones(1, 1, 1, 2)).tolist()
    [[[[0.0, 0.0]]]]
    """
    student, teacher = prepare(student, teacher, what="student and teacher logits")
    _check_temperature(temperature)
    student, teacher = student / temperature, teacher / temperature
    yes = teacher.sigmoid() * (F.logsigmoid(teacher) - F.logsigmoid(student))
    no = (-teacher).sigmoid() * (F.logsigmoid(-teacher) - F.logsigmoid(-student))
    return temperature**2 * (yes + no)


def channel_kl(
    student: Float[Tensor, "b k y x"],
    teacher: Float[Tensor, "b k _ _"],
    counts: Float[Tensor, "b k _ _"],
    *,
    temperature: float = 4.0,
) -> Float[Tensor, "b k"]:
    """KL(teacher ‖ student) of where in the image each output lies: a softmax over pixels.

    Blind to a constant added to the student's logits, so it cannot fix a threshold: without labels it
    needs another term beside it (``check_anchored``).

    Args:
        student: Logits. Gradients flow here only.
        teacher: Logits.
        counts: Pixels above 0 take part, by yes or no.
        temperature: Divides both sets of logits, > 0. No unit.

    Returns:
        Nats times ``temperature**2``, ≥ 0; 0 at equality. Weigh with ``image_weights``, whose mean
        over outputs is the published division by their number.

    Raises:
        ShapeError: The grids differ.
        ConfigError: The temperature is not positive.

    Source:
        Shu et al. 2021, arXiv:2011.13256, channel-wise distillation of score maps.

    >>> logits = torch.randn(2, 3, 4, 5)
    >>> channel_kl(logits + 1, logits, torch.ones_like(logits)).abs().max().item() < 1e-5
    True
    """
    student, teacher = prepare(student, teacher, what="student and teacher logits")
    check_shapes(student, counts, what="logits and counts")
    _check_temperature(temperature)
    taking_part = _taking_part(counts)
    log_student = _log_softmax_over_pixels(student / temperature, taking_part)
    log_teacher = _log_softmax_over_pixels(teacher / temperature, taking_part)
    return temperature**2 * F.kl_div(log_student, log_teacher, reduction="none", log_target=True).sum(dim=2)


def standardised_kl(
    student: Float[Tensor, "b k y x"],
    teacher: Float[Tensor, "b k _ _"],
    counts: Float[Tensor, "b k _ _"],
    *,
    temperature: float = 2.0,
) -> Float[Tensor, "b y x"]:
    """KL(teacher ‖ student) over exclusive classes, of logits standardised over the image's pixels.

    Blind to shift and scale of the student's logits: without labels it needs another term beside it
    (``check_anchored``).

    Args:
        student: Logits. Gradients flow here only.
        teacher: Logits.
        counts: How much each pixel counts in mean and variance, 0 to 1.
        temperature: Divides both sets of standardised logits, > 0. No unit.

    Returns:
        Nats times ``temperature**2``, ≥ 0; 0 at equality. Weigh with ``joint_weights``.

    Raises:
        ShapeError: The grids differ, or there is one class only.
        ConfigError: The temperature is not positive.

    Source:
        After Sun et al. 2024, arXiv:2403.01427, who standardise over classes: with two classes that
        leaves only a sign, so here it is done over pixels.
    """
    student, teacher = prepare(student, teacher, what="student and teacher logits")
    check_shapes(student, counts, what="logits and counts")
    weights = widen(counts)
    return pixel_kl(_standardise(student, weights), _standardise(teacher, weights), temperature=temperature)


def _standardise(values: Float[Tensor, "b k y x"], weights: Float[Tensor, "b k y x"]) -> Float[Tensor, "b k y x"]:
    total = weights.sum(dim=(2, 3), keepdim=True)
    share = weights / (total + (total == 0))
    centred = values - (share * values).sum(dim=(2, 3), keepdim=True)
    variance = (share * centred**2).sum(dim=(2, 3), keepdim=True)
    return centred / (variance + _VARIANCE_FLOOR).sqrt()


def _taking_part(counts: Float[Tensor, "b k y x"]) -> Bool[Tensor, "b k n"]:
    # Where no pixel counts all take part: the value is finite, and its weight is 0.
    some = counts.flatten(2) > 0
    return some | ~some.any(dim=2, keepdim=True)


def _log_softmax_over_pixels(
    values: Float[Tensor, "b k y x"], taking_part: Bool[Tensor, "b k n"]
) -> Float[Tensor, "b k n"]:
    # Not minus infinity: 0 × (−inf − −inf) is nan, in the value and in the gradient.
    nowhere = torch.finfo(values.dtype).min / 4
    return F.log_softmax(values.flatten(2).masked_fill(~taking_part, nowhere), dim=2)


def _check_classes(scores: Float[Tensor, "b k y x"]) -> None:
    if scores.shape[1] < 2:
        raise ShapeError(
            f"A divergence over exclusive classes needs two or more of them, but the scores are {tuple(scores.shape)}"
            " (batch, class, y, x). Use binary_kl."
        )


def _check_temperature(temperature: float) -> None:
    if not temperature > 0:
        raise ConfigError(f"temperature is {temperature}, but it divides logits. Choose one above 0.")
