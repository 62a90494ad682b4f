"""Settings of one teacher."""

from pathlib import Path
from typing import Literal

from pydantic import model_validator

from segdistill.settings.adaptation import Adaptation
from segdistill.settings.base import Settings
from segdistill.settings.training import Positive

Prompting = Literal["boxes", "grid", "probe", "tuned"]
Precision = Literal["float32", "bfloat16"]

_AS_THEY_ARE = {
    "fit:": "a student that is fitted here sees images of any size, in float32",
    "model:": "a segdistill model is asked as it is",
    "encoder:": "an encoder made here is asked as it is",
    "onnx:": "an ONNX file is asked as it is",
    "maps:": "its maps are stored",
    "blurred:": "it is made of the labels",
}
"""Why teachers whose names begin so have neither a size nor a precision to choose."""


_LOOK_AT_NO_IMAGE = ("maps:", "blurred:")
"""How the names of teachers begin that are stored maps, or made of labels: they see no channel."""


def refuse_blind(teacher: str, channels: tuple[str, ...], *, name: str) -> None:
    """Refuse a teacher without channels, unless it looks at no image.

    Args:
        teacher: Its name.
        channels: That it is to see.
        name: Of the setting that holds them, for the message.

    Raises:
        ValueError: There are none.
    """
    if not channels and not teacher.startswith(_LOOK_AT_NO_IMAGE):
        raise ValueError(
            f"{name} must be given: the channels that {called(teacher)} sees, by name. Only a teacher of stored maps"
            " (maps:) or of blurred labels (blurred:) can do without"
        )


def called(teacher: str) -> str:
    """Return what people read of a teacher's name: of a long path the last two parts, since records name it whole.

    >>> called("maps:/home/ada/projects/codex/tools/maps.toml"), called("onnx:nets/m2unet.toml"), called("sam-vit-b")
    ('maps:…/tools/maps.toml', 'onnx:nets/m2unet.toml', 'sam-vit-b')
    """
    kind, _, place = teacher.partition(":")
    parts = Path(place).parts
    return f"{kind}:…/{'/'.join(parts[-2:])}" if len(parts) > 3 else teacher


def refuse_void(
    teacher: str, adapt: Adaptation | None, *, size: int | None, precision: Precision, prefix: str = ""
) -> None:
    """Refuse a size or a precision that would change nothing of what a teacher says.

    Args:
        teacher: Its name.
        adapt: How it is fitted in the run. None: not at all.
        size: Side of the square that it is to see, pixels. None: nobody asked for one.
        precision: In which it is to compute; float32 asks for nothing.
        prefix: What both settings' names begin with, for the message.

    Raises:
        ValueError: One of them is void; it is named.
    """
    given = [f"{prefix}size {size}"] if size is not None else []
    given += [f"{prefix}precision {precision}"] if precision != "float32" else []
    why = next((why for kind, why in _AS_THEY_ARE.items() if teacher.startswith(kind)), None)
    if given and why is not None:
        raise ValueError(f"{' and '.join(given)} is void with the teacher {teacher}: {why}. Leave that out")
    if adapt is None:
        return
    if adapt.how == "none" and adapt.size is not None:
        raise ValueError(f"adapt.size is void with adapt.how none, which fits nothing. Name it as {prefix}size")
    if adapt.how != "none" and size is not None:
        raise ValueError(f"{prefix}size is void with adapt: a SAM answers at the size it is fitted at, adapt.size")


class TeacherSpec(Settings):
    """One teacher: which, what it sees and how it is asked."""

    teacher: str
    """Name of the teacher; `segdistill teachers` lists them."""

    channels: tuple[str, ...] = ()
    """Channels it sees, by name. May be left out of maps: and blurred:, which look at no image."""

    weights: Path | None = None
    """File or folder of its weights, for teachers that are not embedded; or, for a published SAM, a repository of the
    Hugging Face hub that lies in its local cache, as OWNER/NAME."""

    prompting: Prompting | None = None
    """How a SAM-type teacher is asked. boxes draws them from the labels: an oracle, named so everywhere."""

    size: Positive | None = None
    """Side of the square that a SAM or a vision encoder sees, pixels, a multiple of its patch; position tables are
    interpolated. None is the side that it was made for: 1024 for the published SAMs."""

    precision: Precision = "float32"
    """Number format in which a SAM or a vision encoder computes; bfloat16 is faster where the device has it, and
    coarser. What it says is stored apart."""

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
    def _computes_as_it_can(self) -> "TeacherSpec":
        refuse_void(self.teacher, self.adapt, size=self.size, precision=self.precision)
        return self

    @model_validator(mode="after")
    def _sees_something(self) -> "TeacherSpec":
        refuse_blind(self.teacher, self.channels, name="channels")
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

    teacher_channels: tuple[str, ...] = ()
    """Channels the teacher sees, by name. May be left out of maps: and blurred:, which look at no image."""

    teacher_weights: Path | None = None
    """File or folder of the teacher's weights, for teachers that are not embedded; or, for a published SAM, a
    repository of the Hugging Face hub that lies in its local cache, as OWNER/NAME."""

    @model_validator(mode="after")
    def _sees_something(self) -> "NamedTeacher":
        refuse_blind(self.teacher, self.teacher_channels, name="teacher_channels")
        return self


class TeacherChoice(NamedTeacher):
    """Which teacher, what it sees and how it is asked; for commands that have one."""

    prompting: Prompting | None = None
    """How a SAM-type teacher is asked. boxes draws them from the labels: an oracle, named so everywhere."""

    teacher_size: Positive | None = None
    """Side of the square that a SAM or a vision encoder sees, pixels, a multiple of its patch; position tables are
    interpolated. None is the side that it was made for: 1024 for the published SAMs."""

    teacher_precision: Precision = "float32"
    """Number format in which a SAM or a vision encoder computes; bfloat16 is faster where the device has it, and
    coarser. What it says is stored apart."""

    @property
    def first_teacher(self) -> TeacherSpec:
        """The teacher, as studies know it."""
        return TeacherSpec(
            teacher=self.teacher,
            channels=self.teacher_channels,
            weights=self.teacher_weights,
            prompting=self.prompting,
            size=self.teacher_size,
            precision=self.teacher_precision,
        )
