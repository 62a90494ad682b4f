"""Teaching a student, as a problem for the engine: which crops, which terms, how it is validated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from segdistill.augment import (
    Jitter,
    View,
    apply_views,
    draw_views,
    jitter_intensity,
    label_maps,
    pad_mirrored,
    pad_uncounted,
    window,
)
from segdistill.data.labels import output_names
from segdistill.engine import batch_indices, batch_slots, weighted_mean
from segdistill.errors import ConfigError
from segdistill.objectives.weighting import Weighting
from segdistill.targets.quantise import load_maps
from segdistill.training.entries import Entry
from segdistill.training.groups import NO_RATES, parameter_groups
from segdistill.training.objective import Batch, Objective, Parts, grouped
from segdistill.training.validation import mean_dice

_DROPS = 7
"""Sets the drawing of blank channels apart from every other that begins with the same numbers."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How batches of crops are drawn; every draw is a function of (seed, step, slot)."""

    seed: int
    """Of every draw."""

    batch_size: int
    """Crops per optimiser step, over all processes."""

    labelled_share: float
    """Least share of a batch from labelled fields, 0…1, where there are both kinds."""

    crop: int
    """Side, pixels."""

    scale: tuple[float, float]
    """Least and greatest magnification."""

    flips: bool
    """Whether half of them are mirrored."""

    turns: bool
    """Whether they are turned by quarter turns."""

    jitter: Jitter | None
    """Changes of the student's intensities; None leaves them alone."""

    dropped: int = 0
    """How many of the image's last channels are each left blank in half of the crops."""


@dataclass(frozen=True, eq=False)
class Crop:
    """One sample of a step, still on the host: windows of one field and the view to take of them."""

    entry: Entry
    slot: int
    view: View
    image: np.ndarray
    planes: np.ndarray
    counts: np.ndarray
    target: np.ndarray
    stains: np.ndarray
    similarity: np.ndarray


class Taught(nn.Module):
    """The student with whatever is learnt beside it; only the student is kept."""

    def __init__(self, student: nn.Module, weighting: Weighting) -> None:
        """Hold both, so that one optimiser trains both.

        Args:
            student: The network.
            weighting: Its parameters, if it has any, are trained too.
        """
        super().__init__()
        self.student = student
        self.learned = weighting if isinstance(weighting, nn.Module) else None
        self.weighting = weighting

    def forward(self, image: Float[Tensor, "b c y x"]) -> Float[Tensor, "b o y x"]:
        """Return the student's logits."""
        return self.student(image)

    def scalars(self) -> dict[str, float]:
        """Return the weights of the terms, for the log."""
        return self.weighting.scalars()


