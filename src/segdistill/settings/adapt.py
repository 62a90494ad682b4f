"""Settings of `segdistill adapt`."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from segdistill.settings.adaptation import Adaptation
from segdistill.settings.source import Source
from segdistill.settings.teacher import NamedTeacher


class Adapt(Adaptation, NamedTeacher, Source):
    """Fit a SAM to a task with few labels, and keep what changed of it as a teacher."""

    out: Path
    """Folder of the adapter. New, or one that the same settings began: then the run goes on."""

    labels: Annotated[int, Field(ge=1)] | None = None
    """How many labelled training images may be used. None is all."""

    seed: int = 0
    """Of first weights, of every draw, and of which images those are."""

    device: str = "auto"
    """cpu, cuda, mps, or auto for the best there is."""

    @model_validator(mode="after")
    def _fits_something(self) -> "Adapt":
        if self.how == "none" and self.labels is not None:
            raise ValueError("labels is void with how none: nothing is fitted")
        return self
