"""How good a student is on whole fields, while it trains and after."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from segdistill.data.image import Image
from segdistill.data.labels import Structure, output_names
from segdistill.evaluation import dice
from segdistill.inference.instances import segment
from segdistill.inference.maps import predict_maps
from segdistill.inference.thresholds import Case
from segdistill.inference.windows import View
from segdistill.targets.quantise import load_maps
from segdistill.training.entries import Entry

UNTUNED = {"seed": 0.7, "smoothing": 2.0}
"""How a teacher's maps are cut into objects where no label may say how: its objects are then the reference."""


def entry_view(entry: Entry) -> View:
    """Return a field, normalised already, as a network is shown it."""
    channels = tuple(f"channel{place}" for place in range(len(entry.image)))
    zeros = np.zeros(len(channels), np.float32)
    return View(Image(entry.image, channels, None, entry.name), channels, zeros, zeros + 1)


def entry_maps(
    network: nn.Module, entry: Entry, *, outputs: int, device: str | torch.device
) -> Float[np.ndarray, "o y x"]:
    """Return a network's probability maps of a whole field, computed uncut where its sides are at most 1024 pixels."""
    return predict_maps(network, entry_view(entry), outputs=outputs, tile=1024, halo=128, device=device, batch=1)


def reference(entry: Entry, structures: Sequence[Structure]) -> Int[np.ndarray, "k y x"] | None:
    """Return what a student is compared with in a field: the labels, or else the teacher's masks.

    None where there is neither. Of what nobody labelled in a field with labels, nothing is said.
    """
    if entry.labelled:
        return entry.planes
    names = output_names(structures)
    if not entry.target or any(name not in entry.target for name in names):
        return None
    maps = np.stack([load_maps(entry.target[name]) for name in names])
    masks = segment(maps, structures, {structure.name: UNTUNED for structure in structures})
    return np.stack([masks[structure.name] for structure in structures]).astype(np.int32)


def judged(
    network: nn.Module, entries: Sequence[Entry], structures: Sequence[Structure], *, device: str | torch.device
) -> list[Case]:
    """Return maps and references of the fields that have a reference, and for which structures they have one."""
    outputs = len(output_names(structures))
    cases: list[Case] = []
    for entry in entries:
        wanted = reference(entry, structures)
        if wanted is not None:
            known = entry.known if entry.labelled else np.ones_like(entry.known)
            cases.append((entry_maps(network, entry, outputs=outputs, device=device), wanted, entry.counts, known))
    return cases


def mean_dice(
    network: nn.Module, entries: Sequence[Entry], structures: Sequence[Structure], *, device: str | torch.device
) -> dict[str, float]:
    """Return ``dice_of`` what a network says of fields, as ``judged`` returns it."""
    return dice_of(judged(network, entries, structures, device=device), structures)


def dice_of(cases: Iterable[Case], structures: Sequence[Structure]) -> dict[str, float]:
    """Return Dice at probability 0.5 for each structure, the mean over the fields in which it is labelled.

    Their mean is "score". A structure that is labelled nowhere has none; without any, nothing is returned.
    """
    names = output_names(structures)
    scores: dict[str, list[float]] = {structure.name: [] for structure in structures}
    for maps, wanted, counts, known in cases:
        for plane, structure in enumerate(structures):
            if known[plane]:
                mask = maps[names.index(structure.name)] > 0.5
                scores[structure.name].append(dice(mask, wanted[plane] > 0, counts=counts))
    means = {f"dice.{name}": float(np.mean(values)) for name, values in scores.items() if values}
    return means | ({"score": float(np.mean(list(means.values())))} if means else {})
