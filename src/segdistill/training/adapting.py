"""Fitting a SAM to a task: the crops of the main job, a loss of its own, validated as the teacher that it becomes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from segdistill.data.labels import Structure, output_names
from segdistill.engine import Outcome, settle, train
from segdistill.inference.thresholds import Case
from segdistill.objectives.weighting import Scalars, fixed_weighting
from segdistill.settings import Adapting
from segdistill.targets.header import new_header
from segdistill.targets.look import Field, look
from segdistill.teachers.contract import NO_HINT, Contract, Teacher
from segdistill.teachers.sam import SamTeacher
from segdistill.teachers.sam_learner import Fitted, SamLearner, checkpoint_blocks
from segdistill.training.distilling import Crop, Distilling, Taught
from segdistill.training.entries import Entry
from segdistill.training.fit import make_drawing, make_plan
from segdistill.training.objective import Batch, Objective, Parts
from segdistill.training.validation import dice_of

Notice = Callable[[str], None]

WEIGHTS = MappingProxyType({"labels.cross_entropy": 0.2, "labels.dice": 0.8})
"""Of the two terms. Structures may overlap, so both are of independent yes or no per output.

Source:
    Zhang, Liu 2023, arXiv:2304.13785 (SAMed).
"""

_RATES: dict[Fitted, float] = {"probe": 1e-3, "lora": 1e-3, "full": 1e-4}
"""Peak learning rates: what is drawn anew takes a large one, pretrained weights a small one."""


class CrossEntropyAndDice:
    """The weighting of the two terms, as the main job's problem takes one."""

    def __call__(self, terms: Scalars, share: float) -> Tensor:  # noqa: ARG002  (every part depends on the batch)
        """Return the weighed sum of this micro-batch's terms."""
        return fixed_weighting(WEIGHTS, terms)

    def scalars(self) -> dict[str, float]:
        """Return the weights, for the log."""
        return dict(WEIGHTS)


@dataclass(frozen=True, eq=False)
class SamFit:
    """What a SAM is fitted to."""

    learner: SamLearner
    """Its values with a gradient are fitted, in place."""

    how: Fitted
    """Which these are."""

    contract: Contract
    """Of the teacher that it becomes."""

    structures: tuple[Structure, ...]
    """What it segments."""

    protocol: Adapting
    """How it is fitted."""


class AdaptingProblem:
    """The fitting of a SAM as a ``Problem`` of the engine: the main job's crops of labelled fields."""

    def __init__(self, fit: SamFit, crops: Distilling) -> None:
        """Set up the fitting.

        Args:
            fit: What is fitted.
            crops: Draws crops of labelled fields and compares them with their labels; its module is the learner.
        """
        self.fit = fit
        self.crops = crops
        self.module: nn.Module = crops.module

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the groups: weight decay on matrices only."""
        return self.crops.parameter_groups()

    def batch(self, step: int, rank: int, world: int) -> list[Crop]:
        """Return this process's crops of one step."""
        return self.crops.batch(step, rank, world)

    def collate(self, samples: list[Crop], step: int, device: torch.device) -> Batch:
        """Return crops on the device."""
        return self.crops.collate(samples, step, device)

    def weights(self, batch: Batch) -> Parts:
        """Return the total weight of both terms in one micro-batch."""
        return self.crops.weights(batch)

    def terms(self, module: nn.Module, batch: Batch, totals: Parts) -> Parts:
        """Return this micro-batch's share of both terms."""
        return self.crops.terms(module, batch, totals)

    def combine(self, module: nn.Module, terms: Parts, share: float) -> Tensor:  # noqa: ARG002 - nothing of it is wrapped
        """Return this micro-batch's share of the loss."""
        return self.crops.both.weighting(terms, share)

    def names(self, samples: list[Crop]) -> list[str]:
        """Return the fields that the crops come from."""
        return self.crops.names(samples)

    def validate(self, module: nn.Module, step: int) -> dict[str, float]:  # noqa: ARG002 - the learner is in the module
        """Return the mean Dice over the validation fields, of the teacher as it is now."""
        learner, contract = self.fit.learner, self.fit.contract
        teacher = SamTeacher(learner.model, contract, learner.ask)
        return score_on(teacher, self.crops.validation, self.fit.structures)


def fit_adapter(
    folder: Path,
    fit: SamFit,
    *,
    entries: tuple[Sequence[Entry], Sequence[Entry]],
    seed: int,
    device: str,
    notice: Notice,
) -> Outcome:
    """Fit a SAM to a task, or go on with it, or read back what was fitted before.

    Args:
        folder: For checkpoints and log, and nothing else.
        fit: Its learner ends with the best weights, on the device, still unmerged.
        entries: Labelled fields as the teacher is shown them, for fitting and for choosing the best weights. Of the
            second there may be none; then the last weights are kept.
        seed: Of every draw.
        device: Where to fit.
        notice: Told what happens.

    Raises:
        ConfigError: There is no field to learn from, or other settings began the folder.
        TrainingStopped: The loss was not finite, or a signal came.
    """
    training, validation = entries
    if fit.protocol.checkpointing:
        checkpoint_blocks(fit.learner.model)
    problem = AdaptingProblem(fit, make_crops(fit, training, validation, seed=seed))
    rate = fit.protocol.learning_rate or _RATES[fit.how]
    plan = make_plan(fit.protocol, learning_rate=rate, seed=seed, device=device)
    outcome = train(problem, folder, plan, notice=notice)
    settle(folder)
    return outcome


def make_crops(fit: SamFit, training: Sequence[Entry], validation: Sequence[Entry], *, seed: int) -> Distilling:
    """Return what draws crops of labelled fields and compares them with their labels.

    Raises:
        ConfigError: There is no field to learn from.
    """
    return Distilling(
        Taught(fit.learner, CrossEntropyAndDice()),
        Objective(fit.structures, (), labels=True, distillation=None, boundary=None),
        training=training,
        validation=validation,
        drawing=make_drawing(fit.protocol, crop=crop_side(fit.protocol, fit.contract, training), seed=seed),
        weight_decay=fit.protocol.weight_decay,
    )


def crop_side(protocol: Adapting, contract: Contract, entries: Sequence[Entry]) -> int:
    """Return the side of the training crops: what is asked for, or what the teacher will see.

    A SAM brings whatever it is shown to one size; so crops of another side than in use would show everything
    larger or smaller than it will be.
    """
    if protocol.crop is not None:
        return protocol.crop
    sides = sorted(max(entry.counts.shape) for entry in entries)
    usual = sides[len(sides) // 2] if sides else 16
    return max(16, usual if contract.tile is None else min(usual, contract.tile))


def score_on(teacher: Teacher, entries: Sequence[Entry], structures: Sequence[Structure]) -> dict[str, float]:
    """Return Dice of a teacher on labelled fields, as ``dice_of`` returns it; empty where there are none.

    Args:
        teacher: Asked as for its targets: in the same tiles.
        entries: As the teacher is shown them. Each is scored in what is labelled in it.
        structures: What the entries' planes are, in order. The teacher gives their outputs, perhaps others too.
    """
    header = new_header(teacher.contract)
    rows = [teacher.contract.outputs.index(name) for name in output_names(structures)]

    def judged(entry: Entry) -> Case:
        shape = (entry.counts.shape[0], entry.counts.shape[1])
        maps = look(teacher, Field(entry.image, NO_HINT, shape), tile=header.tile, halo=header.halo)
        return maps[rows], entry.planes, entry.counts, entry.known

    return dice_of(map(judged, entries), structures)
