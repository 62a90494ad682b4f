"""Crops of images alone, for ways of pre-training that need neither labels nor a teacher."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segdistill.augment import View, apply_views, draw_views, jitter_intensity, pad_mirrored, window
from segdistill.engine import batch_indices
from segdistill.training.entries import Entry
from segdistill.training.pretraining import Sights


@dataclass(frozen=True, eq=False)
class Crop:
    """A window of an image, still on the host, and the view to take of it."""

    entry: Entry
    slot: int
    view: View
    image: np.ndarray


def draw_crops(
    entries: Sequence[Entry], sights: Sights, step: int, slots: Sequence[int], *, look: int = 0
) -> list[Crop]:
    """Return the crops of some slots of a step.

    Args:
        entries: The images; each is met once before any is met twice.
        sights: How they are shown.
        step: Counted from 0.
        slots: Places in the step's batch.
        look: Which look at the same images; each is drawn anew.

    Raises:
        DataError: There is no image.
    """
    chosen = batch_indices(step, batch=sights.batch_size, length=len(entries), seed=sights.seed)
    own = [entries[chosen[slot]] for slot in slots]
    drawn = [slot + look * sights.batch_size for slot in slots]
    views = draw_views(
        seed=sights.seed,
        step=step,
        slots=drawn,
        shapes=[(entry.image.shape[1], entry.image.shape[2]) for entry in own],
        crop=sights.crop,
        scale=sights.scale,
        flips=sights.flips,
        turns=sights.turns,
    )
    return [_cut(entry, slot, view) for entry, slot, view in zip(own, drawn, views, strict=True)]


def crops_on(crops: Sequence[Crop], sights: Sights, step: int, device: torch.device) -> Float[Tensor, "b c y x"]:
    """Return crops on the device, under their views and with changes of intensity."""
    windows = torch.from_numpy(np.stack([crop.image for crop in crops])).to(device)
    image = apply_views(windows, [crop.view for crop in crops], nearest=False)
    if sights.jitter is None:
        return image
    return jitter_intensity(
        image, seed=sights.seed, step=step, slots=[crop.slot for crop in crops], ranges=sights.jitter
    )


def _cut(entry: Entry, slot: int, view: View) -> Crop:
    place = window(view, (entry.image.shape[1], entry.image.shape[2]))
    return Crop(entry, slot, view, pad_mirrored(entry.image[:, *place.read], place))
