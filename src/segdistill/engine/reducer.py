"""The one place where maps of a loss become a number."""

import torch
from jaxtyping import Float
from torch import Tensor


def weighted_mean(
    value: Float[Tensor, "*shape"],
    weight: Float[Tensor, "*shape"],
    *,
    total: Float[Tensor, ""] | None = None,
) -> Float[Tensor, ""]:
    """Return ``sum(weight * value) / total``, or 0 where that would be 0 / 0.

    Args:
        value: One loss per pixel, or per image and class.
        weight: How much each counts, ≥ 0.
        total: Sum of the weights over everything that shares this optimiser step: other micro-batches, other
            processes. None means there is nothing else.

    Because the divisor is that of the whole step, the parts of a batch add up to the whole,
    however the batch is split and however unevenly its pixels are weighed.

    >>> weighted_mean(torch.tensor([2.0, 6.0]), torch.tensor([1.0, 3.0])).item()
    5.0
    """
    if total is None:
        total = weight.sum()
    # Note [No labelled pixel]: in a step of pure background total is 0. Adding 1 there makes the result 0 and
    # keeps it attached to the graph, so that every micro-batch can be differentiated like any other.
    return (weight * value).sum() / (total + (total == 0))


def add_up(parts: list[dict[str, Float[Tensor, ""]]]) -> dict[str, Float[Tensor, ""]]:
    """Return the sum, name by name, of dictionaries that have the same names.

    >>> add_up([{"dice": torch.tensor(1.0)}, {"dice": torch.tensor(2.0)}])
    {'dice': tensor(3.)}
    """
    return {name: torch.stack([part[name] for part in parts]).sum() for name in parts[0]}
