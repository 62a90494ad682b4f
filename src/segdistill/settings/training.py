"""Settings of whatever is trained: students, and teachers that are adapted."""

from typing import Annotated, Literal

from pydantic import Field

from segdistill.settings.base import Settings
from segdistill.settings.source import Fraction

Positive = Annotated[int, Field(gt=0)]


class Optimisation(Settings):
    """How long, in which batches, how fast."""

    steps: Positive = 2000
    """Optimiser steps."""

    batch_size: Positive = 8
    """Crops per optimiser step."""

    micro_batch: Positive | None = None
    """Crops per forward pass, fewer where memory is short. None is the whole batch."""

    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    """Decay of the network's weights; biases, norms and the weights of the terms have none."""

    warmup: Fraction = 0.05
    """Share of the steps in which the learning rate rises; then it falls as a cosine."""

    clip: Annotated[float, Field(gt=0)] | None = 1.0
    """Largest norm of the gradient. None does not clip."""

    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay per step of the running mean of the weights, which is what is kept. 0 keeps the last weights."""

    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Arithmetic of the forward pass. 16-mixed needs a GPU."""

    intensity: Fraction = 0.2
    """Strength of random gain, offset and gamma on the network's input. 0 leaves it alone."""

    validations: Positive = 10
    """How often in a run the network is validated; the best is kept."""


class Training(Optimisation):
    """How long, in which batches, with which views of the images."""

    scale: tuple[float, float] = (0.75, 1.25)
    """Range of the random magnification."""

    flips: bool = True
    """Mirror images at random. Wrong where left and right differ, as on radiographs."""

    turns: bool = True
    """Turn images by quarter turns at random. Wrong where up and down differ."""
