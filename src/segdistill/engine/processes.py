"""What the processes of a run tell each other. Every process must come to each of these calls."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import torch
from jaxtyping import Float
from lightning.fabric import Fabric
from torch import Tensor

from segdistill.errors import SegdistillError

T = TypeVar("T")


def summed(fabric: Fabric, values: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Return the sum over all processes; ``values`` may be overwritten."""
    return fabric.all_reduce(values, reduce_op="sum")  # pyright: ignore[reportReturnType]


def sum_gradients(fabric: Fabric, parameters: Iterable[Tensor]) -> None:
    """Replace each gradient by its sum over all processes; a missing one counts as zero.

    Note [Gradients are added once, at the end]: DistributedDataParallel would add them during the last
    backward pass, and stop for ever if one process ran out of memory in it or had one micro-batch more.
    Added afterwards, in one piece, each process may split and repeat its own part as it must.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in trained:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    if fabric.world_size == 1:
        return
    gradients = [parameter.grad for parameter in trained if parameter.grad is not None]
    total = summed(fabric, torch.cat([gradient.reshape(-1) for gradient in gradients]))
    for gradient, part in zip(gradients, total.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def first_says(fabric: Fabric, work: Callable[[], T]) -> T:
    """Return, in every process, what the first one gets from ``work``; the others do not call it.

    Raises:
        SegdistillError: What ``work`` raised, in every process, so that none waits for the first.
    """
    answer: tuple[Any, SegdistillError | None] = None, None
    if fabric.is_global_zero:
        try:
            answer = work(), None
        except SegdistillError as error:
            answer = None, error
    value, refusal = fabric.broadcast(answer)
    if refusal is not None:
        raise refusal
    return cast("T", value)


def gathered(fabric: Fabric, names: list[str]) -> list[str]:
    """Return the names that all processes have, in the order of the processes."""
    if fabric.world_size == 1:
        return names
    everyone: list[list[str]] = [[] for _ in range(fabric.world_size)]
    torch.distributed.all_gather_object(everyone, names)
    return [name for own in everyone for name in own]
