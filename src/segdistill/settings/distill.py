"""Settings of the main job: the protocol that all arms share, and the arms."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_serializer, model_validator

from segdistill.settings.adaptation import Adaptation
from segdistill.settings.base import Settings
from segdistill.settings.objective import Boundary, ObjectiveTerms
from segdistill.settings.shift import Shift
from segdistill.settings.source import Fraction, Scored
from segdistill.settings.teacher import TeacherChoice, TeacherSpec, refuse_void
from segdistill.settings.training import Positive, Training

Role = Literal[
    "baseline", "pretrained", "rival", "student", "control", "all-labels", "all-labels student", "targets alone"
]


_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
Name = Annotated[str, Field(pattern=_NAME)]
"""Letters, digits, and - _ . within: it names a folder."""


def _named(shift: dict[str, Shift]) -> dict[str, Shift]:
    """Refuse names that files cannot have; the command line has no dictionaries of anything but plain text."""
    wrong = [name for name in shift if not re.match(_NAME, name)]
    if wrong:
        raise ValueError(f"names have letters, digits, and - _ . within, but {', '.join(map(repr, wrong))} has others")
    if "test" in shift:
        raise ValueError("a data set is called test, as the run's own test fields are. Rename it")
    return shift


class Protocol(Training):
    """How a student is trained. Every arm of a comparison has the same."""

    crop: Annotated[int, Field(ge=16)] = 256
    """Side of a training crop, pixels."""

    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Peak of the learning rate. None is 1e-3, or 3e-4 for students with a transformer encoder."""

    labelled_share: Fraction = 0.5
    """Least share of each batch that is drawn from labelled images, where an arm also has unlabelled ones."""

    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """By what the learning rate is multiplied from each layer of the encoder to the one below it; 0.75 is usual for
    pre-trained transformers. 1 treats all alike. Below 1, vit-tiny alone has such an order of layers."""

    encoder_weights: Path | None = None
    """A file of published weights for the student's encoder, or a folder with an encoder that `segdistill pretrain` or
    `segdistill agglomerate` wrote. None starts from random weights."""


class Trained(Settings):
    """How the students of a run, and teachers that are fitted in it, are trained, and how they are compared."""

    protocol: Protocol = Protocol()
    """How the students are trained."""

    objective: ObjectiveTerms = ObjectiveTerms()
    """What the students learn from beside their labels. Teachers that are fitted here have the usual terms."""

    start: Annotated[Path | None, Field(alias="from")] = None
    """Folder of a segdistill model that the students of every arm begin with. None: random weights."""

    teacher_steps: Positive | None = None
    """Optimiser steps of teachers that are fitted here, which may train longer. None: as many as the students."""

    margin: Annotated[float, Field(gt=0, lt=1)] = 0.02
    """A loss of Dice that is put up with when an arm is said to do as well as another, fraction."""

    device: str = "auto"
    """cpu, cuda, mps, or auto for the best there is."""

    at_once: Positive = 1
    """How many students are trained side by side, each in a process of its own with its part of the processor's
    threads. Small ones gain by it: two on one thread each are done when one on two threads would be. It takes so many
    times the memory."""

    shift: Annotated[dict[str, Shift], AfterValidator(_named)] = Field(default_factory=dict)
    """Other data sets by name, on which every student that is done is scored too; more may be added later."""

    @model_validator(mode="after")
    def _begins_in_one_way(self) -> "Trained":
        if self.start is not None and self.protocol.encoder_weights is not None:
            raise ValueError("protocol.encoder_weights is void with from, which brings the encoder's weights")
        return self

    @property
    def teachers_protocol(self) -> Protocol:
        """How teachers that are fitted here are trained: as the students, but for the steps."""
        if self.teacher_steps is None:
            return self.protocol
        return self.protocol.model_copy(update={"steps": self.teacher_steps})


class Arm(ObjectiveTerms):
    """One way of making a student."""

    name: str
    """Name in tables and folders."""

    role: Role
    """What the arm stands for in the account."""

    teacher: str | None = None
    """Whose targets the arm learns from, by its name in the study. None: labels only."""

    labels: Annotated[int, Field(ge=0)] | None = None
    """How many labelled training images it may use. None is all of them."""

    dropped_channels: tuple[str, ...] = ()
    """Channels that the network sees too, left blank at random while it trains and always in use."""

    predicted_channels: tuple[str, ...] = ()
    """Channels that the network learns to predict beside its masks, while it trains."""

    encoder_weights: Path | None = None
    """What its student's encoder begins with, where that is not the protocol's for all arms; its own protocol says the
    same. None: it is."""

    @property
    def helped(self) -> bool:
        """Whether it learns from channels that its student is not shown in use, without a teacher: a rival does."""
        return self.teacher is None and bool(self.dropped_channels or self.predicted_channels)

    @field_serializer("boundary", when_used="json")
    def _as_before(self, boundary: Boundary) -> bool | str:
        """Return what records of arms said when there was one boundary term: yes or no."""
        return {"gradient_3": True, "none": False}.get(boundary, boundary)

    @model_validator(mode="after")
    def _learns_something(self) -> "Arm":
        if self.teacher is None and self.labels == 0:
            raise ValueError(f"arm {self.name!r} has neither labels nor a teacher: it has nothing to learn from")
        return self


