"""What a user of the loop gives: samples, terms of a loss, and a way to validate."""

from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn


@runtime_checkable
class Problem(Protocol):
    """One thing to be learnt. Distilling, adapting, pre-training and diffusion are four of them.

    The loop cuts the samples of a step into micro-batches and the step into processes as memory
    and machines allow. Nothing below may depend on where it cuts. It survives pickling: other
    processes get it so.
    """

    module: nn.Module
    """Everything that is trained, and nothing else that is large: parameters that need no gradient are neither
    saved nor averaged. Its ``train()`` is called; override that to keep parts in evaluation mode. If it has a
    method ``scalars() -> dict[str, float]``, the log keeps what that returns."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return AdamW's groups; each may have its own ``weight_decay`` and its own peak ``lr``."""
        ...

    def batch(self, step: int, rank: int, world: int) -> list[Any]:
        """Return this process's samples of one optimiser step, still on the host; at least one.

        Args:
            step: Counted from 0.
            rank: Which process this is.
            world: How many processes share the step.

        A pure function of its arguments: it runs in another thread, ahead of time.
        ``batch_indices`` and ``batch_slots`` say which samples these are.
        """
        ...

    def collate(self, samples: list[Any], step: int, device: torch.device) -> Any:
        """Return one micro-batch on the device. Random draws depend on (seed, step, slot) of each sample alone."""
        ...

    def weights(self, batch: Any) -> dict[str, Float[Tensor, ""]]:
        """Return the total weight of each term in one micro-batch: the same names in every micro-batch."""
        ...

    def terms(
        self, module: nn.Module, batch: Any, totals: dict[str, Float[Tensor, ""]]
    ) -> dict[str, Float[Tensor, ""]]:
        """Return this micro-batch's share of each term.

        Args:
            module: ``self.module``, wrapped for this precision and these processes. Call it, not ``self.module``.
            batch: What ``collate`` returned.
            totals: For each term the total weight of the whole step: all micro-batches, all processes. Pass
                it to ``weighted_mean``; then the shares of a step add up to the step's mean.
        """
        ...

    def combine(self, module: nn.Module, terms: dict[str, Float[Tensor, ""]], share: float) -> Float[Tensor, ""]:
        """Return this micro-batch's share of the loss: linear in the terms.

        Args:
            module: As in ``terms``.
            terms: What ``terms`` returned.
            share: This micro-batch's fraction of the samples of the whole step. Whatever does not depend on
                the batch (half a log-variance, a penalty on the weights) is multiplied by it.
        """
        ...

    def names(self, samples: list[Any]) -> list[str]:
        """Return what a person would look up: the files that these samples come from."""
        ...

    def validate(self, module: nn.Module, step: int) -> dict[str, float]:
        """Return scores of the averaged weights; the highest "score" marks the best ones.

        Args:
            module: ``self.module`` in evaluation mode, its weights for now the averaged ones, in float32.
            step: How many optimiser steps are done.

        Called in the first process only, without gradients. An empty dictionary, or one without
        "score", leaves the last weights the best.
        """
        ...
