"""How much each value of an objective's map counts; known before the forward pass."""

from jaxtyping import Float
from torch import Tensor

from segdistill.objectives.inputs import widen


def pixel_weights(counts: Float[Tensor, "b k y x"]) -> Float[Tensor, "b k y x"]:
    """Return the weights of an objective with one value per output and pixel.

    Args:
        counts: How much each pixel counts, 0 to 1; 0 where it is ignored or its structure unlabelled.
    """
    return widen(counts)


def joint_weights(counts: Float[Tensor, "b k y x"]) -> Float[Tensor, "b y x"]:
    """Return the weights of an objective with one value per pixel for all exclusive classes together.

    A pixel counts as much as its least known class.

    Args:
        counts: How much each pixel counts, 0 to 1.
    """
    return widen(counts).amin(dim=1)


def image_weights(counts: Float[Tensor, "b k y x"]) -> Float[Tensor, "b k"]:
    """Return the weights of an objective with one value per image and output: 1 if any pixel counts.

    Args:
        counts: How much each pixel counts, 0 to 1.

    >>> import torch
    >>> counts = torch.zeros(1, 2, 3, 4)
    >>> counts[0, 1, 0, 0] = 0.5
    >>> image_weights(counts).tolist()
    [[0.0, 1.0]]
    """
    wide = widen(counts)
    return (wide > 0).flatten(2).any(dim=2).to(wide.dtype)
