"""Pre-training an encoder, as a problem for the engine: every way of it is a lesson, all else is shared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from segdistill.augment import Jitter
from segdistill.engine import Outcome, batch_slots, settle, train, weighted_mean
from segdistill.settings import Pretraining
from segdistill.training.fit import jitter_of, make_plan
from segdistill.training.groups import parameter_groups
from segdistill.training.objective import Parts

Notice = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Sights:
    """How images are shown to an encoder; every draw is a function of (seed, step, slot)."""

    seed: int
    """Of every draw."""

    batch_size: int
    """Images per optimiser step, over all processes."""

    crop: int
    """Side of what is seen, pixels."""

    scale: tuple[float, float]
    """Least and greatest magnification."""

    flips: bool
    """Whether half of them are mirrored."""

    turns: bool
    """Whether they are turned by quarter turns."""

    jitter: Jitter | None
    """Changes of intensity; None leaves them alone."""


def make_sights(protocol: Pretraining, *, seed: int) -> Sights:
    """Return how images are shown by a protocol."""
    return Sights(
        seed=seed,
        batch_size=protocol.batch_size,
        crop=protocol.crop,
        scale=protocol.scale,
        flips=protocol.flips,
        turns=protocol.turns,
        jitter=jitter_of(protocol.intensity),
    )


@runtime_checkable
class Lesson(Protocol):
    """One way of pre-training: what is shown, and what is asked of it."""

    module: nn.Module
    """The encoder, with whatever is learnt beside it and dropped afterwards."""

    sights: Sights
    """How images are shown."""

    scales: Mapping[str, float]
    """Term to its weight in the loss."""

    def samples(self, step: int, slots: range) -> list[Any]:
        """Return the samples of some slots of a step, on the host: a function of its arguments alone."""
        ...

    def collate(self, samples: list[Any], step: int, device: torch.device) -> Any:
        """Return samples on the device."""
        ...

    def weights(self, batch: Any) -> Parts:
        """Return the weight map of every term; no forward pass is needed."""
        ...

    def values(self, module: nn.Module, batch: Any) -> Parts:
        """Return the value map of every term, of the shapes of ``weights``."""
        ...

    def names(self, samples: list[Any]) -> list[str]:
        """Return the images that the samples come from."""
        ...


class PretrainingProblem:
    """A lesson as a ``Problem`` of the engine. Nothing is validated: the last averaged weights are kept."""

    def __init__(self, lesson: Lesson, *, weight_decay: float) -> None:
        """Hold a lesson.

        Args:
            lesson: What is learnt.
            weight_decay: Of its matrices, per unit of learning rate, ≥ 0.
        """
        self.lesson = lesson
        self.weight_decay = weight_decay
        self.module: nn.Module = lesson.module

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the groups: weight decay on matrices only."""
        return parameter_groups(self.module.parameters(), weight_decay=self.weight_decay)

    def batch(self, step: int, rank: int, world: int) -> list[Any]:
        """Return this process's samples of one step."""
        return self.lesson.samples(step, batch_slots(self.lesson.sights.batch_size, rank=rank, world=world))

    def collate(self, samples: list[Any], step: int, device: torch.device) -> Any:
        """Return samples on the device."""
        return self.lesson.collate(samples, step, device)

    def weights(self, batch: Any) -> Parts:
        """Return the total weight of every term in one micro-batch."""
        return {name: weight.sum() for name, weight in self.lesson.weights(batch).items()}

    def terms(self, module: nn.Module, batch: Any, totals: Parts) -> Parts:
        """Return this micro-batch's share of every term."""
        values, weights = self.lesson.values(module, batch), self.lesson.weights(batch)
        return {name: weighted_mean(values[name].float(), weights[name], total=totals[name]) for name in weights}

    def combine(self, module: nn.Module, terms: Parts, share: float) -> Tensor:  # noqa: ARG002 - every part depends on the batch
        """Return this micro-batch's share of the loss."""
        return torch.stack([self.lesson.scales[name] * value for name, value in terms.items()]).sum()

    def names(self, samples: list[Any]) -> list[str]:
        """Return the images that the samples come from."""
        return self.lesson.names(samples)

    def validate(self, module: nn.Module, step: int) -> dict[str, float]:  # noqa: ARG002
        """Return no score."""
        return {}


def pretrain_encoder(
    folder: Path, lesson: Lesson, protocol: Pretraining, *, learning_rate: float, device: str, notice: Notice
) -> Outcome:
    """Pre-train an encoder, or go on with it, or read back what was done before.

    Args:
        folder: For checkpoints and log, and nothing else.
        lesson: Its module ends with the last averaged weights.
        protocol: How long, in which batches.
        learning_rate: Its peak.
        device: Where to train.
        notice: Told what happens.

    Raises:
        ConfigError: Other settings began the folder.
        TrainingStopped: The loss was not finite, or a signal came.
    """
    problem = PretrainingProblem(lesson, weight_decay=protocol.weight_decay)
    plan = make_plan(protocol, learning_rate=learning_rate, seed=lesson.sights.seed, device=device)
    outcome = train(problem, folder, replace(plan, validate_every=None), notice=notice)
    settle(folder)
    return outcome
