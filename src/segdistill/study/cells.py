"""The runs of a study: one for each arm, student, label budget and seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from segdistill.settings import Arm, Protocol, Study, StudyArm, TeacherSpec
from segdistill.settings.distill import Role


@dataclass(frozen=True)
class Cell:
    """One run of a study."""

    student: str
    """Name of the network."""

    arm: Arm
    """At one label budget; its name says which."""

    protocol: Protocol
    """By which it is trained."""

    seed: int

    def settings(self, study: Study) -> dict[str, Any]:
        """Return everything that decides this run beside the images, as plain JSON values."""
        teacher = None if self.arm.teacher is None else study.teachers[self.arm.teacher].resolved()
        return {
            "student": self.student,
            "student_channels": list(study.student_channels),
            "arm": self.arm.resolved(),
            "teacher": teacher,
            "protocol": self.protocol.resolved(),
            "seed": self.seed,
            "start": None if study.start is None else str(study.start),
        }

    def defaults(self) -> dict[str, Any]:
        """Return the defaults of these settings, for runs that were begun before there were all of them."""
        return {
            "arm": Arm.defaults(),
            "teacher": TeacherSpec.defaults(),
            "protocol": Protocol.defaults(),
            "start": None,
        }


def cells_of(study: Study) -> tuple[Cell, ...]:
    """Return every run of a study, the first seed of everything before the second of anything."""
    return tuple(
        Cell(student, arm, study.protocol_of(plan), seed)
        for seed in study.seeds
        for student in study.students
        for plan, arm in arms_of(study)
    )


def arms_of(study: Study) -> Iterator[tuple[StudyArm, Arm]]:
    """Yield the arms of a study at every budget that they ask for, budget by budget."""
    for budget in dict.fromkeys([*study.labels, *(each for arm in study.arms for each in arm.labels or ())]):
        for plan in study.arms:
            if budget in (study.labels if plan.labels is None else plan.labels):
                labels = None if budget == "all" else budget
                if labels == 0 and plan.teacher is None:
                    continue  # it would have nothing to learn from
                yield plan, _arm(study, plan, labels)


def _arm(study: Study, plan: StudyArm, labels: int | None) -> Arm:
    terms = study.objective_of(plan)
    return Arm(
        name=f"{plan.name}-{'all' if labels is None else labels}",
        role=role_of(study, plan, labels),
        teacher=plan.teacher,
        labels=labels,
        dropped_channels=plan.dropped_channels,
        predicted_channels=plan.predicted_channels,
        encoder_weights=plan.encoder_weights,
        **dict(terms if plan.teacher is not None else terms.untaught()),
    )


def role_of(study: Study, plan: StudyArm, labels: int | None) -> Role:
    """Return what an arm stands for in the account.

    An arm without a teacher is a baseline, or the reference where it has all labels and others have
    fewer; or pre-trained, where it begins with an encoder of its own; or a rival, where it learns from
    channels that the student lacks. A teacher that sees no channel
    beyond the student's, or a shuffled one, makes a control; not one that is asked by boxes, which hand
    it from the labels what it cannot see.
    """
    fewer = any(budget != "all" for budget in study.labels)
    if plan.teacher is None and (plan.dropped_channels or plan.predicted_channels):
        return "rival"
    if plan.teacher is None and plan.encoder_weights is not None:
        return "pretrained"
    if plan.teacher is None:
        return "all-labels" if labels is None and fewer else "baseline"
    spec = study.teachers[plan.teacher]
    sees_no_more = spec.shuffled or set(spec.channels) <= {*study.student_channels, "blank"}
    if sees_no_more and spec.prompting != "boxes":
        return "control"
    if labels == 0:
        return "targets alone"
    return "all-labels student" if labels is None and fewer else "student"
