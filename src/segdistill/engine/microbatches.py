"""The samples of one step on the device, in pieces that fit."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


class MicroBatches:
    """The samples of one step, cut into micro-batches; cut anew when another size is asked for.

    Args:
        samples: This process's part of the step's batch.
        collate: Puts some samples on the device, as one batch.
    """

    def __init__(self, samples: list[Any], collate: Callable[[list[Any]], Any]) -> None:
        self.samples = samples
        """All of them."""
        self._collate = collate
        self._size = 0
        self._batches: list[Any] = []

    def of(self, size: int) -> list[tuple[list[Any], Any]]:
        """Return pairs of samples and their batch, ``size`` samples in each but perhaps the last."""
        cuts = [self.samples[start : start + size] for start in range(0, len(self.samples), size)]
        if size != self._size:
            self._size, self._batches = 0, []  # lets go of the device's memory first
            self._batches = [self._collate(part) for part in cuts]
            self._size = size
        return list(zip(cuts, self._batches, strict=True))


class Buffers:
    """A module's buffers as they are now: running statistics must not keep what a failed or bad pass leaves in them.

    Args:
        module: Whose buffers to remember.
    """

    def __init__(self, module: nn.Module) -> None:
        self._pairs = [(buffer, buffer.clone()) for buffer in module.buffers()]

    def restore(self) -> None:
        """Give the module its buffers as they were."""
        with torch.no_grad():
            for buffer, before in self._pairs:
                buffer.copy_(before)
