"""Settings of a study: arms by students by label budgets by seeds, on one data set."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from segdistill.settings.base import Settings
from segdistill.settings.distill import Name, Protocol, Trained
from segdistill.settings.objective import Boundary, Distilled, ObjectiveTerms, Temperature, Weighed, Weights
from segdistill.settings.shard import Shard
from segdistill.settings.source import Scored
from segdistill.settings.teacher import TeacherSpec

Budget = Annotated[int, Field(ge=0)] | Literal["all"]
"""How many labelled training images may be used."""


class Reference(Settings):
    """A number that somebody else printed, to be read beside a study's own and never mixed with them."""

    what: str = Field(min_length=1)
    """What was scored, such as Swin-Tiny U-Net without distillation."""

    data: str = Field(min_length=1)
    """On which images."""

    score: str = Field(min_length=1)
    """Name of the score and its unit, such as Dice, %."""

    printed: str = Field(min_length=1)
    """As it is printed there, such as 65.31 ± 1.35; words where there is no number. Nothing is computed from it."""

    source: str = Field(min_length=1)
    """Where it is printed."""


class StudyArm(Settings):
    """One arm of a study, at every label budget that it asks for."""

    name: Name
    """Name in tables and folders."""

    teacher: str | None = None
    """Whose targets it learns from, by its name in this study. None: labels only."""

    labels: tuple[Budget, ...] | None = None
    """Label budgets of this arm. None takes the study's; 0 is the teacher alone."""

    distillation: Distilled | None = None
    """The term between student and teacher. None is the study's ``objective``, as for the next four."""

    temperature: Temperature = None
    """Of the term between student and teacher. None is the term's own where this arm names its term."""

    boundary: Boundary | None = None
    """The boundary term; true is gradient_3, false none."""

    weighting: Weighed | None = None
    """How the terms are weighed."""

    weights: Weights | None = None
    """Fixed weights. None are the usual ones where the study's weighting is not fixed."""

    dropped_channels: tuple[str, ...] = ()
    """Channels that the network sees too, left blank at random while it trains and always in use: a rival."""

    predicted_channels: tuple[str, ...] = ()
    """Channels that the network learns to predict beside its masks, while it trains: a rival."""

    encoder_weights: Path | None = None
    """A folder that `segdistill pretrain` wrote, or a file of published weights, that this arm's students begin with:
    so arms compare ways of pre-training. None is the protocol's."""

    protocol: dict[str, Any] = Field(default_factory=dict)
    """What of the protocol differs in this arm. Refused unless ``why`` says why: such arms do not compare."""

    why: str = ""
    """Why the protocol of this arm differs; printed beside its scores."""

    @model_validator(mode="after")
    def _declared(self) -> "StudyArm":
        if self.protocol and not self.why:
            raise ValueError(
                f"arm {self.name!r} differs from the protocol of the others in {', '.join(sorted(self.protocol))}, so a"
                ' comparison with them would not be fair. Leave that out, or declare it with why = "…"'
            )
        if self.why and not self.protocol:
            raise ValueError(f"arm {self.name!r} says why its protocol differs, but it does not differ")
        of_teacher = {
            "distillation": self.distillation,
            "temperature": self.temperature,
            "weights.distillation": None if self.weights is None else self.weights.distillation,
        }
        given = [name for name, value in of_teacher.items() if value is not None]
        if self.teacher is None and given:
            raise ValueError(
                f"arm {self.name!r} has a {given[0]}, but no teacher: there is nothing to learn it from. Leave it out"
            )
        if self.weights is not None and self.weights.stains is not None and not self.predicted_channels:
            raise ValueError(f"arm {self.name!r} has weights.stains, but no predicted_channels. Leave it out")
        if self.teacher is None and self.labels is not None and 0 in self.labels:
            raise ValueError(f"arm {self.name!r} has neither labels nor a teacher: it has nothing to learn from")
        return self


