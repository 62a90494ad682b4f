"""The optimiser's groups of weights: which decay, and which have a learning rate of their own."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor

NO_RATES: Mapping[Tensor, float] = MappingProxyType({})


def parameter_groups(
    parameters: Iterable[Tensor],
    *,
    weight_decay: float,
    undecayed: Iterable[Tensor] = (),
    rates: Mapping[Tensor, float] = NO_RATES,
) -> list[dict[str, Any]]:
    """Return groups for AdamW: weight decay on matrices only, and the plan's learning rate where no other is named.

    Args:
        parameters: Those without a gradient are left out.
        weight_decay: Per unit of learning rate, ≥ 0.
        undecayed: Further ones, of any shape, that never decay.
        rates: Peak learning rates of those that have one of their own.

    >>> import torch
    >>> matrix, bias = (torch.zeros(size, requires_grad=True) for size in ((2, 2), 2))
    >>> [(len(group["params"]), group["weight_decay"]) for group in parameter_groups([matrix, bias], weight_decay=0.1)]
    [(1, 0.1), (1, 0.0)]
    """
    learning = [each for each in parameters if each.requires_grad]
    usual = [each for each in learning if each not in rates]
    groups: list[dict[str, Any]] = [
        {"params": [each for each in usual if each.ndim > 1], "weight_decay": weight_decay},
        {"params": [*(each for each in usual if each.ndim <= 1), *undecayed], "weight_decay": 0.0},
    ]
    for rate in sorted({rates[each] for each in learning if each in rates}):
        own = [each for each in learning if rates.get(each) == rate]
        for decays in (True, False):
            part = [each for each in own if (each.ndim > 1) == decays]
            if part:
                groups.append({"params": part, "weight_decay": weight_decay if decays else 0.0, "lr": rate})
    return groups
