"""Fitting a diffusion model, as a lesson for the engine: crops with noise are shown, their velocity is asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segdistill.engine import Outcome, settle, train
from segdistill.settings.synthesize import Diffusing
from segdistill.synthesis.denoiser import Denoiser
from segdistill.synthesis.diffusion import TIMES, mixed, signal_shares
from segdistill.training.entries import Entry
from segdistill.training.fit import make_plan
from segdistill.training.objective import Parts
from segdistill.training.pretraining import PretrainingProblem, Sights
from segdistill.training.pretraining_crops import Crop, crops_on, draw_crops

_NOISE = 17
"""Sets the drawing of noise apart from every other that begins with the same numbers."""

Notice = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class NoisyBatch:
    """Crops with noise, on the device."""

    noisy: Float[Tensor, "b c y x"]
    time: Int[Tensor, " b"]
    """How noisy each is."""

    velocity: Float[Tensor, "b c y x"]
    """What the network shall say."""

    maps: Float[Tensor, "b o y x"]
    """Masks that it is told, 0 where they are left out; of a network without masks, none."""


class DenoisingLesson:
    """The objective of denoising diffusion: at a random amount of noise, say the velocity; every amount counts alike.

    Source:
        Ho, Jain, Abbeel 2020, arXiv:2006.11239, algorithm 1, with the velocity of ``diffusion.mixed``.
    """

    scales: Mapping[str, float] = MappingProxyType({"velocity": 1.0})

    def __init__(self, module: Denoiser, entries: Sequence[Entry], sights: Sights, *, left_out: float = 0.0) -> None:
        """Hold what is learnt and from what.

        Args:
            module: Learns.
            entries: The images, 0 to 1; behind their channels, masks as ``Denoiser.forward`` takes them, if it does.
            sights: How they are shown; the crop is the side of the module's images.
            left_out: Share of the images whose masks are left out.
        """
        self.module: nn.Module = module
        self.channels = module.channels
        self.entries = entries
        self.sights = sights
        self.left_out = left_out
        self._shares = signal_shares()

    def samples(self, step: int, slots: range) -> list[Crop]:
        """Return the crops of some slots of a step."""
        return draw_crops(self.entries, self.sights, step, slots)

    def collate(self, samples: list[Crop], step: int, device: torch.device) -> NoisyBatch:
        """Return crops with noise; how much, and which, is a function of (seed, step, slot) on every device."""
        seen = crops_on(samples, self.sights, step, device)
        image, maps = 2 * seen[:, : self.channels] - 1, seen[:, self.channels :]
        draws = [np.random.default_rng((self.sights.seed, step, crop.slot, _NOISE)) for crop in samples]
        time = torch.tensor([int(draw.integers(TIMES)) for draw in draws])
        noise = torch.stack([normal(int(draw.integers(2**63)), image.shape[1:]) for draw in draws])
        told = torch.tensor([float(draw.random() >= self.left_out) for draw in draws])
        noisy, velocity = mixed(image, noise.to(device), self._shares[time].to(device))
        return NoisyBatch(noisy, time.to(device), velocity, maps * told.to(device)[:, None, None, None])

    def weights(self, batch: NoisyBatch) -> Parts:
        """Return 1 for every image."""
        return {"velocity": torch.ones(len(batch.time), device=batch.time.device)}

    def values(self, module: nn.Module, batch: NoisyBatch) -> Parts:
        """Return the mean square by which each velocity is off."""
        off = module(batch.noisy, batch.time, batch.maps).float() - batch.velocity
        return {"velocity": off.square().mean(dim=(1, 2, 3))}

    def names(self, samples: list[Crop]) -> list[str]:
        """Return the images that the crops come from."""
        return [crop.entry.name for crop in samples]


def normal(key: int, shape: Sequence[int]) -> Float[Tensor, "..."]:
    """Return normal noise that is a function of its key, the same for every device."""
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(key))


def fit_denoiser(
    folder: Path,
    denoiser: Denoiser,
    entries: Sequence[Entry],
    protocol: Diffusing,
    *,
    left_out: float = 0.0,
    seed: int,
    device: str,
    notice: Notice,
) -> Outcome:
    """Fit a diffusion model, or go on with it, or read back what was done before.

    Args:
        folder: For checkpoints and log, and nothing else.
        denoiser: Ends with the last averaged weights.
        entries: The images, 0 to 1, and their masks behind them, if the network draws for any.
        protocol: How long, in which batches.
        left_out: Share of the images whose masks are left out.
        seed: Of every draw.
        device: Where to train.
        notice: Told what happens.

    Raises:
        ConfigError: Other settings began the folder.
        TrainingStopped: The loss was not finite, or a signal came; the last good weights are kept.
    """
    sights = Sights(
        seed=seed,
        batch_size=protocol.batch_size,
        crop=denoiser.side,
        scale=(1.0, 1.0),
        flips=protocol.flips,
        turns=protocol.turns,
        jitter=None,
    )
    lesson = DenoisingLesson(denoiser, entries, sights, left_out=left_out)
    problem = PretrainingProblem(lesson, weight_decay=protocol.weight_decay)
    plan = make_plan(protocol, learning_rate=protocol.learning_rate, seed=seed, device=device)
    outcome = train(problem, folder, replace(plan, validate_every=None), notice=notice)
    settle(folder)
    return outcome
