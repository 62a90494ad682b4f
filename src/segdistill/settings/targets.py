"""Settings of the making of targets."""

from pathlib import Path
from typing import Literal

from segdistill.settings.shard import Shard
from segdistill.settings.source import Images
from segdistill.settings.teacher import TeacherChoice


class Targets(TeacherChoice, Images):
    """Store what a teacher says of every image."""

    out: Path
    """Folder for the targets, one store in it per teacher and way of asking. `distill --targets` reads it."""

    maps: Literal["float16", "uint8"] = "float16"
    """How probabilities are stored; uint8 takes half the room, with errors up to 1/510."""

    shard: Shard = "1/1"
    """Which part of the images to do, as k/n: for n processes side by side, k is 1 to n."""

    verify: bool = False
    """Make nothing: compare all checksums and, for one image in a hundred, the maps with what the teacher says now."""

    device: str = "auto"
    """cpu, cuda, mps, or auto for the best there is."""
