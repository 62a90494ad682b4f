"""Settings of the making of targets, and of the teacher that makes them."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator

from segdistill.settings.base import Settings
from segdistill.settings.source import Images


class TeacherChoice(Settings):
    """Which teacher, what it sees and how it is asked."""

    teacher: str
    """Name of the teacher; `segdistill teachers` lists them."""

    teacher_channels: tuple[str, ...]
    """Channels the teacher sees, by name."""

    teacher_weights: Path | None = None
    """File or folder of the teacher's weights, for teachers that are not embedded."""

    prompting: Literal["boxes", "grid", "probe", "tuned"] | None = None
    """How a SAM-type teacher is asked. boxes draws them from the labels: an oracle, named so everywhere."""


def _checked_shard(shard: str) -> str:
    found = re.fullmatch(r"(\d+)/(\d+)", shard, re.ASCII)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ValueError("must be k/n, the k-th of n parts, such as 1/4 for the first of four")
    return shard


class Targets(TeacherChoice, Images):
    """Store what a teacher says of every image."""

    out: Path
    """Folder for the targets, one store in it per teacher and way of asking. `distill --targets` reads it."""

    maps: Literal["float16", "uint8"] = "float16"
    """How probabilities are stored; uint8 takes half the room, with errors up to 1/510."""

    shard: Annotated[str, AfterValidator(_checked_shard)] = "1/1"
    """Which part of the images to do, as k/n: for n processes side by side, k is 1 to n."""

    verify: bool = False
    """Make nothing: compare all checksums and, for one image in a hundred, the maps with what the teacher says now."""

    device: str = "auto"
    """cpu, cuda, mps, or auto for the best there is."""

    @property
    def part(self) -> tuple[int, int]:
        """The shard as the store counts: (k, n), k from 0."""
        number, _, count = self.shard.partition("/")
        return int(number) - 1, int(count)
