"""Settings of the making of targets."""

from pathlib import Path
from typing import Literal

from pydantic import model_validator

from segdistill.settings.shard import Shard
from segdistill.settings.source import Images
from segdistill.settings.teacher import TeacherChoice, refuse_void
from segdistill.settings.tokens import TokenViews
from segdistill.settings.workers import Workers


class Targets(Workers, TokenViews, TeacherChoice, Images):
    """Store what a teacher says of every image."""

    out: Path
    """Folder for the targets, one store in it per teacher and way of asking. `distill --targets` reads it."""

    maps: Literal["float16", "uint8"] = "float16"
    """How probabilities are stored; uint8 takes half the room, with errors up to 1/510."""

    tokens: bool = False
    """Store the teacher's patch tokens instead of its maps, on its own grid and at its own size; `agglomerate` learns
    from them."""

    token_grids: tuple[str, ...] = ()
    """Which of its token grids, by the names in its contract, such as hidden.12 of a SAM. None named takes the one
    nearest its maps."""

    shard: Shard = "1/1"
    """Which part of the images to do, as k/n: for n processes side by side, k is 1 to n."""

    verify: bool = False
    """Make nothing: compare all checksums and, for one image in a hundred, the maps with what the teacher says now."""

    private: bool = False
    """Write pseudonyms in place of image names, and no path of the data, into the store. A pseudonym is the beginning
    of its file's SHA-256."""

    device: str = "auto"
    """cpu, cuda, mps, or auto for the best there is."""

    @model_validator(mode="after")
    def _can_be_private(self) -> "Targets":
        if self.private and self.teacher.startswith("maps:"):
            raise ValueError(
                f"private hides the names by which {self.teacher} finds its files, and the store would name their"
                " folder. Store them without it; `distill --private` may use that store, whose names stay in it alone"
            )
        return self

    @model_validator(mode="after")
    def _computes_as_it_can(self) -> "Targets":
        refuse_void(self.teacher, None, size=self.teacher_size, precision=self.teacher_precision, prefix="teacher_")
        return self

    @model_validator(mode="after")
    def _verified_by_one(self) -> "Targets":
        if self.verify and not self.alone:
            raise ValueError("verify is done by one process: leave out workers and scheduler")
        return self

    @model_validator(mode="after")
    def _nothing_is_void(self) -> "Targets":
        of_tokens = [name for name, field in TokenViews.model_fields.items() if getattr(self, name) != field.default]
        of_tokens += ["token_grids"] if self.token_grids else []
        if not self.tokens and of_tokens:
            raise ValueError(f"{', '.join(of_tokens)} is void without tokens: maps are turned with their image")
        of_maps = [name for name in ("prompting", "maps") if getattr(self, name) not in (None, "float16")]
        if self.tokens and of_maps:
            raise ValueError(f"{', '.join(of_maps)} is void with tokens: no map is asked for")
        return self
