"""A linear probe: what frozen features know of labels that they were not made for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from segdistill.data.labels import Structure
from segdistill.data.rescale import nearest
from segdistill.errors import ConfigError
from segdistill.evaluation import dice
from segdistill.teachers.sam_probe import probe_loss
from segdistill.training.entries import Entry


@dataclass(frozen=True, eq=False)
class Seen:
    """A labelled field, and what an encoder made of it."""

    entry: Entry
    """Its labels; its pixels are not looked at."""

    tokens: Float[np.ndarray, "y x d"]
    """On any grid that covers the field."""


_SIDE = 256
"""Labels are thinned out to this longer side for the fit, pixels: tokens say nothing finer. Scores are at full size."""


@dataclass(frozen=True, kw_only=True)
class ProbeFit:
    """How a probe is fitted; the same for every encoder."""

    steps: int = 300
    """Optimiser steps, one field each."""

    learning_rate: float = 1e-2
    """Peak; it falls along half a cosine."""

    decay: float = 1e-2
    """Of the weights, per unit of learning rate."""

    seed: int = 0
    """Of the order of fields."""


def probe_dice(
    training: Sequence[Seen], held_out: Sequence[Seen], structures: Sequence[Structure], *, fit: ProbeFit = ProbeFit()
) -> dict[str, float]:
    """Return Dice on held-out fields of a linear map from frozen tokens to labels.

    One number per token and structure, enlarged to the field's size, is all that is learnt: what
    scores well must stand in the features. Tokens are standardised by the training fields first, so
    that no encoder is helped or hindered by its unit. Fields that are not labelled in full are left
    out.

    Args:
        training: Fields to fit on.
        held_out: Fields to score on.
        structures: What the entries' planes are, in order.
        fit: How it is fitted.

    Returns:
        By structure, the mean over the held-out fields at probability 0.5, and their mean as "score".

    Raises:
        ConfigError: No field of either kind is labelled in full.

    Source:
        Alain, Bengio 2016, arXiv:1610.01644, for the idea.
    """
    lessons, exam = ([seen for seen in part if seen.entry.known.all()] for part in (training, held_out))
    if not lessons or not exam:
        raise ConfigError(
            f"A probe is fitted and scored on labelled images, but {len(lessons)} training and {len(exam)} held-out"
            " ones are labelled in full. Label more, or leave probe out."
        )
    mean, deviation = _scale(lessons)
    head = nn.Conv2d(len(mean), len(structures), 1)
    for parameter in head.parameters():  # the loss is convex in them as far as its cross-entropy goes
        nn.init.zeros_(parameter)
    grids = [_grid(seen, mean, deviation) for seen in lessons]
    wanted = [_thinned(seen.entry) for seen in lessons]
    optimiser = torch.optim.AdamW(head.parameters(), lr=fit.learning_rate, weight_decay=fit.decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, fit.steps)
    for step in range(fit.steps):
        epoch, turn = divmod(step, len(lessons))
        place = int(np.random.default_rng((fit.seed, epoch)).permutation(len(lessons))[turn])
        target, counts = wanted[place]
        loss = probe_loss(_enlarged(head(grids[place]), counts.shape), target, counts)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    return _scores(head, exam, structures, mean, deviation)


@torch.no_grad()
def _scores(
    head: nn.Module, exam: Sequence[Seen], structures: Sequence[Structure], mean: np.ndarray, deviation: np.ndarray
) -> dict[str, float]:
    found: dict[str, list[float]] = {structure.name: [] for structure in structures}
    for seen in exam:
        masks = (_enlarged(head(_grid(seen, mean, deviation)), seen.entry.counts.shape) > 0).numpy()
        for plane, structure in enumerate(structures):
            wanted = seen.entry.planes[plane] > 0
            found[structure.name].append(dice(masks[plane], wanted, counts=seen.entry.counts))
    means = {name: float(np.mean(values)) for name, values in found.items()}
    return means | {"score": float(np.mean(list(means.values())))}


def _scale(lessons: Sequence[Seen]) -> tuple[np.ndarray, np.ndarray]:
    rows = np.concatenate([seen.tokens.reshape(-1, seen.tokens.shape[-1]) for seen in lessons]).astype(np.float64)
    deviation = rows.std(axis=0)
    return rows.mean(axis=0), np.where(deviation > 0, deviation, 1)


def _grid(seen: Seen, mean: np.ndarray, deviation: np.ndarray) -> Float[Tensor, "1 d y x"]:
    scaled = ((seen.tokens - mean) / deviation).astype(np.float32)
    return torch.from_numpy(np.moveaxis(scaled, -1, 0).copy())[None]


def _thinned(entry: Entry) -> tuple[Float[np.ndarray, "k _ _"], Bool[np.ndarray, "_ _"]]:
    """Return of each pixel of a smaller picture what part of it is labelled, and whether it counts."""
    shape = entry.counts.shape
    factor = max(1.0, max(shape) / _SIDE)
    small = (max(1, round(shape[0] / factor)), max(1, round(shape[1] / factor)))
    labelled = torch.from_numpy((entry.planes > 0).astype(np.float32))[None]
    return F.interpolate(labelled, small, mode="area")[0].numpy(), nearest(entry.counts[None], small)[0]


def _enlarged(scores: Float[Tensor, "1 k _ _"], shape: tuple[int, ...]) -> Float[Tensor, "k y x"]:
    return F.interpolate(scores, shape, mode="bilinear", align_corners=False)[0]