class Study(Trained, Scored):
    """Arms, students, label budgets and seeds on one data set; only what is missing is run."""

    out: Path
    """Folder of the study. New, or one that a study on the same images began: then it goes on, or is extended."""

    student_channels: tuple[str, ...]
    """Channels the students see, by name."""

    students: tuple[str, ...] = ("unet-resnet18",)
    """Names of the students; `segdistill models` lists them."""

    teachers: dict[Name, TeacherSpec] = Field(default_factory=dict)
    """Teachers by the names that arms call them by."""

    arms: tuple[StudyArm, ...]
    """What is compared."""

    labels: tuple[Budget, ...] = ("all",)
    """Label budgets: how many labelled training images an arm may use. Smaller ones are part of larger ones."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Every arm is trained with each. Five for a claim."""

    references: tuple[Reference, ...] = ()
    """Numbers of others that the reports print in a table of their own. They may change between two calls."""

    shard: Shard = "1/1"
    """Which part of the runs to do, as k/n: for n processes or machines on one folder, k is 1 to n."""

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        for what, names in (
            ("arms", [arm.name.casefold() for arm in self.arms]),
            ("teachers", [name.casefold() for name in self.teachers]),
            ("students", self.students),
            ("seeds", self.seeds),
            ("labels", self.labels),
        ):
            if not names and what != "teachers":
                raise ValueError(f"{what} must name at least one")
            if len(set(names)) < len(names):
                raise ValueError(f"{what} has something twice: {', '.join(map(str, names))}")
        for arm in self.arms:
            if arm.teacher is not None and arm.teacher not in self.teachers:
                known = ", ".join(self.teachers) or "none"
                raise ValueError(f"arm {arm.name!r} names the teacher {arm.teacher!r}, but the teachers are: {known}")
            seen = set(arm.dropped_channels + arm.predicted_channels) & set(self.student_channels)
            if seen:
                raise ValueError(
                    f"arm {arm.name!r} drops or predicts {', '.join(sorted(seen))}, which the student sees"
                )
            if self.start is not None and (arm.dropped_channels or arm.predicted_channels):
                raise ValueError(
                    f"arm {arm.name!r} has a network of other channels or outputs, which cannot begin with the model at"
                    " start. Leave one of the two out"
                )
            self.protocol_of(arm)
        looked_up = [name for name, spec in self.teachers.items() if spec.teacher.startswith("maps:")]
        if self.private and looked_up:
            raise ValueError(f"private hides the names by which the teacher {looked_up[0]!r} finds its maps")
        if all(arm.teacher is not None for arm in self.arms):
            raise ValueError("no arm is without a teacher, so there is nothing to compare with. Add a baseline")
        return self

    @model_validator(mode="after")
    def _terms_go_together(self) -> "Study":
        for arm in self.arms:
            try:
                self.objective_of(arm)
            except ValidationError as error:
                reasons = "; ".join(str(each["msg"]).removeprefix("Value error, ") for each in error.errors())
                raise ValueError(f"arm {arm.name!r}: {reasons}") from error
        if self.objective.weights.stains is not None and not any(arm.predicted_channels for arm in self.arms):
            raise ValueError("objective.weights.stains is void: no arm has predicted_channels")
        return self

    @model_validator(mode="after")
    def _begins_once(self) -> "Study":
        for arm in self.arms:
            if arm.encoder_weights is None:
                continue
            if self.start is not None:
                raise ValueError(
                    f"arm {arm.name!r} has encoder_weights, which the whole model at start would replace. Leave one of"
                    " the two out"
                )
            if "encoder_weights" in arm.protocol:
                raise ValueError(f"arm {arm.name!r} has encoder_weights twice: in its protocol, too")
        return self

    def protocol_of(self, arm: StudyArm) -> Protocol:
        """Return the protocol of an arm."""
        own = {} if arm.encoder_weights is None else {"encoder_weights": arm.encoder_weights}
        return Protocol.model_validate({**self.protocol.model_dump(), **own, **arm.protocol})

    def objective_of(self, arm: StudyArm) -> ObjectiveTerms:
        """Return the terms of an arm: its own, and the study's where it says nothing.

        A temperature belongs to its term and weights to their terms: an arm that has another term does not take them
        from the study.
        """
        shared = self.objective
        boundary, weighting = arm.boundary or shared.boundary, arm.weighting or shared.weighting
        temperature, weights = arm.temperature, arm.weights
        if temperature is None and arm.distillation in {None, shared.distillation}:
            temperature = shared.temperature
        if weights is None:
            weights = shared.weights.beside(boundary) if weighting == "fixed" else Weights()
        return ObjectiveTerms(
            distillation=arm.distillation or shared.distillation,
            temperature=temperature,
            boundary=boundary,
            weighting=weighting,
            weights=weights,
        )
