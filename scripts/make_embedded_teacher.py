"""Make the two teachers that travel with the package, from simulated tissue.

    python scripts/make_embedded_teacher.py [--steps N] [--out FOLDER]

Both are small SAMs tuned as a whole to answer without a prompt: ``sam-tiny-tissue`` sees nucleus and
membrane, its control ``sam-tiny-tissue-control`` the nucleus alone. Everything else is equal: fields,
order, first weights, steps. The data sets have seeds from 1,000,000 on, which nothing else uses.
Each file's card holds how it was made and how it does on fields that it never saw, beside the same
network with its first, random weights and a probe on that.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import SamModel

from segdistill.augment import label_maps
from segdistill.data.channels import select
from segdistill.data.image import Image
from segdistill.data.normalisation import PercentileRule, measure_range, normalise
from segdistill.data.simulate import TissueSettings, field_seed, simulate_tissue
from segdistill.teachers.sam import encode
from segdistill.teachers.sam_card import SamCard, config_to_card, save_sam
from segdistill.teachers.sam_image import from_square, place, to_square
from segdistill.teachers.sam_probe import Fit, Lesson, fit_probe
from segdistill.teachers.sam_prompts import tuned
from segdistill.teachers.sam_sizes import encoder_of, tiny_config

TRAINING_SEED, HELD_OUT_SEED = 1_000_000, 1_000_001
OUTPUTS = ("cell", "cell.boundary")
CHANNELS = {
    "sam-tiny-tissue": ("blank", "nucleus", "membrane"),
    "sam-tiny-tissue-control": ("blank", "nucleus", "blank"),
}
BATCH, PEAK, CLIP, SEED = 8, 6e-4, 1.0, 0


@dataclass(frozen=True, eq=False)
class Field:
    """One simulated field as a teacher sees it, and what it should say."""

    image: np.ndarray  # 3 y x, float32, 0…1
    target: np.ndarray  # 2 y x, 0 or 1


def fields(count: int, *, seed: int, channels: Sequence[str], side: tuple[int, int]) -> list[Field]:
    """Simulate the fields of a data set and normalise them as ``targets`` does."""
    settings = TissueSettings(height=side[0], width=side[1])
    made = []
    for index in range(count):
        tissue = simulate_tissue(field_seed(seed, index), settings)
        image = Image(tissue.image, tissue.channels, tissue.pixel_size, f"field {index}")
        low, high = measure_range(image, PercentileRule(), names=channels)
        pixels = normalise(select(image.array, image.channels, channels, source=image.source), low, high)
        target = label_maps(torch.from_numpy(tissue.cells)[None, None], [True])[0].numpy()
        made.append(Field(pixels, target))
    return made


def crop(field: Field, shape: tuple[int, int], draw: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return a random crop, mirrored and turned at random."""
    height, width = field.image.shape[1:]
    top, left = int(draw.integers(0, height - shape[0] + 1)), int(draw.integers(0, width - shape[1] + 1))
    turns, mirrored = int(draw.integers(4)), bool(draw.integers(2))
    both = []
    for array in (field.image, field.target):
        part = array[:, top : top + shape[0], left : left + shape[1]]
        part = np.rot90(part[:, :, ::-1] if mirrored else part, turns, axes=(1, 2))
        both.append(torch.from_numpy(np.ascontiguousarray(part)))
    return both[0], both[1]


def loss_of(scores: Tensor, target: Tensor) -> Tensor:
    """Return binary cross-entropy plus soft Dice of one image, both averaged over the outputs."""
    probability = torch.sigmoid(scores)
    both = (probability * target).sum((1, 2))
    each = (probability.square() + target.square()).sum((1, 2))
    return F.binary_cross_entropy_with_logits(scores, target) + (1 - (2 * both + 1) / (each + 1)).mean()


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def train(model: SamModel, lessons: Sequence[Field], steps: int) -> None:
    """Tune the whole network, prompt-free."""
    draw = np.random.default_rng(SEED)
    side = encoder_of(model.config).side
    optimiser = torch.optim.AdamW(model.parameters(), lr=PEAK, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK, total_steps=steps + 1, pct_start=0.15)
    began = time.monotonic()
    for step in range(steps):
        shorter = int(draw.integers(120, side + 1))
        shape = (shorter, side) if step % 2 else (shorter, shorter)
        parts = [crop(lessons[place], shape, draw) for place in draw.choice(len(lessons), BATCH, replace=False)]
        squares = [place((image.shape[1], image.shape[2]), side) for image, _ in parts]
        pixels = torch.cat([to_square(image, square) for (image, _), square in zip(parts, squares, strict=True)])
        scores = model(pixel_values=pixels, multimask_output=True).pred_masks[:, 0]
        losses = [loss_of(from_square(s, q), target) for s, q, (_, target) in zip(scores, squares, parts, strict=True)]
        loss = torch.stack(losses).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        schedule.step()
        if step % 50 == 49:
            say(f"  step {step + 1}: loss {loss.item():.3f}, {time.monotonic() - began:.0f} s")