class Distilling:
    """The main job as a ``Problem`` of the engine.

    Batches are drawn from two streams, so that a few labelled images are met as often as
    ``labelled_share`` says however many unlabelled ones there are. An arm whose images are all
    labelled, or all unlabelled, has one stream.
    """

    def __init__(
        self,
        module: Taught,
        objective: Objective,
        *,
        training: Sequence[Entry],
        validation: Sequence[Entry],
        drawing: Drawing,
        weight_decay: float,
        rates: Mapping[Tensor, float] = NO_RATES,
    ) -> None:
        """Set up the streams.

        Args:
            module: Student and weighting.
            objective: The terms.
            training: Fields to draw crops from.
            validation: Fields to choose the best weights on; empty keeps the last.
            drawing: How crops are drawn.
            weight_decay: Of the student's matrices, per unit of learning rate, ≥ 0.
            rates: Peak learning rates of weights that have one of their own.

        Raises:
            ConfigError: There is no field to learn from.
        """
        self.module: nn.Module = module
        self.both = module
        self.objective = objective
        self.validation = validation
        self.drawing = drawing
        self.weight_decay = weight_decay
        self.rates = dict(rates)
        self.labelled = [entry for entry in training if entry.labelled]
        self.unlabelled = [entry for entry in training if not entry.labelled]
        if not training:
            raise ConfigError("There is no field to learn from: none is labelled and the teacher said nothing of any.")
        self.from_labelled = _from_labelled(len(self.labelled), len(self.unlabelled), drawing)
        self.outputs = output_names(objective.structures)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the groups: weight decay on the student's matrices only, none on anything else."""
        learned = [] if self.both.learned is None else list(self.both.learned.parameters())
        return parameter_groups(
            self.both.student.parameters(), weight_decay=self.weight_decay, undecayed=learned, rates=self.rates
        )

    def batch(self, step: int, rank: int, world: int) -> list[Crop]:
        """Return this process's crops of one step."""
        chosen = self._chosen(step)
        slots = list(batch_slots(self.drawing.batch_size, rank=rank, world=world))
        entries = [chosen[slot] for slot in slots]
        views = draw_views(
            seed=self.drawing.seed,
            step=step,
            slots=slots,
            shapes=[(entry.counts.shape[0], entry.counts.shape[1]) for entry in entries],
            crop=self.drawing.crop,
            scale=self.drawing.scale,
            flips=self.drawing.flips,
            turns=self.drawing.turns,
        )
        names = [self.outputs[place] for place in self.objective.taught]
        classes = self.objective.classes
        return [
            _cut(entry, slot, view, names, classes) for entry, slot, view in zip(entries, slots, views, strict=True)
        ]

    def _chosen(self, step: int) -> list[Entry]:
        count = self.from_labelled
        chosen: list[Entry] = []
        for stream, entries, part in (
            (0, self.labelled, count),
            (1, self.unlabelled, self.drawing.batch_size - count),
        ):
            if part:
                order = batch_indices(step, batch=part, length=len(entries), seed=2 * self.drawing.seed + stream)
                chosen += [entries[index] for index in order]
        return chosen

    def collate(self, samples: list[Crop], step: int, device: torch.device) -> Batch:
        """Return crops on the device, all maps of a field under the same view."""
        views = [crop.view for crop in samples]

        def taken(maps: list[np.ndarray], *, nearest: bool) -> Tensor:
            return apply_views(torch.from_numpy(np.stack(maps)).to(device), views, nearest=nearest)

        image = taken([crop.image for crop in samples], nearest=False)
        if self.drawing.jitter is not None:
            slots = [crop.slot for crop in samples]
            image = jitter_intensity(image, seed=self.drawing.seed, step=step, slots=slots, ranges=self.drawing.jitter)
        image = self._with_blanks(image, samples, step)
        structures = self.objective.structures
        apart = [structure.instances for structure in structures]
        known = np.stack([np.repeat(c.entry.known, [1 + a for a in apart]) for c in samples]).astype(np.float32)
        return Batch(
            image=image,
            label=label_maps(taken([crop.planes for crop in samples], nearest=True), apart),
            known=torch.from_numpy(known).to(device),
            target=taken([crop.target for crop in samples], nearest=False),
            taught=torch.tensor([float(bool(crop.entry.target)) for crop in samples], device=device),
            counts=taken([crop.counts[None] for crop in samples], nearest=True)[:, 0].float(),
            stains=taken([crop.stains for crop in samples], nearest=False),
            similarity=taken([crop.similarity for crop in samples], nearest=False),
        )

    def _with_blanks(self, image: Tensor, samples: list[Crop], step: int) -> Tensor:
        """Leave channels blank at random; which ones is a function of (seed, step, slot)."""
        last = self.drawing.dropped
        if not last:
            return image
        kept = np.ones(image.shape[:2], np.float32)
        for place, crop in enumerate(samples):
            draw = np.random.default_rng((self.drawing.seed, step, crop.slot, _DROPS)).random(last)
            kept[place, -last:] = draw < 0.5
        return image * torch.from_numpy(kept).to(image.device)[:, :, None, None]

    def weights(self, batch: Batch) -> Parts:
        """Return the total weight of every part in one micro-batch."""
        return {name: weight.sum() for name, weight in self.objective.weights(batch).items()}

    def terms(self, module: nn.Module, batch: Batch, totals: Parts) -> Parts:
        """Return this micro-batch's share of every part."""
        values, weights = self.objective.values(module(batch.image), batch), self.objective.weights(batch)
        return {name: weighted_mean(values[name].float(), weights[name], total=totals[name]) for name in values}

    def combine(self, module: nn.Module, terms: Parts, share: float) -> Tensor:  # noqa: ARG002 - the weighting is not wrapped
        """Return this micro-batch's share of the loss."""
        return self.both.weighting(grouped(terms), share)

    def names(self, samples: list[Crop]) -> list[str]:
        """Return the fields that the crops come from."""
        return [crop.entry.name for crop in samples]

    def validate(self, module: nn.Module, step: int) -> dict[str, float]:  # noqa: ARG002
        """Return the mean Dice over the validation fields, against labels or, without any, the teacher."""
        if not self.validation:
            return {}
        device = next(module.parameters()).device
        return mean_dice(module, self.validation, self.objective.structures, device=device)


def _from_labelled(labelled: int, unlabelled: int, drawing: Drawing) -> int:
    """Return how many crops of a batch come from labelled fields.

    As many as their part of all fields says, but at least the share that is asked for.
    """
    batch, share = drawing.batch_size, drawing.labelled_share
    if not labelled or not unlabelled:
        return batch if labelled else 0
    proportional = labelled / (labelled + unlabelled)
    return min(batch, max(1, round(batch * max(share, proportional))))


def _cut(entry: Entry, slot: int, view: View, taught: Sequence[str], classes: int) -> Crop:
    place = window(view, (entry.counts.shape[0], entry.counts.shape[1]))
    part = (slice(None), *place.read)
    return Crop(
        entry,
        slot,
        view,
        pad_mirrored(entry.image[part], place),
        pad_mirrored(entry.planes[part], place),
        pad_uncounted(entry.counts[place.read], place),
        pad_mirrored(_target(entry.target, taught, place.read), place),
        pad_mirrored(_part_of(entry.stains, 0, place.read), place),
        pad_mirrored(_part_of(entry.similarity, classes, place.read), place),
    )


def _part_of(planes: np.ndarray | None, count: int, place: tuple[slice, slice]) -> np.ndarray:
    """Return a window of some planes; where there are none, so many of zeros."""
    if planes is None:
        return np.zeros((count, *(part.stop - part.start for part in place)), np.float32)
    return planes[:, *place].astype(np.float32)


def _target(target: Mapping[str, np.ndarray], names: Sequence[str], place: tuple[slice, slice]) -> np.ndarray:
    shape = tuple(part.stop - part.start for part in place)
    maps = [load_maps(target[name][place]) if target else np.zeros(shape, np.float32) for name in names]
    return np.stack(maps) if maps else np.zeros((0, *shape), np.float32)
