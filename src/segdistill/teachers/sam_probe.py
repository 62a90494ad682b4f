"""The probe: a small convolutional head fitted on the features of a frozen SAM encoder."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import SamModel

from segdistill.errors import ConfigError, DataError
from segdistill.files import whole_file
from segdistill.teachers.contract import NO_HINT, Hint
from segdistill.teachers.sam import encode
from segdistill.teachers.sam_image import from_square
from segdistill.teachers.sam_prompts import Encoded
from segdistill.teachers.sam_sizes import encoder_of

_KEY = "segdistill"


@dataclass(frozen=True, eq=False)
class Probe:
    """A fitted head and what it was fitted on."""

    head: nn.Sequential
    """From the embedding to coarse scores, one per output, at four times its resolution."""

    outputs: tuple[str, ...]
    """What the scores mean."""

    labels_seen: int
    """Labelled images it was fitted on."""

    base_sha256: str
    """Hash of the weights of the encoder that it belongs to."""

    def ask(self, encoded: Encoded, hint: Hint = NO_HINT) -> Float[Tensor, "k y x"]:  # noqa: ARG002  (the shape of every Ask)
        """Return probabilities on the image's grid."""
        return torch.sigmoid(_scores(self.head, encoded))


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How a probe is fitted."""

    steps: int = 300
    """Optimiser steps, one image each."""

    learning_rate: float = 1e-3
    """Peak of a one-cycle schedule."""

    width: int = 64
    """Channels of the head's first layer."""

    seed: int = 0
    """Seed of the head's first weights and of the order of images."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """One labelled image for the fit."""

    image: Float[np.ndarray, "c y x"]
    """Three channels, 0…1."""

    target: Float[np.ndarray, "k y x"]
    """One map per output, 0 or 1 (or between)."""

    counts: Bool[np.ndarray, "y x"]
    """Pixels that count."""


@torch.no_grad()
def encode_lessons(model: SamModel, lessons: Sequence[Lesson]) -> list[Encoded]:
    """Return the images as the encoder sees them, for several fits on the same ones."""
    return [encode(model, lesson.image) for lesson in lessons]


def fit_probe(
    model: SamModel,
    lessons: Sequence[Lesson],
    *,
    outputs: tuple[str, ...],
    base_sha256: str,
    fit: Fit,
    encoded: Sequence[Encoded] | None = None,
) -> Probe:
    """Fit a head on frozen features; the encoder sees every image once.

    The loss is binary cross-entropy plus soft Dice per output, on the image's own grid, over the
    pixels that count.

    Args:
        model: The frozen SAM.
        lessons: Labelled images, of any sizes. At least one.
        outputs: Names of the maps in the lessons' targets, in order.
        base_sha256: Hash of the SAM's weights; a probe fits no other.
        fit: Steps, rate, width, seed.
        encoded: The lessons' images from ``encode_lessons``. None: they are encoded here.

    Raises:
        ConfigError: There is no lesson.
    """
    if not lessons:
        raise ConfigError("A probe is fitted on labelled images, but there are none. Label some, or use grid.")
    generator = torch.Generator().manual_seed(fit.seed)
    encoded = encode_lessons(model, lessons) if encoded is None else encoded
    head = new_head(encoder_of(model.config).neck, fit.width, len(outputs), generator).to(model.device)
    optimiser = torch.optim.AdamW(head.parameters(), lr=fit.learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, fit.learning_rate, total_steps=fit.steps + 1)
    for step in range(fit.steps):
        epoch, turn = divmod(step, len(lessons))
        order = torch.randperm(len(lessons), generator=torch.Generator().manual_seed(fit.seed + epoch))
        place = int(order[turn])
        loss = probe_loss(_scores(head, encoded[place]), lessons[place].target, lessons[place].counts)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return Probe(head.eval().requires_grad_(False), outputs, len(lessons), base_sha256)


def new_head(features: int, width: int, outputs: int, generator: torch.Generator) -> nn.Sequential:
    """Return a head with random weights: one 3 x 3 convolution, two steps of doubling."""
    head = nn.Sequential(
        nn.Conv2d(features, width, 3, padding=1),
        nn.GELU(),
        nn.ConvTranspose2d(width, width // 2, 2, stride=2),
        nn.GELU(),
        nn.ConvTranspose2d(width // 2, outputs, 2, stride=2),
    )
    for parameter in head.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter, generator=generator)
        else:
            nn.init.zeros_(parameter)
    return head


def save_probe(path: Path, probe: Probe) -> None:
    """Write a probe as one safetensors file, whole or not at all."""
    card = {
        "format": 1,
        "outputs": probe.outputs,
        "labels_seen": probe.labels_seen,
        "base_sha256": probe.base_sha256,
    }
    with whole_file(path) as partial:
        save_file(dict(probe.head.state_dict()), partial, metadata={"format": "pt", _KEY: json.dumps(card)})


def load_probe(path: Path, model: SamModel, *, base_sha256: str) -> Probe:
    """Read a probe for this encoder.

    Raises:
        DataError: The file is no probe, is damaged, or belongs to another encoder (both hashes named).
    """
    try:
        with safe_open(path, framework="pt") as file:
            card = json.loads((file.metadata() or {}).get(_KEY, "{}"))
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a dict)
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} cannot be read as a probe: {error}. Fit it again.") from error
    if card.get("format") != 1 or "outputs" not in card:
        raise DataError(f"{path} is no probe of format 1. Fit it again.")
    if card["base_sha256"] != base_sha256:
        raise DataError(
            f"The probe {path} was fitted on an encoder with hash {card['base_sha256'][:12]}…, but this one has"
            f" {base_sha256[:12]}…. Name the weights it was fitted on, or fit it again."
        )
    width = state["0.weight"].shape[0]
    outputs = tuple(card["outputs"])
    features = encoder_of(model.config).neck
    head = new_head(features, width, len(outputs), torch.Generator().manual_seed(0))
    head.load_state_dict(state)
    return Probe(head.to(model.device).eval().requires_grad_(False), outputs, int(card["labels_seen"]), base_sha256)


def _scores(head: nn.Module, encoded: Encoded) -> Float[Tensor, "k y x"]:
    return from_square(head(encoded.embedding.float())[0], encoded.square)


def probe_loss(
    scores: Float[Tensor, "k y x"], target: Float[np.ndarray, "k y x"], counts: Bool[np.ndarray, "y x"]
) -> Float[Tensor, ""]:
    """Return what a probe of any encoder is fitted by: cross-entropy plus soft Dice, over the pixels that count.

    Args:
        scores: Logits, one map per output.
        target: 0 or 1, or between.
        counts: Pixels that count.
    """
    wanted = torch.from_numpy(target).to(scores.device, torch.float32)
    weight = torch.from_numpy(counts).to(scores.device, torch.float32).expand_as(wanted)
    entropy = (weight * F.binary_cross_entropy_with_logits(scores, wanted, reduction="none")).sum()
    probability = torch.sigmoid(scores) * weight
    both = (probability * wanted).sum((1, 2))
    each = (probability.square() + weight * wanted.square()).sum((1, 2))
    return entropy / weight.sum().clamp_min(1) + (1 - (2 * both + 1) / (each + 1)).mean()
