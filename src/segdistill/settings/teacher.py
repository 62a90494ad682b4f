"""Settings of one teacher."""

from pathlib import Path
from typing import Literal

from pydantic import model_validator

from segdistill.settings.adaptation import Adaptation
from segdistill.settings.base import Settings

Prompting = Literal["boxes", "grid", "probe", "tuned"]


def called(teacher: str) -> str:
    """Return what people read of a teacher's name: of a long path the last two parts, since records name it whole.

    >>> called("maps:/home/ada/projects/codex/tools/maps.toml"), called("onnx:nets/m2unet.toml"), called("sam-vit-b")
    ('maps:…/tools/maps.toml', 'onnx:nets/m2unet.toml', 'sam-vit-b')
    """
    kind, _, place = teacher.partition(":")
    parts = Path(place).parts
    return f"{kind}:…/{'/'.join(parts[-2:])}" if len(parts) > 3 else teacher


class TeacherSpec(Settings):
    """One teacher: which, what it sees and how it is asked."""

    teacher: str
    """Name of the teacher; `segdistill teachers` lists them."""

    channels: tuple[str, ...]
    """Channels it sees, by name."""

    weights: Path | None = None
    """File or folder of its weights, for teachers that are not embedded."""

    prompting: Prompting | None = None
    """How a SAM-type teacher is asked. boxes draws them from the labels: an oracle, named so everywhere."""

    shuffled: tuple[str, ...] = ()
    """Channels that it is shown from another image: a control that keeps their look and breaks their meaning."""

    adapt: Adaptation | None = None
    """Fit it, a SAM, to the task in the run, each labelled training image described by one that was fitted on other
    folds. None asks it as it is."""

    @property
    def adaptation(self) -> Adaptation | None:
        """How it is fitted in the run; None where nothing of it is."""
        return None if self.adapt is None or self.adapt.how == "none" else self.adapt

    @model_validator(mode="after")
    def _asked_in_one_way(self) -> "TeacherSpec":
        if self.adaptation is not None and self.prompting is not None:
            raise ValueError("prompting is void with adapt: a SAM that is fitted to the task answers without a prompt")
        return self

    @model_validator(mode="after")
    def _shuffles_its_own(self) -> "TeacherSpec":
        strange = [name for name in self.shuffled if name not in self.channels]
        if strange:
            raise ValueError(f"shuffled names {', '.join(strange)}, which the teacher does not see")
        return self


class NamedTeacher(Settings):
    """Which teacher and what it sees; for commands that have one."""

    teacher: str
    """Name of the teacher; `segdistill teachers` lists them."""

    teacher_channels: tuple[str, ...]
    """Channels the teacher sees, by name."""

    teacher_weights: Path | None = None
    """File or folder of the teacher's weights, for teachers that are not embedded."""


class TeacherChoice(NamedTeacher):
    """Which teacher, what it sees and how it is asked; for commands that have one."""

    prompting: Prompting | None = None
    """How a SAM-type teacher is asked. boxes draws them from the labels: an oracle, named so everywhere."""

    @property
    def first_teacher(self) -> TeacherSpec:
        """The teacher, as studies know it."""
        return TeacherSpec(
            teacher=self.teacher,
            channels=self.teacher_channels,
            weights=self.teacher_weights,
            prompting=self.prompting,
        )
