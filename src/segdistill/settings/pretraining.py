"""Settings of the ways of pre-training an encoder."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from segdistill.settings.base import Settings
from segdistill.settings.training import Positive, Training

Way = Literal["masked", "contrast", "features", "task"]


class Pretraining(Training):
    """How long an encoder is pre-trained, and in which batches: the same for every way, so that they compare."""

    batch_size: Positive = 16
    """Images per optimiser step."""

    crop: Annotated[int, Field(ge=32, multiple_of=16)] = 224
    """Side of what the encoder sees, pixels, a multiple of 16. With a teacher, the longer side of a view."""

    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Peak of the learning rate. None is 1e-3, or 3e-4 for students with a transformer encoder."""

    ema: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Decay per step of the running mean of the weights, which is what is kept. 0 keeps the last weights."""

    @model_validator(mode="after")
    def _validates_nothing(self) -> "Pretraining":
        if self.validations != Training().validations:
            raise ValueError("validations is void: nothing is validated while an encoder is pre-trained")
        return self


class Masked(Settings):
    """Masked autoencoding."""

    hidden: Annotated[float, Field(gt=0, lt=1)] = 0.75
    """Share of the patches that are hidden."""


class Contrast(Settings):
    """Telling images from each other."""

    temperature: Annotated[float, Field(gt=0)] = 0.2
    """Divides cosines."""

    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """How much of the slower copy stays in each step at first; it rises to 1."""


class TaskSpecific(Settings):
    """Hidden layers and predictions of a teacher that was fitted to the task."""

    layers: tuple[Positive, ...] | None = None
    """The teacher's blocks that are matched, counted from 1, shallowest first; the last with the student's last. None:
    those that see the whole image at once."""

    hidden_weight: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the hidden layers."""

    prediction_weight: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the predictions."""

    temperature: Annotated[float, Field(gt=0)] = 2.0
    """Divides the scores of both in the divergence between predictions."""

    @model_validator(mode="after")
    def _learns_something(self) -> "TaskSpecific":
        if self.hidden_weight == self.prediction_weight == 0:
            raise ValueError("hidden_weight and prediction_weight are both 0: there is nothing to learn")
        if self.layers is not None and (not self.layers or list(self.layers) != sorted(set(self.layers))):
            raise ValueError("layers must name blocks in rising order, each once")
        return self
