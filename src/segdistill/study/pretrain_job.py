"""`segdistill pretrain`: an encoder that has seen many images before it sees a label."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from segdistill.data.case import numbered
from segdistill.data.normalisation import rule_to_json
from segdistill.engine import read_log, select_device
from segdistill.networks.encoder_folder import CARD, EncoderCard, TaughtBy, read_encoder, save_encoder
from segdistill.networks.vit import VitEncoder
from segdistill.settings import Pretrain, open_run
from segdistill.study.arms import RULE
from segdistill.study.cost import COST, cost_of
from segdistill.study.pretraining import Course, make_course
from segdistill.study.same_data import claim_data
from segdistill.study.surroundings import machine, versions
from segdistill.study.transfer import TransferSet, gather
from segdistill.teachers.contract import Contract
from segdistill.training.fit import usual_learning_rate
from segdistill.training.pretraining import pretrain_encoder

FIT = "fit"
"""Folder of checkpoints and log, beside the encoder."""

_SAME_RESULT = frozenset({"device", "out", "targets"})

Notice = Callable[[str], None]


@dataclass(frozen=True)
class Pretrained:
    """An encoder that is done."""

    folder: Path
    """Name it with --protocol.encoder-weights."""

    card: EncoderCard
    """What it is."""

    losses: tuple[float, float] | None
    """Mean loss over the first and over the last tenth of the log; None: the log is gone."""


def pretrain(settings: Pretrain, *, notice: Notice = lambda _: None) -> Pretrained:
    """Pre-train an encoder, or go on with it, or read back what was done before.

    No label is learnt from here; a teacher may have been fitted on some, which the card says.

    Args:
        settings: Everything that is asked for.
        notice: Told what happens, line by line.

    Raises:
        SegdistillError: Anything that cannot be done as asked; see ``segdistill.errors``.
    """
    with open_run(settings.out, settings.resolved(), ignoring=_SAME_RESULT, defaults=Pretrain.defaults()):
        if not (settings.out / CARD).is_file():
            _make(settings, notice)
        return Pretrained(settings.out, read_encoder(settings.out), _losses(settings.out / FIT))


def _make(settings: Pretrain, notice: Notice) -> None:
    device = str(select_device(settings.device, notice=notice))
    transfer = gather(settings, notice=notice)
    claim_data(settings.out, transfer.hashes)
    course = make_course(settings, transfer, device=device, notice=notice)
    number = numbered(len(course.images), "image")
    notice(f"Pre-training the encoder of {settings.student} ({settings.how}) on {number}.")
    protocol = settings.protocol
    pretrain_encoder(
        settings.out / FIT,
        course.lesson,
        protocol,
        learning_rate=protocol.learning_rate or usual_learning_rate(settings.student),
        device=device,
        notice=notice,
    )
    card = _card(settings, transfer, course, device)
    cost = cost_of(settings.out / FIT, course.lesson.module, batch_size=protocol.batch_size, device=device)
    save_encoder(settings.out, course.encoder, card.model_copy(update={"provenance": card.provenance | {COST: cost}}))


def _card(settings: Pretrain, transfer: TransferSet, course: Course, device: str) -> EncoderCard:
    contract, encoder = course.contract, course.encoder
    return EncoderCard(
        architecture=settings.student,
        channels=settings.student_channels,
        normalisation=rule_to_json(RULE),
        how=_words(settings, transfer, course),
        heads=encoder.heads if isinstance(encoder, VitEncoder) else None,
        teachers=() if contract is None else (_taught_by(contract),),
        licences=() if contract is None else (f"teacher {contract.name}: {contract.licence}",),
        images=tuple(sorted({transfer.hashes[name] for name in course.images} | transfer.behind)),
        labelled=tuple(sorted({*course.labelled, *transfer.labelled_behind})),
        labels_used=_labels_used(transfer, course),
        provenance={
            "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "settings": settings.resolved(),
            "versions": versions(),
            "machine": machine(device),
        },
    )


def _labels_used(transfer: TransferSet, course: Course) -> int | None:
    """Return how many labels went into the teacher and into images that were drawn for masks, each counted once."""
    told = len(transfer.labelled_behind - set(course.labelled))
    if course.contract is None:
        return told
    return None if course.contract.labels_seen is None else course.contract.labels_seen + told


def _taught_by(contract: Contract) -> TaughtBy:
    return TaughtBy(
        name=contract.name,
        weights_sha256=contract.weights_sha256,
        licence=contract.licence,
        labels_seen=contract.labels_seen,
    )


def _words(settings: Pretrain, transfer: TransferSet, course: Course) -> str:
    by = {
        "masked": "masked autoencoding",
        "contrast": "contrast with a momentum encoder",
        "features": f"distillation of the embedding of {settings.teacher}",
        "task": f"distillation of hidden layers and predictions of {settings.teacher}",
    }[settings.how]
    own = len(course.images) - sum(name not in transfer.prepared.samples for name in course.images)
    further = len(course.images) - own
    beside = f" and {further} further ones" if further else ""
    return f"{by}, {settings.protocol.steps} steps on {own} images of the data{beside}"


def _losses(folder: Path) -> tuple[float, float] | None:
    lines: list[Mapping[str, Any]] = [line for line in read_log(folder) if line.get("loss") is not None]
    tenth = max(1, len(lines) // 10)
    if not lines:
        return None
    return fmean(line["loss"] for line in lines[:tenth]), fmean(line["loss"] for line in lines[-tenth:])
