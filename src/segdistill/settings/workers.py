"""Settings of commands whose work can be shared among processes and machines."""

from typing import Annotated

from pydantic import Field, model_validator

from segdistill.settings.base import Settings


class Workers(Settings):
    """Who does the work; needs the extra `distributed` where it is not this process alone."""

    workers: Annotated[int, Field(ge=1)] = 1
    """Processes that work side by side on this machine, of one thread each. One: this process alone, with all its
    threads."""

    scheduler: str | None = None
    """Address of a Dask scheduler, such as tcp://head:8786, whose workers do the work in place of processes here. They
    must see the same files under the same paths."""

    @model_validator(mode="after")
    def _one_of_both(self) -> "Workers":
        if self.scheduler is not None and self.workers > 1:
            raise ValueError("workers are started on this machine, and a scheduler has its own: name one of both")
        return self

    @property
    def alone(self) -> bool:
        """Whether this process does it all."""
        return self.workers == 1 and self.scheduler is None
