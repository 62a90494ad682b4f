"""Stored views of images, with what a teacher said of each: for ways of pre-training that a teacher helps.

A teacher's features hold for the very view that it was shown, so the student is shown the views of the store and no
others. Its maps are statements about pixels: those of the whole image are cut and turned with the view.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from torch import Tensor

from segdistill.augment import jitter_intensity
from segdistill.engine import batch_indices
from segdistill.errors import ConfigError
from segdistill.targets import Key, TargetStore, load_maps, resample_tokens
from segdistill.targets.view import view_of
from segdistill.training.entries import Entry
from segdistill.training.pretraining import Sights
from segdistill.training.square import fitted, in_square, resampled

CELL = 16
"""Pixels of what the student sees per token of the grid on which both are compared."""

_HALF = 0.5 - 1e-6
"""So much of a pixel or a token must count for it to count; less than a half by what summing in float32 loses."""


@dataclass(frozen=True, eq=False)
class Told:
    """One stored view of an image, on the student's grid."""

    entry: Entry
    slot: int
    image: Float32[np.ndarray, "c y x"]
    tokens: Mapping[str, Float32[np.ndarray, "_ _ _"]]
    """The teacher's token grids by name."""

    maps: Float32[np.ndarray, "o y x"]
    """The teacher's probabilities; none where they are not asked for."""

    shape: tuple[int, int]
    """Pixels along y and x that lie on the image."""

    counts: Float32[np.ndarray, "y x"]
    """1 where a pixel lies on the image and is not ignored there."""


@dataclass(frozen=True, eq=False)
class ToldBatch:
    """Stored views on the device."""

    image: Float[Tensor, "b c y x"]
    tokens: Mapping[str, Float[Tensor, "b _ _ _"]]
    maps: Float[Tensor, "b o y x"]
    counts: Float[Tensor, "b y x"]
    """1 where a pixel lies on the image and is not ignored there."""

    cells: Float[Tensor, "b _ _"]
    """1 where at least half of a token's pixels count."""


@dataclass(frozen=True, eq=False)
class Views:
    """The stored views of some images."""

    store: TargetStore
    entries: Sequence[Entry]
    keys: Mapping[str, str]
    """Name of the entry to the hash by which the store knows its image."""

    names: tuple[str, ...]
    """Of the token grids that are compared."""

    maps: bool
    """Whether the teacher's maps are compared, too."""

    def draw(self, sights: Sights, step: int, slots: Sequence[int]) -> list[Told]:
        """Return the views of some slots of a step; each view of each image is met once before any is met twice.

        Args:
            sights: Its crop is the longer side that a view is brought to, pixels.
            step: Counted from 0.
            slots: Places in the step's batch.

        Raises:
            ConfigError: There is no image.
        """
        if not self.entries:
            raise ConfigError("The teacher said nothing of any image, so there is nothing to learn from it.")
        views = len(self.store.header.views)
        length = len(self.entries) * views
        chosen = batch_indices(step, batch=sights.batch_size, length=length, seed=sights.seed)
        return [self._told(slot, *divmod(int(chosen[slot]), views), sights.crop) for slot in slots]

    def _told(self, slot: int, place: int, number: int, crop: int) -> Told:
        entry, view = self.entries[place], self.store.header.views[number]
        seen = view_of(entry.image, view)
        shape = fitted((seen.shape[1], seen.shape[2]), side=crop, stride=CELL)
        key = self.keys[entry.name]
        cells = (shape[0] // CELL, shape[1] // CELL)
        grids = {name: resample_tokens(self.store.tokens(Key(key, number), name), cells) for name in self.names}
        tokens = {name: in_square(grid.transpose(2, 0, 1), crop // CELL) for name, grid in grids.items()}
        maps = np.zeros((0, crop, crop), np.float32)
        if self.maps:
            whole = np.stack([load_maps(each) for each in self.store.maps(Key(key, 0)).values()])
            maps = in_square(resampled(view_of(whole, view), shape), crop)
        counts = resampled(view_of(entry.counts[None].astype(np.float32), view), shape) >= _HALF
        counted = in_square(counts.astype(np.float32), crop)[0]
        return Told(entry, slot, in_square(resampled(seen, shape), crop, "edge"), tokens, maps, shape, counted)


def told_on(samples: Sequence[Told], sights: Sights, step: int, device: torch.device) -> ToldBatch:
    """Return stored views on the device, with changes of intensity of what the student sees."""
    image = torch.from_numpy(np.stack([told.image for told in samples])).to(device)
    if sights.jitter is not None:
        slots = [told.slot for told in samples]
        image = jitter_intensity(image, seed=sights.seed, step=step, slots=slots, ranges=sights.jitter)
    counts = torch.from_numpy(np.stack([told.counts for told in samples]))
    tokens = {name: np.stack([told.tokens[name] for told in samples]) for name in samples[0].tokens}
    return ToldBatch(
        image,
        {name: torch.from_numpy(grid).to(device) for name, grid in tokens.items()},
        torch.from_numpy(np.stack([told.maps for told in samples])).to(device),
        counts.to(device),
        (F.avg_pool2d(counts[:, None], CELL)[:, 0] >= _HALF).float().to(device),
    )
