"""Objectives that compare what is predicted of an image's patches with the patches."""

from jaxtyping import Float
from torch import Tensor

from segdistill.errors import ShapeError
from segdistill.objectives.inputs import widen

_LEAST_VARIANCE = 1e-6


def patches_of(image: Float[Tensor, "b c y x"], side: int) -> Float[Tensor, "b n d"]:
    """Return an image's patches, row by row, the pixels of each as one vector: channel, then y, then x.

    Args:
        image: Its sides are multiples of the patch's.
        side: Of a patch, pixels.

    Raises:
        ShapeError: They are not.

    >>> import torch
    >>> patches_of(torch.arange(8.0).reshape(1, 1, 2, 4), 2)[0].tolist()
    [[0.0, 1.0, 4.0, 5.0], [2.0, 3.0, 6.0, 7.0]]
    """
    height, width = image.shape[2:]
    if height % side or width % side:
        raise ShapeError(
            f"An image of {height} × {width} pixels (y × x) has no whole patches of {side} px. Bring it to multiples."
        )
    parts = image.unflatten(3, (-1, side)).unflatten(2, (-1, side))  # b c rows y columns x
    return parts.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def normalised_patch_mse(
    predicted: Float[Tensor, "b n d"], image: Float[Tensor, "b c y x"], side: int
) -> Float[Tensor, "b n"]:
    """Squared difference from each patch, whose pixels are brought to mean 0 and variance 1, averaged over the pixels.

    Args:
        predicted: Of every patch, as ``patches_of`` orders them. Gradients flow here only.
        image: The patches' image.
        side: Of a patch, pixels.

    Returns:
        ≥ 0, without a unit; of a flat patch, the mean of the squared predictions. Weigh with 1 for patches that
        were hidden and 0 for the others.

    Raises:
        ShapeError: There are other patches than were predicted.

    Source:
        He et al. 2022, arXiv:2111.06377 (MAE), section 3, "reconstruction target".
    """
    wide, target = widen(predicted), patches_of(widen(image.detach()), side)
    if wide.shape != target.shape:
        raise ShapeError(
            f"Predicted are {tuple(wide.shape)} (batch, patch, value), but the image has {tuple(target.shape)}."
        )
    spread = target.var(dim=2, keepdim=True) + _LEAST_VARIANCE
    return ((wide - (target - target.mean(dim=2, keepdim=True)) / spread.sqrt()) ** 2).mean(dim=2)
