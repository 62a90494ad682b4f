"""Pre-training on the features of a teacher that knows nothing of the task."""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import nn

from segdistill.networks.matched import MatchedEncoder
from segdistill.objectives import token_cosine, token_mse, token_weights
from segdistill.training.objective import Parts
from segdistill.training.pretraining import Sights
from segdistill.training.pretraining_told import Told, ToldBatch, Views, told_on


class FeaturesLesson:
    """The student's last tokens, linearly projected, must be the teacher's embedding, in length and direction.

    Source:
        arXiv:2503.06976, task-agnostic distillation; the form of the loss is ours.
    """

    scales: Mapping[str, float] = MappingProxyType({"features.mse": 1.0, "features.cosine": 1.0})

    def __init__(self, module: MatchedEncoder, views: Views, sights: Sights) -> None:
        """Hold what is learnt and from what.

        Args:
            module: Learns.
            views: With one token grid of each.
            sights: How they are shown.
        """
        self.module: nn.Module = module
        self.views = views
        self.sights = sights

    def samples(self, step: int, slots: range) -> list[Told]:
        """Return the stored views of some slots of a step."""
        return self.views.draw(self.sights, step, slots)

    def collate(self, samples: list[Told], step: int, device: torch.device) -> ToldBatch:
        """Return stored views on the device."""
        return told_on(samples, self.sights, step, device)

    def weights(self, batch: ToldBatch) -> Parts:
        """Return 1 for every token on an image, unless it is ignored there."""
        weights = token_weights(batch.cells)
        return {"features.mse": weights, "features.cosine": weights}

    def values(self, module: nn.Module, batch: ToldBatch) -> Parts:
        """Return how far each token is off."""
        (wanted,) = batch.tokens.values()
        found = module(batch.image, (wanted.shape[2], wanted.shape[3]))
        return {"features.mse": token_mse(found, wanted), "features.cosine": token_cosine(found, wanted)}

    def names(self, samples: list[Told]) -> list[str]:
        """Return the images that the views are of."""
        return [told.entry.name for told in samples]
