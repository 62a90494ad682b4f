"""Pre-training by saying what is in patches that are hidden."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segdistill.networks.masked import MaskedAutoencoder
from segdistill.networks.vit import PATCH
from segdistill.objectives import normalised_patch_mse
from segdistill.training.entries import Entry
from segdistill.training.objective import Parts
from segdistill.training.pretraining import Sights
from segdistill.training.pretraining_crops import Crop, crops_on, draw_crops

_ORDER = 11
"""Sets the drawing of hidden patches apart from every other that begins with the same numbers."""


@dataclass(frozen=True, eq=False)
class MaskedBatch:
    """Crops on the device, and which of their patches are shown."""

    image: Float[Tensor, "b c y x"]
    order: Int[Tensor, "b n"]
    """The patches in the order in which they are shown."""

    hidden: Float[Tensor, "b n"]
    """1 where a patch is hidden."""


class MaskedLesson:
    """Masked autoencoding: most patches are hidden, their normalised pixels are asked for.

    Source:
        He et al. 2022, arXiv:2111.06377.
    """

    scales: Mapping[str, float] = MappingProxyType({"hidden_patches": 1.0})

    def __init__(self, module: MaskedAutoencoder, entries: Sequence[Entry], sights: Sights) -> None:
        """Hold what is learnt and from what.

        Args:
            module: Learns.
            entries: The images.
            sights: How they are shown; the crop is a multiple of the patch.
        """
        self.module: nn.Module = module
        self.autoencoder = module
        self.entries = entries
        self.sights = sights

    def samples(self, step: int, slots: range) -> list[Crop]:
        """Return the crops of some slots of a step."""
        return draw_crops(self.entries, self.sights, step, slots)

    def collate(self, samples: list[Crop], step: int, device: torch.device) -> MaskedBatch:
        """Return crops on the device; which patches are hidden is a function of (seed, step, slot)."""
        patches = (self.sights.crop // PATCH) ** 2
        draws = [np.random.default_rng((self.sights.seed, step, crop.slot, _ORDER)) for crop in samples]
        order = np.stack([draw.permutation(patches) for draw in draws])
        hidden = np.ones(order.shape, np.float32)
        np.put_along_axis(hidden, order[:, : self.autoencoder.seen(patches)], 0, axis=1)
        return MaskedBatch(
            crops_on(samples, self.sights, step, device),
            torch.from_numpy(order).to(device),
            torch.from_numpy(hidden).to(device),
        )

    def weights(self, batch: MaskedBatch) -> Parts:
        """Return 1 for every hidden patch."""
        return {"hidden_patches": batch.hidden}

    def values(self, module: nn.Module, batch: MaskedBatch) -> Parts:
        """Return how far the prediction of each patch is off."""
        return {"hidden_patches": normalised_patch_mse(module(batch.image, batch.order), batch.image, PATCH)}

    def names(self, samples: list[Crop]) -> list[str]:
        """Return the images that the crops come from."""
        return [crop.entry.name for crop in samples]
