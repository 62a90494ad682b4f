"""What the loop is told: how long, how fast, how exactly, where."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from segdistill.errors import ConfigError

# Two runs that differ in one of these do not end with the same weights, so one may not resume the other.
_DECIDES_THE_WEIGHTS = (
    "steps",
    "batch_size",
    "micro_batch",
    "learning_rate",
    "warmup",
    "clip",
    "ema",
    "precision",
    "seed",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """One run of the loop, checked when it is made.

    Weight decay is not here: it belongs to the problem's parameter groups.

    Raises:
        ConfigError: One or several settings are out of range; all are named at once.

    >>> Plan(steps=10, batch_size=4, micro_batch=2).learning_rate
    0.001
    """

    steps: int
    """Optimiser steps of the whole run."""

    batch_size: int
    """Samples of one optimiser step, over all processes."""

    micro_batch: int
    """Samples that go through the network at once, per process. It decides memory, not the loss;
    with batch normalisation it decides the statistics too and belongs to the protocol."""

    learning_rate: float = 1e-3
    """Peak of the schedule, for parameter groups that name no ``lr`` of their own."""

    warmup: float = 0.05
    """Fraction of the steps over which the learning rate rises from 0 to its peak; then it falls along
    half a cosine."""

    clip: float | None = 1.0
    """Largest Euclidean norm of the whole gradient; a longer one is scaled down to it. None never scales."""

    ema: float = 0.999
    """Decay of the moving average of the weights, from 0 (the weights themselves) to below 1."""

    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Arithmetic of the network; weights, losses and sums are always float32."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute. "auto" takes an NVIDIA GPU, else Apple's, else the CPU, and says so."""

    devices: int | None = None
    """Processes per machine. None takes what the launcher (torchrun, srun) started, 1 without a launcher."""

    seed: int = 0
    """Decides dropout and whatever the problem draws; with the step it replaces any state of a random generator."""

    checkpoint_every: int = 200
    """Steps between checkpoints. One is also written at the end and when the run is stopped."""

    validate_every: int | None = 200
    """Steps between validations; the last step always has one. None never validates."""

    log_every: int = 10
    """Steps between lines of the log. Bad steps and the last one are always logged."""

    stop_after_bad: int = 3
    """Steps in a row with a loss or gradient that is not finite, after which the run stops. None of them changes
    a weight."""

    def __post_init__(self) -> None:
        rules = {
            "steps": (self.steps >= 1, "at least 1"),
            "batch_size": (self.batch_size >= 1, "at least 1"),
            "micro_batch": (self.micro_batch >= 1, "at least 1"),
            "learning_rate": (0 < self.learning_rate < float("inf"), "positive"),
            "warmup": (0 <= self.warmup < 1, "a fraction from 0 to below 1"),
            "clip": (self.clip is None or self.clip > 0, "positive, or None"),
            "ema": (0 <= self.ema < 1, "from 0 to below 1"),
            "precision": (self.precision in {"32-true", "bf16-mixed", "16-mixed"}, "32-true, bf16-mixed or 16-mixed"),
            "device": (self.device in {"auto", "cpu", "cuda", "mps"}, "auto, cpu, cuda or mps"),
            "devices": (self.devices is None or self.devices >= 1, "at least 1, or None"),
            "seed": (self.seed >= 0, "0 or more"),
            "checkpoint_every": (self.checkpoint_every >= 1, "at least 1 step"),
            "validate_every": (self.validate_every is None or self.validate_every >= 1, "at least 1 step, or None"),
            "log_every": (self.log_every >= 1, "at least 1 step"),
            "stop_after_bad": (self.stop_after_bad >= 1, "at least 1 step"),
        }
        wrong = [
            f"{name} is {getattr(self, name)!r}, but it must be {wanted}."
            for name, (good, wanted) in rules.items()
            if not good
        ]
        if wrong:
            raise ConfigError("\n".join(wrong))

    def decisive(self) -> dict[str, Any]:
        """Return the settings that decide the final weights; a checkpoint keeps them."""
        everything = asdict(self)
        return {name: everything[name] for name in _DECIDES_THE_WEIGHTS}

    def differences(self, decisive: Mapping[str, Any]) -> list[str]:
        """Return one phrase for each setting in which an earlier run differed.

        Args:
            decisive: What ``decisive`` returned then.

        >>> plan = Plan(steps=10, batch_size=4, micro_batch=2)
        >>> plan.differences({**plan.decisive(), "seed": 7})
        ['seed was 7 and is now 0']
        """
        now = self.decisive()
        return [
            f"{name} was {decisive.get(name)!r} and is now {value!r}"
            for name, value in now.items()
            if decisive.get(name) != value
        ]
