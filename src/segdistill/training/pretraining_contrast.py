"""Pre-training by telling images from each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segdistill.errors import ConfigError
from segdistill.networks.momentum import WithFollower
from segdistill.objectives import contrastive
from segdistill.training.entries import Entry
from segdistill.training.objective import Parts
from segdistill.training.pretraining import Sights
from segdistill.training.pretraining_crops import Crop, crops_on, draw_crops


@dataclass(frozen=True, eq=False)
class Pair:
    """One image of a step; it must be told from all others of the step, so it brings them along."""

    slot: int
    whole: tuple[list[Crop], list[Crop]]
    """Both looks at every image of the step, slot by slot."""


@dataclass(frozen=True, eq=False)
class ContrastBatch:
    """Both looks at all images of a step, on the device, and which of them are this micro-batch's own."""

    images: tuple[Float[Tensor, "b c y x"], Float[Tensor, "b c y x"]]
    own: Int[Tensor, " m"]
    step: int


class ContrastLesson:
    """Contrast with a momentum encoder: an image must be found again, by another look at it, among all of a step.

    Note [Every micro-batch knows the whole step]: with the keys of a micro-batch alone the task would be easier the
    smaller the micro-batches are. So each brings all images of the step through the follower.

    Source:
        Chen, Xie, He 2021, arXiv:2104.02057 (MoCo v3).
    """

    scales: Mapping[str, float] = MappingProxyType({"contrast": 1.0})

    def __init__(self, module: WithFollower, entries: Sequence[Entry], sights: Sights, *, temperature: float) -> None:
        """Hold what is learnt and from what.

        Args:
            module: Learns.
            entries: The images.
            sights: How they are shown.
            temperature: Divides cosines, > 0.

        Raises:
            ConfigError: There are fewer images than in a step, or a step has one.
        """
        size = sights.batch_size
        if len(entries) < size or size < 2:
            raise ConfigError(
                f"contrast tells the images of a step from each other: it needs two or more in a step, none of them"
                f" twice, but there are {len(entries)} images and steps of {size}. Choose a protocol.batch_size from 2"
                f" to {len(entries)}, add images with --transfer, or choose another way."
            )
        self.module: nn.Module = module
        self.entries = entries
        self.sights = sights
        self.temperature = temperature

    def samples(self, step: int, slots: range) -> list[Pair]:
        """Return the images of some slots of a step."""
        every = range(self.sights.batch_size)
        whole = (
            draw_crops(self.entries, self.sights, step, every),
            draw_crops(self.entries, self.sights, step, every, look=1),
        )
        return [Pair(slot, whole) for slot in slots]

    def collate(self, samples: list[Pair], step: int, device: torch.device) -> ContrastBatch:
        """Return the whole step's images on the device."""
        one, other = (crops_on(look, self.sights, step, device) for look in samples[0].whole)
        return ContrastBatch((one, other), torch.tensor([pair.slot for pair in samples], device=device), step)

    def weights(self, batch: ContrastBatch) -> Parts:
        """Return 1 for every query: two per image."""
        return {"contrast": torch.ones(2 * len(batch.own), device=batch.own.device)}

    def values(self, module: nn.Module, batch: ContrastBatch) -> Parts:
        """Return how hard it was to find each image again, from either look."""
        queries, keys = module(batch.images, batch.own, batch.step)
        there = contrastive(queries[0], keys[1], batch.own, temperature=self.temperature)
        back = contrastive(queries[1], keys[0], batch.own, temperature=self.temperature)
        return {"contrast": torch.cat([there, back])}

    def names(self, samples: list[Pair]) -> list[str]:
        """Return the images that are to be told from others."""
        return [pair.whole[0][pair.slot].entry.name for pair in samples]
