"""Settings of `segdistill synthesize`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from segdistill.settings.base import Settings
from segdistill.settings.source import Fraction, Source
from segdistill.settings.teacher import Precision
from segdistill.settings.training import Optimisation, Positive

SIDES = (32, 64, 128, 256)
"""Sides of images for which there is a network, pixels."""


def _possible(side: int) -> int:
    if side not in SIDES:
        raise ValueError(f"must be one of {', '.join(map(str, SIDES))}")
    return side


Side = Annotated[int, AfterValidator(_possible)]
Solver = Literal["dpm-solver", "ddim"]
Shown = Literal["whole", "parts"]


class Network(Settings):
    """The U-Net that takes noise out of images."""

    width: Annotated[int, Field(gt=0, multiple_of=8)] = 64
    """Channels of its finest maps, a multiple of 8; the coarsest, of 8 × 8 pixels, have four times as many."""

    blocks: Positive = 2
    """Residual blocks at each resolution."""


class Diffusing(Optimisation):
    """How long the diffusion model is fitted, and in which batches."""

    steps: Positive = 20_000
    """Optimiser steps."""

    batch_size: Positive = 16
    """Images per optimiser step."""

    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    """Peak of the learning rate."""

    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decay of the network's matrices."""

    intensity: Fraction = 0.0
    """Only 0: images are shown with their own brightness, or the model would learn the changes, too."""

    flips: bool = True
    """Mirror images at random, so that half of what is drawn is mirrored. Wrong where left and right differ."""

    turns: bool = False
    """Turn images by quarter turns at random, so that three of four drawn ones are turned. For images that have no up
    and down, as of cells."""

    @model_validator(mode="after")
    def _nothing_is_void(self) -> "Diffusing":
        if self.intensity:
            raise ValueError("intensity must be 0: the model would learn to draw images of changed brightness")
        if self.validations != Optimisation().validations:
            raise ValueError("validations is void: nothing is validated while a diffusion model is fitted")
        return self


class Sampling(Settings):
    """How images are drawn from the fitted model."""

    solver: Solver = "dpm-solver"
    """dpm-solver: DPM-Solver++, multistep, of second order. ddim: DDIM without noise, which needs more steps."""

    steps: Annotated[int, Field(ge=2, le=1000)] = 25
    """Steps of the solver for each image; each asks the network once."""

    batch_size: Positive = 16
    """Images that are drawn together."""


class Masks(Settings):
    """How masks decide what is drawn."""

    left_out: Fraction = 0.15
    """Share of the images that are shown to the model without their masks, so that it learns to draw freely, too."""

    guidance: Annotated[float, Field(ge=0)] = 2.0
    """How far what is drawn follows its masks: 1 as the model learnt it, more exaggerates the difference to what it
    would draw freely, 0 draws freely. Other than 0 and 1 it asks the network twice as often."""


class Synthesize(Source):
    """Fit a diffusion model on the training images of a data set, and draw images from it."""

    out: Path
    """Folder of the model, the images and the report. New, or one that the same settings began: then the run goes
    on."""

    images: Positive = 1000
    """How many images to draw. Fewer are kept: copies and the least certain ones are set aside."""

    image_channels: tuple[str, ...] | None = None
    """Channels to draw, by name. None: all that the images have, which must then be the same in each."""

    size: Side = 128
    """Side of the images that are drawn, pixels."""

    shown: Shown = "whole"
    """Of which images the model learns: whole, each brought to the size, its shorter side the square's, and shown along
    its longer side; parts, windows of that size at the image's own pixel size."""

    held_back: Annotated[float, Field(ge=0, le=0.5)] = 0.2
    """Share of the training images that the model is not fitted on, to measure by: the Fréchet distance, and whether
    what is drawn lies nearer to images that it was fitted on. 0 measures neither."""

    given_masks: bool = False
    """Draw images for masks: those of training images, at other places, mirrored and turned as the protocol allows.
    They are written beside what is drawn, as its labels."""

    masks: Masks = Masks()
    """With given_masks: how masks decide what is drawn."""

    network: Network = Network()
    """The network of the diffusion model."""

    protocol: Diffusing = Diffusing()
    """How it is fitted."""

    sampling: Sampling = Sampling()
    """How images are drawn from it."""

    copies: Fraction = 0.01
    """What is drawn is set aside as a copy if it lies nearer to an image that the model was fitted on than this
    quantile of the distances from real images to the nearest of another group."""

    teacher: str | None = None
    """Teacher whose certainty judges what is drawn; `segdistill teachers` lists them. None: nobody judges."""

    teacher_channels: tuple[str, ...] | None = None
    """Channels the teacher sees, by name."""

    teacher_weights: Path | None = None
    """File or folder of the teacher's weights, for teachers that are not embedded; or, for a published SAM, a
    repository of the Hugging Face hub that lies in its local cache, as OWNER/NAME."""

    teacher_size: Positive | None = None
    """Side of the square that the teacher, a SAM, sees, pixels, a multiple of its patch. None is the side that it was
    made for."""

    teacher_precision: Precision | None = None
    """Number format in which a SAM computes; bfloat16 is faster where the device has it, and coarser. None is
    float32."""

    least_certain: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share of the images that is set aside as those of which the teacher is least certain. None is 0.1."""

    features: str = "sam-tiny-tissue"
    """Encoder on whose features the Fréchet distance is measured: a SAM or a vision encoder (hf:FOLDER)."""

    feature_channels: tuple[str, ...] | None = None
    """Channels that it sees, by name. None: the first three, or fewer, of those that are drawn."""

    feature_weights: Path | None = None
    """File or folder of its weights, if it is not embedded."""

    seed: int = 0
    """Of first weights, and of every draw."""

    device: str = "auto"
    """cpu, cuda, mps, or auto for the best there is."""

    @property
    def least_certain_in_use(self) -> float:
        """Share that is set aside for the teacher's doubt; 0 without a teacher."""
        if self.teacher is None:
            return 0.0
        return 0.1 if self.least_certain is None else self.least_certain

    @model_validator(mode="after")
    def _measures_as_it_says(self) -> "Synthesize":
        void = list(self._void())
        if void:
            raise ValueError(f"{', '.join(void)} is void without a teacher")
        if not self.given_masks and self.masks != Masks():
            raise ValueError("masks is void without given_masks")
        if self.teacher is not None and self.teacher_channels is None:
            raise ValueError("teacher_channels must be given with a teacher")
        fields = type(self).model_fields
        named = [
            name
            for name in ("features", "feature_channels", "feature_weights")
            if getattr(self, name) != fields[name].default
        ]
        if named and not self.held_back:
            raise ValueError(f"{', '.join(named)} is void with held_back 0: there is no distance to measure")
        return self

    def _void(self) -> Iterator[str]:
        if self.teacher is None:
            about = ("teacher_channels", "teacher_weights", "teacher_size", "teacher_precision")
            yield from (name for name in (*about, "least_certain") if getattr(self, name) is not None)
