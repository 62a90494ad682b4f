"""Settings of the fitting of a SAM to a task."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from segdistill.settings.base import Settings
from segdistill.settings.training import Positive, Training


class Adapting(Training):
    """How a SAM is fitted. Few labels and large networks: short, in small batches."""

    steps: Positive = 1000
    """Optimiser steps."""

    batch_size: Positive = 4
    """Crops per optimiser step."""

    micro_batch: Positive | None = 1
    """Crops per forward pass: it decides memory, not what is learnt. None is the whole batch."""

    crop: Annotated[int, Field(ge=16)] | None = None
    """Side of a training crop, pixels. None is what the teacher sees in use: the usual longer side of the images, or
    that of the tiles in which it is shown larger ones."""

    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Peak of the learning rate. None is 1e-3 for probe and lora, 1e-4 for full."""

    ema: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Decay per step of the running mean of the weights, which is what is kept. 0 keeps the last weights."""

    checkpointing: bool = False
    """Compute the encoder's activations again for their gradients instead of keeping them: a third more time, far less
    memory. Not with probe, which needs no gradient in the encoder."""


class Adaptation(Settings):
    """What of a SAM is fitted, and how."""

    how: Literal["none", "probe", "lora", "full"] = "lora"
    """What is fitted: nothing, for comparison; a small head on the frozen encoder; a low-rank change of queries and
    values, with the decoder's last layers; or all weights."""

    rank: Annotated[int, Field(ge=1, le=64)] | None = None
    """Rank of the change, with lora. None is 4."""

    size: Positive | None = None
    """Side of the square that the network sees, pixels, a multiple of its patch; position tables are interpolated. None
    is the side that it was made for: 1024 for the published ones."""

    protocol: Adapting = Adapting()
    """How it is fitted."""

    @model_validator(mode="after")
    def _nothing_is_void(self) -> "Adaptation":
        if self.rank is not None and self.how != "lora":
            raise ValueError(f"rank is void with how {self.how}: it is the rank of the change that lora makes")
        if self.how == "none" and self.protocol != Adapting():
            raise ValueError("protocol is void with how none: nothing is fitted")
        if self.how == "probe" and self.protocol.checkpointing:
            raise ValueError("protocol.checkpointing is void with how probe: the encoder needs no gradient")
        return self

    @property
    def rank_in_use(self) -> int | None:
        """The rank; None where there is none."""
        return (self.rank or 4) if self.how == "lora" else None
