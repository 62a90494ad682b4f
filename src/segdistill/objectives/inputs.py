"""What every objective does to its inputs first: equal shapes, enough precision, a still teacher."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from segdistill.errors import ShapeError


def widen(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return half precision as float32, and anything else as it is.

    Sums of squares over a crop overflow float16 at 65,504 pixels, and bfloat16 counts only to 256.

    >>> widen(torch.zeros(1, dtype=torch.float16)).dtype
    torch.float32
    """
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def prepare(
    student: Float[Tensor, "*shape"], teacher: Shaped[Tensor, "..."], *, what: str
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Return student and teacher in one precision, the teacher cut from the graph.

    Args:
        student: What gradients flow to.
        teacher: What it is compared with, on the same grid.
        what: The two things' names, for the message.

    Raises:
        ShapeError: The shapes differ.
    """
    check_shapes(student, teacher, what=what)
    wide = widen(student)
    return wide, teacher.detach().to(wide.dtype)


def check_shapes(first: Shaped[Tensor, "..."], second: Shaped[Tensor, "..."], *, what: str) -> None:
    """Refuse two tensors of different shapes.

    Raises:
        ShapeError: They differ.
    """
    if first.shape != second.shape:
        raise ShapeError(
            f"{what} differ in shape: {tuple(first.shape)} and {tuple(second.shape)} (batch, output, y, x)."
            " Bring both to one grid before computing the loss."
        )
