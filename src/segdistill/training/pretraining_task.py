"""Pre-training on the hidden layers and the predictions of a teacher that was fitted to the task."""

from collections.abc import Mapping

import torch
from torch import nn

from segdistill.networks.matched import MatchedStudent
from segdistill.objectives import binary_kl, hidden_mse, image_weights, pixel_weights, soft_dice, token_weights
from segdistill.objectives.distillation import logits_of
from segdistill.settings import TaskSpecific
from segdistill.training.objective import Parts
from segdistill.training.pretraining import Sights
from segdistill.training.pretraining_told import Told, ToldBatch, Views, told_on

_PREDICTIONS = ("predictions.kl", "predictions.dice")


class TaskLesson:
    """λ_h · mean over pairs of layers of (LN(W h_S) − LN(h_T))² + λ_p · (T²·KL + 1 − Dice).

    The outputs are independent sigmoids, so the divergence is that of yes and no, pixel by pixel.

    Source:
        arXiv:2503.06976, task-specific distillation; the form of the loss is ours.
    """

    def __init__(self, module: MatchedStudent, views: Views, sights: Sights, terms: TaskSpecific) -> None:
        """Hold what is learnt and from what.

        Args:
            module: Learns; its outputs are the teacher's.
            views: With the teacher's layers, shallowest first, and its maps.
            sights: How they are shown.
            terms: How the terms are weighed.
        """
        self.module: nn.Module = module
        self.views = views
        self.sights = sights
        self.temperature = terms.temperature
        hidden = dict.fromkeys(views.names, terms.hidden_weight / len(views.names))
        self.scales: Mapping[str, float] = hidden | dict.fromkeys(_PREDICTIONS, terms.prediction_weight)

    def samples(self, step: int, slots: range) -> list[Told]:
        """Return the stored views of some slots of a step."""
        return self.views.draw(self.sights, step, slots)

    def collate(self, samples: list[Told], step: int, device: torch.device) -> ToldBatch:
        """Return stored views on the device."""
        return told_on(samples, self.sights, step, device)

    def weights(self, batch: ToldBatch) -> Parts:
        """Return 1 for every token and pixel on an image, unless it is ignored there."""
        counts = batch.counts[:, None].expand_as(batch.maps)
        tokens = token_weights(batch.cells)
        return {
            **{name: tokens for name in self.views.names},  # noqa: C420  (fromkeys would lose the type)
            "predictions.kl": pixel_weights(counts),
            "predictions.dice": image_weights(counts),
        }

    def values(self, module: nn.Module, batch: ToldBatch) -> Parts:
        """Return how far hidden layers and predictions are off."""
        scores, grids = module(batch.image, (batch.cells.shape[1], batch.cells.shape[2]))
        parts = {name: hidden_mse(grid, batch.tokens[name]) for name, grid in zip(self.views.names, grids, strict=True)}
        counts = batch.counts[:, None].expand_as(batch.maps)
        divergence = binary_kl(scores, logits_of(batch.maps), temperature=self.temperature)
        return parts | {"predictions.kl": divergence, "predictions.dice": soft_dice(scores, batch.maps, counts)}

    def names(self, samples: list[Told]) -> list[str]:
        """Return the images that the views are of."""
        return [told.entry.name for told in samples]