def dice(maps: Sequence[np.ndarray], held_out: Sequence[Field]) -> list[float]:
    """Return the mean Dice of each output over the fields, maps cut at one half."""
    scores = []
    for probability, field in zip(maps, held_out, strict=True):
        found, wanted = probability > 0.5, field.target > 0.5
        scores.append(2 * (found & wanted).sum((1, 2)) / (found.sum((1, 2)) + wanted.sum((1, 2))))
    return [round(float(score), 4) for score in np.mean(scores, axis=0)]


@torch.inference_mode()
def score(model: SamModel, held_out: Sequence[Field]) -> list[float]:
    """Return the Dice of a prompt-free SAM."""
    return dice([tuned(encode(model, field.image), len(OUTPUTS)).numpy() for field in held_out], held_out)


def score_probe(model: SamModel, lessons: Sequence[Field], held_out: Sequence[Field]) -> list[float]:
    """Return the Dice of a probe on a frozen encoder, fitted on the same labels."""
    taught = [Lesson(field.image, field.target, np.ones(field.image.shape[1:], bool)) for field in lessons]
    probe = fit_probe(model, taught, outputs=OUTPUTS, base_sha256="", fit=Fit(seed=SEED))
    with torch.inference_mode():
        return dice([probe.ask(encode(model, field.image)).numpy() for field in held_out], held_out)


def make(name: str, *, count: int, steps: int, out: Path) -> None:
    """Make, score and write one teacher."""
    channels = CHANNELS[name]
    config = tiny_config()
    lessons = fields(count, seed=TRAINING_SEED, channels=channels, side=(160, 160))
    held_out = fields(40, seed=HELD_OUT_SEED, channels=channels, side=(128, 160))
    torch.manual_seed(SEED)
    model = SamModel(config).eval()
    random_plain = score(model, held_out)
    random_probe = score_probe(model, lessons, held_out)
    say(f"{name}: random weights {random_plain}, a probe on them {random_probe} (Dice of {', '.join(OUTPUTS)})")
    began = time.monotonic()
    train(model.train(), lessons, steps)
    seconds = round(time.monotonic() - began)
    model = model.eval().half().float()  # scored as it is stored
    tuned_dice = score(model, held_out)
    say(f"{name}: tuned {tuned_dice} after {seconds} s")
    # Of the foreground only: the nucleus does not tell where cells end, so the control's boundary stays vague.
    if tuned_dice[0] <= max(random_plain[0], random_probe[0]):
        raise SystemExit(f"{name} does not beat its own random weights. Train longer.")
    card = SamCard(
        config=config_to_card(config),
        channels=channels,
        outputs=OUTPUTS,
        labels_seen=count,
        licence="Apache-2.0",
        tile=encoder_of(config).side,
        note=f"Tuned on {count} simulated, labelled fields of tissue; knows nothing of real images.",
        provenance={
            "script": "scripts/make_embedded_teacher.py",
            "fields": {"count": count, "seed": TRAINING_SEED},
            "held_out": {"count": len(held_out), "seed": HELD_OUT_SEED},
            "training": {"steps": steps, "batch": BATCH, "peak": PEAK, "clip": CLIP, "seed": SEED, "seconds": seconds},
            "held_out_dice": dict(zip(OUTPUTS, tuned_dice, strict=True)),
            "held_out_dice_of_random_weights": dict(zip(OUTPUTS, random_plain, strict=True)),
            "held_out_dice_of_a_probe_on_random_weights": dict(zip(OUTPUTS, random_probe, strict=True)),
        },
    )
    save_sam(out / f"{name}.safetensors", model.half(), card)


def main() -> None:
    """Make both teachers."""
    folder = Path(__file__).parents[1] / "src" / "segdistill" / "teachers" / "embedded"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=700, help="optimiser steps of each teacher")
    parser.add_argument("--fields", type=int, default=200, help="labelled fields that both are tuned on")
    parser.add_argument("--names", nargs="+", choices=list(CHANNELS), default=list(CHANNELS), help="which to make")
    parser.add_argument("--out", type=Path, default=folder, help="folder for the weights")
    given = parser.parse_args()
    for name in given.names:
        make(name, count=given.fields, steps=given.steps, out=given.out)


if __name__ == "__main__":
    main()