class Distill(TeacherChoice, Trained, Scored):
    """The main job: make a small student from a teacher, and say what that bought."""

    out: Path
    """Run folder. New, or one that the same settings began: then the run goes on."""

    targets: Path | None = None
    """Folder that `segdistill targets` wrote; None makes them in the run folder."""

    adapt: Adaptation | None = None
    """Fit the teacher, a SAM, to the task in this run, each labelled training image described by one that was fitted on
    other folds; the control's likewise. None asks it as it is. `segdistill adapt` fits one for many runs."""

    control: str | None = None
    """A teacher for the control arm, given only the student's channels and asked as the teacher is: with its prompting,
    size and precision. None runs no control."""

    control_weights: Path | None = None
    """As teacher_weights, for the control teacher."""

    student: str = "unet-resnet18"
    """Name of the student; `segdistill models` lists them."""

    student_channels: tuple[str, ...]
    """Channels the student sees, by name."""

    labels: Annotated[int, Field(ge=0)] | None = None
    """How many labelled training images may be used. None is all; 0 trains on targets alone."""

    seeds: tuple[int, ...] = (0,)
    """One student per arm is trained with each. Five for a claim."""

    baseline: bool = True
    """Train the same student without the teacher, to compare with."""

    all_labels: bool = False
    """Train the same student with every label there is, for reference; where labels is not None."""

    targets_alone: bool = False
    """Train the same student on the teacher's targets alone, without one label of its own; where labels is not 0."""

    @model_validator(mode="after")
    def _consistent(self) -> "Distill":
        if not self.seeds:
            raise ValueError("seeds must name at least one seed")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds names a seed twice: {self.seeds}")
        fits = self.adapt is not None and self.adapt.how != "none"
        fitted = [fits or name.startswith("fit:") for name in (self.teacher, self.control) if name is not None]
        if fits and self.prompting is not None:
            raise ValueError("prompting is void with adapt: a SAM that is fitted to the task answers without a prompt")
        if self.targets is not None and all(fitted):
            raise ValueError("targets is void with a teacher that is fitted here: nobody can have asked it before")
        looked_up = [name for name in (self.teacher, self.control) if name is not None and name.startswith("maps:")]
        if self.private and looked_up and self.targets is None:
            raise ValueError(
                f"private hides the names by which {looked_up[0]} finds its files. Store what it says first, with"
                " `segdistill targets`, and name that folder with targets"
            )
        if self.control is not None and self.prompting == "boxes":
            raise ValueError(
                "control is void with prompting boxes: boxes of whole cells hand the control what only"
                " the teacher may see. Use grid, probe or tuned"
            )
        return self

    @model_validator(mode="after")
    def _computes_as_they_can(self) -> "Distill":
        for name in (self.teacher, self.control):
            if name is not None:
                refuse_void(
                    name, self.adapt, size=self.teacher_size, precision=self.teacher_precision, prefix="teacher_"
                )
        return self

    @model_validator(mode="after")
    def _weighs_what_there_is(self) -> "Distill":
        if self.objective.weights.stains is not None:
            raise ValueError(
                "objective.weights.stains is void: only arms of a study with predicted_channels have such a term"
            )
        return self

    def teachers(self) -> dict[str, TeacherSpec]:
        """Return the teachers by the names that arms call them by."""
        teachers = {"teacher": self.first_teacher.model_copy(update={"adapt": self.adapt})}
        if self.control is not None:
            teachers["control"] = TeacherSpec(
                teacher=self.control,
                channels=self.student_channels,
                weights=self.control_weights,
                prompting=self.prompting,
                size=self.teacher_size,
                precision=self.teacher_precision,
                adapt=self.adapt,
            )
        return teachers

    def arms(self) -> tuple[Arm, ...]:
        """Return the arms that these settings ask for, baseline first."""
        taught, untaught = dict(self.objective), dict(self.objective.untaught())
        arms: list[Arm] = []
        if self.baseline and self.labels != 0:
            arms.append(Arm(name="baseline", role="baseline", labels=self.labels, **untaught))
        arms.append(Arm(name="student", role="student", teacher="teacher", labels=self.labels, **taught))
        if self.control is not None:
            arms.append(Arm(name="control", role="control", teacher="control", labels=self.labels, **taught))
        if self.targets_alone and self.labels != 0:
            arms.append(Arm(name="targets-alone", role="targets alone", teacher="teacher", labels=0, **taught))
        if self.all_labels and self.labels is not None:
            arms.append(Arm(name="all-labels", role="all-labels", **untaught))
            arms.append(Arm(name="all-labels-student", role="all-labels student", teacher="teacher", **taught))
        return tuple(arms)
