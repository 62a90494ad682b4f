"""Settings of `segdistill pretrain`."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import model_validator

from segdistill.settings.pretraining import Contrast, Masked, Pretraining, TaskSpecific, Way
from segdistill.settings.source import Source
from segdistill.settings.teacher import Precision
from segdistill.settings.training import Positive, Training

_VIEWS = 4


class Pretrain(Source):
    """Pre-train a student's encoder on images without their labels."""

    out: Path
    """Folder of the encoder. New, or one that the same settings began: then the run goes on."""

    how: Way
    """From what it learns: masked, what is in hidden patches (MAE); contrast, to tell images apart (MoCo v3); features,
    the embedding of a SAM as it is; task, hidden layers and predictions of a SAM that was fitted to the task."""

    transfer: Path | None = None
    """Folder or manifest of further images to learn from, such as synthetic ones. Validation and test images of the
    data among them are refused by content. None: the training images of the data alone."""

    student: str = "vit-tiny"
    """Name of the student whose encoder it is; `segdistill models` lists them. masked and contrast take vit-tiny."""

    student_channels: tuple[str, ...]
    """Channels the student sees, by name."""

    protocol: Pretraining = Pretraining()
    """How long it is trained, and in which batches."""

    masked: Masked = Masked()
    """With how masked."""

    contrast: Contrast = Contrast()
    """With how contrast."""

    task: TaskSpecific = TaskSpecific()
    """With how task."""

    teacher: str | None = None
    """With how features, a SAM as it is; with task, one that was fitted: adapter:FOLDER or one that answers without a
    prompt."""

    teacher_channels: tuple[str, ...] | None = None
    """Channels the teacher sees, by name."""

    teacher_weights: Path | None = None
    """File or folder of the teacher's weights, for teachers that are not embedded; or, for a published SAM, a
    repository of the Hugging Face hub that lies in its local cache, as OWNER/NAME."""

    teacher_size: Positive | None = None
    """Side of the square that the teacher sees, pixels. None is the side that it was made for, or fitted at."""

    teacher_precision: Precision | None = None
    """Number format in which a SAM or a vision encoder computes; bfloat16 is faster where the device has it, and
    coarser. None is float32."""

    views: Positive | None = None
    """With a teacher: how many views of each image it is shown and the student learns from, the whole image and parts
    of it, mirrored and turned as the protocol allows. None is 4."""

    targets: Path | None = None
    """With a teacher: folder for what it says, which several runs may share. None keeps it in the run folder."""

    seed: int = 0
    """Of first weights, and of every draw."""

    device: str = "auto"
    """cpu, cuda, mps, or auto for the best there is."""

    def places(self) -> dict[str, Path]:
        """Return where images come from, by a word for each."""
        further = {} if self.transfer is None else {"transfer": self.transfer}
        return {**super().places(), **further}

    @property
    def taught(self) -> bool:
        """Whether a teacher takes part."""
        return self.how in ("features", "task")

    @property
    def views_in_use(self) -> int:
        """How many views of each image a teacher is shown."""
        return self.views or _VIEWS

    @model_validator(mode="after")
    def _nothing_is_void(self) -> "Pretrain":
        for name in ("masked", "contrast", "task"):
            if name != self.how and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is void with how {self.how}")
        void = list(self._void())
        if void:
            raise ValueError(f"{', '.join(void)} is void with how {self.how}, which has no teacher")
        if self.taught:
            missing = [name for name in ("teacher", "teacher_channels") if getattr(self, name) is None]
            if missing:
                raise ValueError(f"{' and '.join(missing)} must be given with how {self.how}")
            if self.protocol.scale != Training().scale:
                raise ValueError(f"protocol.scale is void with how {self.how}: stored views have their own sizes")
        return self

    def _void(self) -> Iterator[str]:
        if not self.taught:
            about = ("teacher", "teacher_channels", "teacher_weights", "teacher_size", "teacher_precision")
            yield from (name for name in (*about, "views", "targets") if getattr(self, name) is not None)
