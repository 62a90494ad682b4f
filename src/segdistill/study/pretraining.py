"""What an encoder is pre-trained by: the lesson of each way, and what a teacher is asked for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from segdistill.errors import ConfigError
from segdistill.networks.build import build_student
from segdistill.networks.masked import MaskedAutoencoder
from segdistill.networks.matched import MatchedEncoder, MatchedStudent
from segdistill.networks.momentum import WithFollower
from segdistill.networks.tokens import token_encoder
from segdistill.networks.vit import VitEncoder
from segdistill.settings import Pretrain
from segdistill.study.adapting import known_in
from segdistill.study.arms import make_entries
from segdistill.study.heard import claim_teacher
from segdistill.study.stores import fill_store
from segdistill.study.transfer import TransferSet
from segdistill.targets import Filling, TargetStore, create_store, drawn_views, image_key, new_header, store_folder
from segdistill.teachers.contract import Contract, Teacher
from segdistill.teachers.features_alone import features_alone
from segdistill.teachers.load import load_teacher
from segdistill.teachers.request import TeacherOptions
from segdistill.teachers.sam import EMBEDDING, SamTeacher, global_layers
from segdistill.teachers.sam_adapter import PREFIX, read_adapter
from segdistill.training.entries import Entry
from segdistill.training.pretraining import Lesson, Sights, make_sights
from segdistill.training.pretraining_contrast import ContrastLesson
from segdistill.training.pretraining_features import FeaturesLesson
from segdistill.training.pretraining_masked import MaskedLesson
from segdistill.training.pretraining_task import TaskLesson
from segdistill.training.pretraining_told import Views

Notice = Callable[[str], None]

TARGETS = "targets"
TEACHER = "teacher"
"""What its folder calls the teacher."""


@dataclass(frozen=True, eq=False)
class Course:
    """A lesson that is ready, the encoder that learns, and its teacher."""

    lesson: Lesson
    encoder: nn.Module
    """What is kept: the encoder of the student."""

    images: tuple[str, ...]
    """Names of the images that it learns from."""

    contract: Contract | None
    """Of the teacher; None: there is none."""

    labelled: tuple[str, ...]
    """SHA-256 of the files of images on whose labels the teacher was fitted, as far as they are known."""


def make_course(settings: Pretrain, transfer: TransferSet, *, device: str, notice: Notice) -> Course:
    """Return what an encoder learns by; a teacher has spoken.

    Args:
        settings: Everything that is asked for.
        transfer: The images.
        device: Where a teacher runs.
        notice: Told what it will take.

    Raises:
        ConfigError: The way does not suit the student, the teacher or the number of images.
        SegdistillError: The teacher cannot be had.
    """
    entries = list(make_entries(transfer.samples, settings.student_channels).values())
    sights = make_sights(settings.protocol, seed=settings.seed)
    if settings.taught:
        return _taught(settings, transfer, entries, sights, device=device, notice=notice)
    student = _student(settings, outputs=1)
    encoder = _plain_transformer(student, settings)
    channels = len(settings.student_channels)
    lesson: Lesson
    if settings.how == "masked":
        lesson = MaskedLesson(MaskedAutoencoder(encoder, channels, settings.masked.hidden), entries, sights)
    else:
        follower = WithFollower(encoder, steps=settings.protocol.steps, momentum=settings.contrast.momentum)
        lesson = ContrastLesson(follower, entries, sights, temperature=settings.contrast.temperature)
    return Course(lesson, encoder, tuple(entry.name for entry in entries), None, ())


def _student(settings: Pretrain, *, outputs: int) -> nn.Module:
    torch.manual_seed(settings.seed)
    return build_student(settings.student, channels=len(settings.student_channels), outputs=outputs)


def _plain_transformer(student: nn.Module, settings: Pretrain) -> VitEncoder:
    encoder = getattr(student, "encoder", None)
    if not isinstance(encoder, VitEncoder):
        why = {
            "masked": "which leaves hidden patches out: a convolution needs all of them",
            "contrast": "whose recipe is that of vision transformers, with a frozen patch embedding",
        }[settings.how]
        raise ConfigError(
            f"how is {settings.how}, {why}; so it is not for {settings.student}. Choose the student vit-tiny, or how"
            " features or task."
        )
    return encoder


def _taught(
    settings: Pretrain, transfer: TransferSet, entries: list[Entry], sights: Sights, *, device: str, notice: Notice
) -> Course:
    if any(sample.known.any() for sample in transfer.prepared.samples.values()):
        known_in(settings.teacher or "", transfer.prepared)  # refuses one that was fitted on test images
    teacher, names = _teacher(settings, transfer, device)
    contract = teacher.contract
    claim_teacher(settings.out, TEACHER, [contract])
    store = _filled(settings, transfer, teacher, names, notice)
    keys = {name: image_key(sample.image) for name, sample in transfer.samples.items()}
    told = [entry for entry in entries if store.has((keys[entry.name], 0))]
    views = Views(store, told, keys, names, maps=settings.how == "task")
    lesson: Lesson
    if settings.how == "task":
        student = _student(settings, outputs=len(contract.outputs))
        matched = MatchedStudent(student, [contract.tokens[name][1] for name in names])
        lesson = TaskLesson(matched, views, sights, settings.task)
    else:
        student = _student(settings, outputs=1)
        lesson = FeaturesLesson(MatchedEncoder(token_encoder(student), contract.tokens[EMBEDDING][1]), views, sights)
    labelled = _labelled_by(settings.teacher or "")
    encoder = token_encoder(student).encoder
    return Course(lesson, encoder, tuple(entry.name for entry in told), contract, labelled)


def _teacher(settings: Pretrain, transfer: TransferSet, device: str) -> tuple[Teacher, tuple[str, ...]]:
    """Return the teacher, and the names of the token grids that it is asked for."""
    name = settings.teacher or ""
    if settings.how == "features":
        _refuse_fitted(name)
    teacher = load_teacher(
        name,
        channels=settings.teacher_channels,
        structures=transfer.prepared.dataset.structures,
        weights=settings.teacher_weights,
        device=device,
        options=TeacherOptions(size=settings.teacher_size, precision=settings.teacher_precision or "float32"),
    )
    if settings.how == "features":
        if EMBEDDING not in teacher.contract.tokens:
            raise ConfigError(
                f"Teacher {name!r} has no embedding to learn from; its tokens are"
                f" {', '.join(teacher.contract.tokens) or 'none'}. Choose a SAM, or a vision encoder (hf:FOLDER)."
            )
        return features_alone(teacher), (EMBEDDING,)
    return teacher, _layers(settings, teacher)


def _refuse_fitted(name: str) -> None:
    if name.startswith(PREFIX):
        card = read_adapter(Path(name.removeprefix(PREFIX)))
        if card.how in ("lora", "full"):
            raise ConfigError(
                f"how is features, which is of a teacher that was not fitted to the task, but {name} is"
                f" {card.base.name} fitted by {card.how}. Name {card.base.name}, or choose how task."
            )


def _layers(settings: Pretrain, teacher: Teacher) -> tuple[str, ...]:
    contract = teacher.contract
    if contract.prompting not in ("tuned", "probe") or not isinstance(teacher, SamTeacher):
        raise ConfigError(
            f"how is task, but {settings.teacher!r} was not fitted to a task, or has no hidden layers of a SAM. Fit a"
            " SAM with `segdistill adapt` and name it as adapter:FOLDER, or choose how features."
        )
    if settings.task.layers is None:
        return global_layers(teacher.model)
    names = tuple(f"hidden.{number}" for number in settings.task.layers)
    unknown = [name for name in names if name not in contract.tokens]
    if unknown:
        blocks = sum(name.startswith("hidden.") for name in contract.tokens)
        raise ConfigError(
            f"task.layers names {', '.join(unknown)}, but {settings.teacher} has blocks 1 to {blocks}. Choose among"
            " them."
        )
    return names


def _filled(
    settings: Pretrain, transfer: TransferSet, teacher: Teacher, names: tuple[str, ...], notice: Notice
) -> TargetStore:
    """Return the store of what the teacher says of every view; what is there is not asked for again."""
    protocol = settings.protocol
    views = drawn_views(settings.views_in_use, mirrored=protocol.flips, turned=protocol.turns)
    header = new_header(teacher.contract, tokens=names, views=views)
    store = create_store(store_folder(settings.targets or settings.out / TARGETS, header), header)
    samples: Mapping[str, tuple[int, int]] = {
        name: (sample.image.array.shape[1], sample.image.array.shape[2]) for name, sample in transfer.samples.items()
    }
    filling = Filling(
        teachers=[teacher],
        names=sorted(transfer.samples),
        read=transfer.samples.__getitem__,
        structures=transfer.prepared.dataset.structures,
    )
    title = f"What {settings.teacher} says of {len(samples)} images in {len(views)} views"
    summary = fill_store(store, filling, title=title, shape_of=samples.__getitem__, notice=notice)
    if summary.failed:
        notice(f"The teacher failed on {len(summary.failed)} images, which are left out.")
    return store


def _labelled_by(teacher: str) -> tuple[str, ...]:
    if not teacher.startswith(PREFIX):
        return ()
    return tuple(sorted(read_adapter(Path(teacher.removeprefix(PREFIX))).used))
