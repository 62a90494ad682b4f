"""Students that learnt a minute or two from simulated tissue, so that benchmarks run networks that find something."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from segdistill.augment import label_maps
from segdistill.data.image import Image
from segdistill.data.labels import Structure
from segdistill.data.normalisation import PercentileRule, measure_range, normalise, rule_to_json
from segdistill.data.simulate import TissueSettings, simulate_tissue
from segdistill.networks import Model, ModelCard, build_student, save_model

TILE = 512
"""Side of a field, pixels."""

FIELD = TissueSettings(height=TILE, width=TILE)
_RULE = PercentileRule()


def trained(
    folder: Path,
    name: str,
    *,
    steps: int,
    fields: int = 1,
    crop: int = 128,
    batch: int = 1,
    rate: float = 3e-3,
    nuclei: bool = False,
) -> int:
    """Train a student on the nuclear stain of simulated fields, and save it; return the number of its maps.

    Args:
        folder: For the model.
        name: As ``build_student`` takes it.
        steps: Of the optimiser.
        fields: How many are learnt from, seeds 0 and on.
        crop: Side of what it sees in training, pixels.
        batch: Crops per step.
        rate: Peak learning rate.
        nuclei: Whether it finds where nuclei are, which the stain shows, or tells cells apart, which it must guess.
    """
    pixels, wanted, image = _learnt_from(fields, nuclei)
    torch.manual_seed(0)
    student = build_student(name, channels=1, outputs=wanted.shape[1])
    optimiser = torch.optim.AdamW(student.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    draw = np.random.default_rng(0)
    for _ in range(steps):
        cut = [(draw.integers(fields), *draw.integers(TILE - crop, size=2)) for _ in range(batch)]
        seen = torch.stack([pixels[field, :, top : top + crop, left : left + crop] for field, top, left in cut])
        right = torch.stack([wanted[field, :, top : top + crop, left : left + crop] for field, top, left in cut])
        loss = nn.functional.binary_cross_entropy_with_logits(student(seen), right)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    card = ModelCard(
        architecture=name,
        channels=image.channels,
        normalisation=rule_to_json(_RULE),
        structures=(Structure("nucleus" if nuclei else "cell", instances=not nuclei),),
        crop=crop,
        thresholds={} if nuclei else {"cell": {"foreground": 0.5, "seed": 0.4, "minimum_size": 0}},
    )
    save_model(folder, Model(student, card))
    return len(card.outputs)


def _learnt_from(fields: int, nuclei: bool) -> tuple[torch.Tensor, torch.Tensor, Image]:
    """Return pixels 0..1 (b c y x), what the maps should be (b o y x), and the last field as an image."""
    pixels, wanted = [], []
    image = None
    for seed in range(fields):
        tissue = simulate_tissue(seed, FIELD)
        labels = tissue.nuclei if nuclei else tissue.cells
        image = Image(tissue.image[:1], ("channel0",), tissue.pixel_size, "simulated tissue")
        pixels.append(normalise(image.array, *measure_range(image, _RULE, names=image.channels)))
        wanted.append(label_maps(torch.from_numpy(labels.astype(np.int64))[None, None], [not nuclei])[0])
    assert image is not None
    return torch.from_numpy(np.stack(pixels)), torch.stack(wanted), image
