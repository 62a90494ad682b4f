"""The objective of the main job: labels, teacher and boundary, as maps and weights.

P1's objective as docs/science.md fixes it: L_seg = cross-entropy + soft Dice on the labels; L_kd
between the student's and the teacher's probabilities; L_bnd on borders, usually between soft
morphological gradients, against the labels or, where there are none, against the teacher.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from segdistill.data.labels import Structure, output_names
from segdistill.objectives import (
    BoundaryTerm,
    Distillation,
    binary_cross_entropy,
    image_weights,
    pixel_weights,
    probability_mse,
    prototype_matching,
    prototype_weights,
    soft_dice,
    teacher_classes,
)
from segdistill.objectives.boundary import whole_windows

Parts = dict[str, Tensor]
"""Part of a term to its tensor. Parts of one term share the name before the dot and are added."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Crops on the device, image, labels and targets under the same views."""

    image: Float[Tensor, "b c y x"]
    """The student's input, 0…1."""

    label: Float[Tensor, "b o y x"]
    """What the outputs should be by the labels, 0 or 1."""

    known: Float[Tensor, "b o"]
    """1 where the output's structure is labelled."""

    target: Float[Tensor, "b t y x"]
    """The teacher's probabilities for the outputs that it also has; t may be 0."""

    taught: Float[Tensor, " b"]
    """1 where there is a target."""

    counts: Float[Tensor, "b y x"]
    """How much each pixel counts, 0…1."""

    stains: Float[Tensor, "b s y x"]
    """Channels that the student is to predict, 0…1; s may be 0."""

    similarity: Float[Tensor, "b m y x"]
    """The teacher's similarity to the prototypes of its outputs and of the rest, −1…1; m is 0 if it is not compared."""


@dataclass(frozen=True, eq=False)
class Objective:
    """Which terms are on, and which outputs they compare.

    Args:
        structures: What the student segments; its outputs are ``output_names(structures)``.
        taught: Positions of the student's outputs that the teacher also gives, in the order of its maps.
        labels: Whether the term on labels is on.
        distillation: The term between student and teacher. None: there is no teacher.
        boundary: The term on borders of masks. None: there is none.
        stains: How many channels the student predicts; its scores have them behind its own, and before the
            features where ``classes`` is not 0.
    """

    structures: tuple[Structure, ...]
    taught: tuple[int, ...]
    labels: bool
    distillation: Distillation | None
    boundary: BoundaryTerm | None
    stains: int = 0

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the terms that are on."""
        return (
            *(("labels",) if self.labels else ()),
            *(("distillation",) if self.distillation is not None else ()),
            *((self.boundary.name,) if self.boundary is not None else ()),
            *(("stains",) if self.stains else ()),
        )

    @property
    def classes(self) -> int:
        """How many prototypes are compared: one for each output that the teacher gives, and one for the rest."""
        return len(self.taught) + 1 if self.distillation is not None and self.distillation.prototypes else 0

    @property
    def foreground(self) -> tuple[int, ...]:
        """Positions of the outputs that are masks of a structure; the others are boundaries of objects."""
        names = output_names(self.structures)
        return tuple(names.index(structure.name) for structure in self.structures)

    def weights(self, batch: Batch) -> Parts:
        """Return the weight map of every part that is on; no forward pass is needed."""
        parts: Parts = {}
        if self.labels:
            counts = self._labelled(batch)
            parts |= {"labels.cross_entropy": pixel_weights(counts), "labels.dice": image_weights(counts)}
        if self.distillation is not None:
            parts["distillation"] = self.distillation.weigh(_taught(batch))
        if self.classes:
            parts["distillation.prototypes"] = prototype_weights(teacher_classes(batch.target), _told(batch))
        if self.boundary is not None:
            parts[self.boundary.name] = self.boundary.weigh(self._border(batch)[1])
        if self.stains:
            parts["stains"] = pixel_weights(batch.counts[:, None].expand_as(batch.stains))
        return parts

    def values(self, scores: Float[Tensor, "b _ y x"], batch: Batch) -> Parts:
        """Return the value map of every part that is on, of the shapes of ``weights``.

        Args:
            scores: What the student returns in training: its scores, predicted channels, features.
            batch: What it is compared with.
        """
        parts: Parts = {}
        own = len(output_names(self.structures))
        scores, stains, features = scores.tensor_split((own, own + self.stains), dim=1)
        if self.stains:
            parts["stains"] = probability_mse(stains, batch.stains)
        if self.labels:
            counts = self._labelled(batch)
            parts["labels.cross_entropy"] = binary_cross_entropy(scores, batch.label)
            parts["labels.dice"] = soft_dice(scores, batch.label, counts)
        if self.distillation is not None:
            parts["distillation"] = self.distillation(scores[:, list(self.taught)], batch.target, _taught(batch))
        if self.classes:
            classes = teacher_classes(batch.target)
            parts["distillation.prototypes"] = prototype_matching(features, batch.similarity, classes, _told(batch))
        if self.boundary is not None:
            target, counts = self._border(batch)
            parts[self.boundary.name] = self.boundary(scores[:, list(self.foreground)], target, counts)
        return parts

    def _labelled(self, batch: Batch) -> Float[Tensor, "b o y x"]:
        """Return where the labels of each output count.

        Whether an object ends where it touches an ignored region is not known, so boundaries of objects count only
        where all neighbours of a pixel do.
        """
        everywhere, whole = batch.counts[:, None], whole_windows(batch.counts[:, None])
        masks = set(self.foreground)
        counts = [everywhere if output in masks else whole for output in range(batch.known.shape[1])]
        return torch.cat(counts, dim=1) * batch.known[:, :, None, None]

    def _border(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return, for each mask output, what its border is compared with and where that counts."""
        targets, counts = [], []
        for output in self.foreground:
            known = batch.known[:, output, None, None]
            said, there = _said(batch, self.taught, output)
            targets.append(torch.where(known > 0, batch.label[:, output], said))
            counts.append(torch.where(known > 0, known, there) * batch.counts)
        return torch.stack(targets, dim=1), torch.stack(counts, dim=1)


def grouped(parts: Parts) -> Parts:
    """Return the sum of each term's parts.

    >>> grouped({"labels.dice": torch.tensor(1.0), "labels.cross_entropy": torch.tensor(2.0)})
    {'labels': tensor(3.)}
    """
    terms: Parts = {}
    for name, value in parts.items():
        term = name.partition(".")[0]
        terms[term] = terms[term] + value if term in terms else value
    return terms


def taught_outputs(structures: Sequence[Structure], outputs: Sequence[str]) -> tuple[int, ...]:
    """Return the positions among the student's outputs of those that a teacher also has, in the student's order.

    >>> taught_outputs([Structure("cell", True)], ["cell", "membrane"])
    (0,)
    """
    return tuple(place for place, name in enumerate(output_names(structures)) if name in outputs)


def _told(batch: Batch) -> Float[Tensor, "b y x"]:
    return batch.counts * batch.taught[:, None, None]


def _taught(batch: Batch) -> Float[Tensor, "b t y x"]:
    return _told(batch)[:, None].expand_as(batch.target)


def _said(batch: Batch, taught: tuple[int, ...], output: int) -> tuple[Tensor, Tensor]:
    """Return the teacher's map of one output and where there is one; zeros where the teacher has none."""
    if output not in taught:
        nothing = torch.zeros_like(batch.counts)
        return nothing, nothing
    return batch.target[:, taught.index(output)], batch.taught[:, None, None].expand_as(batch.counts)
