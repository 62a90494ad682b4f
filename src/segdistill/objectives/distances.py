"""Signed distances to the borders of a batch of labels, computed where they are."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from segdistill.objectives.distance import signed_distance


def signed_distances(label: Bool[Tensor, "b k y x"], counts: Bool[Tensor, "b k y x"]) -> Float[Tensor, "b k y x"]:
    """Return ``signed_distance`` of every label, on the device that they are on.

    Args:
        label: True inside.
        counts: False where what the label says is ignored.

    Returns:
        float32, pixels.

    >>> label = torch.tensor([[[[False, False, True, True, True]]]])
    >>> signed_distances(label, torch.ones_like(label)).tolist()
    [[[[1.5, 0.5, -0.5, -1.5, -2.5]]]]
    """
    if label.device.type != "cpu":
        return distances_axis_by_axis(label, counts)
    planes = zip(label.flatten(0, 1).numpy(), counts.flatten(0, 1).numpy(), strict=True)
    return torch.from_numpy(np.stack([signed_distance(*plane) for plane in planes])).reshape(label.shape)


def distances_axis_by_axis(label: Bool[Tensor, "b k y x"], counts: Bool[Tensor, "b k y x"]) -> Float[Tensor, "b k y x"]:
    """Return ``signed_distances`` by operations that every device has; on a processor they take many times longer.

    Source:
        Felzenszwalb, Huttenlocher 2012, Distance transforms of sampled functions, Theory of Computing 8: one axis after
        the other.
    """
    inside, outside = label & counts, ~label & counts
    signed = torch.where(label, 0.5 - _distance_to(outside), _distance_to(inside) - 0.5)
    bordered = inside.flatten(2).any(dim=2) & outside.flatten(2).any(dim=2)
    return torch.where(counts & bordered[:, :, None, None], signed, torch.zeros_like(signed))


def _distance_to(pixels: Bool[Tensor, "b k y x"]) -> Float[Tensor, "b k y x"]:
    """Return the distance from each pixel to the nearest of some; more than any where there is none."""
    far = float(sum(pixels.shape[-2:]) ** 2)
    squared = torch.full(pixels.shape, far, device=pixels.device).masked_fill(pixels, 0.0)
    return _nearest(_nearest(squared.mT).mT).sqrt()


def _nearest(squared: Float[Tensor, "b k y x"]) -> Float[Tensor, "b k y x"]:
    """Return, along each row, the least sum of a squared distance and of the square of the way to where it is."""
    places = torch.arange(squared.shape[-1], dtype=squared.dtype, device=squared.device)
    ways = (places[:, None] - places) ** 2
    return torch.stack([(row[..., None, :] + ways).amin(dim=-1) for row in squared.unbind(dim=-2)], dim=-2)
