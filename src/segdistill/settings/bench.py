"""Settings of timing a model."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from segdistill.settings.base import Settings


class Bench(Settings):
    """Time a student on this machine."""

    model: Path
    """Folder of the model, or of an exported one."""

    exported: Path | None = None
    """Folder that segdistill export made of this model, to be timed beside it."""

    out: Path | None = None
    """JSON file for the result. None: only the table is printed."""

    side: Annotated[int, Field(ge=64)] = 1024
    """Height of the image of noise that is segmented, pixels; it is one and a half times as wide."""

    tile: Annotated[int, Field(ge=64)] | None = None
    """Side of a window, pixels. None: 512, or more for a network that attends within windows."""

    threads: Annotated[int, Field(ge=1)] | None = None
    """How many compute. None: one per core."""

    repeats: Annotated[int, Field(ge=1)] = 5
    """How often the image is computed, after once that does not count."""

    compile: bool = False
    """Also time torch.compile, which first compiles for minutes."""
