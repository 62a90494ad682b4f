"""Adaptation a SAM to a task with few labels, for `adapt` and, out of fold, for teachers of a run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from segdistill.data.case import Case
from segdistill.data.labels import Structure, output_names
from segdistill.data.pseudonyms import image_sha256
from segdistill.data.sample import Sample
from segdistill.engine import trained_values
from segdistill.errors import ConfigError
from segdistill.networks.card import HASH_DIGITS, read_card
from segdistill.networks.encoder_folder import read_encoder
from segdistill.settings import Adaptation
from segdistill.study.cost import COST, cost_of
from segdistill.study.folds import SEED, plan_folds, refuse_fitted_otherwise
from segdistill.study.preparation import Prepared
from segdistill.study.surroundings import machine, versions
from segdistill.teachers.contract import Contract, Teacher
from segdistill.teachers.load import load_teacher
from segdistill.teachers.request import TeacherOptions
from segdistill.teachers.sam import SamTeacher
from segdistill.teachers.sam_adapter import CARD, PREFIX, AdapterBase, AdapterCard, read_adapter, save_adapter
from segdistill.teachers.sam_build import load_sam
from segdistill.teachers.sam_learner import Fitted, new_learner
from segdistill.teachers.sam_lora import SCALING
from segdistill.training.adapting import SamFit, fit_adapter, score_on
from segdistill.training.entries import Entry, make_entry

FIT = "fit"
"""Folder of checkpoints and log, beside the adapter."""

TARGETS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "probe": ("a head on the encoder's embedding",),
    "lora": (
        "q and v of every encoder block",
        "q and v of the mask decoder's attentions",
        "the decoder's mask tokens, upscaling and hypernetworks, and the embedding of no prompt",
    ),
    "full": ("all weights that answer without a prompt",),
}
"""What of a SAM is fitted, in the words of the card."""

Notice = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Task:
    """What the adapters of one SAM on one data set share."""

    teacher: str
    """Name of the SAM."""

    channels: tuple[str, ...]
    """What it sees, by name."""

    weights: Path | None
    """File or folder of its weights."""

    adaptation: Adaptation
    """What of it is fitted, and how."""

    structures: tuple[Structure, ...]
    """What it is to segment."""

    pixel_size: float | None
    """Pixel size that the images were brought to, micrometres; None: they are as they came."""

    hashes: Mapping[str, str]
    """Case to the SHA-256 of its image's file."""

    device: str
    notice: Notice

    def base(self) -> SamTeacher:
        """Return the SAM, frozen, with weights of its own to change."""
        return load_sam(
            self.teacher,
            channels=self.channels,
            weights=self.weights,
            device=self.device,
            options=TeacherOptions(size=self.adaptation.size),
            purpose="adapter",
        )


@dataclass(frozen=True, eq=False)
class AdaptedFold:
    """One adapter of a run."""

    folder: Path
    """Where it is."""

    describes: tuple[str, ...]
    """Images that it was not fitted on and is to describe."""


def file_hashes(prepared: Prepared) -> dict[str, str]:
    """Return the SHA-256 of the file of every image, by case."""
    return {case.name: image_sha256(case) for case in prepared.dataset.cases}


def fit_folds(task: Task, prepared: Prepared, *, folder: Path) -> tuple[list[AdaptedFold], frozenset[str]]:
    """Fit a SAM on all labelled training images, and one per fold; or read back what was fitted before.

    Args:
        task: What is fitted.
        prepared: The images. Validation images choose the best weights of each.
        folder: Where the adapters are kept.

    Returns:
        First the one that was fitted on all of them, then one per fold; and the images whose labels were used.

    Raises:
        ConfigError: The teacher is no SAM, or fewer than two groups of training images are labelled.
    """
    labelled = prepared.labelled("train")
    folds = []
    for plan in plan_folds(prepared, labelled, who=task.teacher, instead="leave adapt out"):
        own = folder / plan.name
        if (own / CARD).is_file():
            refuse_fitted_otherwise(own, read_adapter(own).used, plan, prepared)
        else:
            make_adapter(own, task, plan.training, plan.validation, seed=SEED)
        folds.append(AdaptedFold(own, plan.describes))
    return folds, frozenset(sample.name for sample in [*labelled, *prepared.labelled("validation")])


def make_adapter(
    folder: Path, task: Task, training: Sequence[Sample], validation: Sequence[Sample], *, seed: int
) -> None:
    """Fit a SAM, or go on with it, and write the adapter.

    Args:
        folder: For the adapter; its checkpoints and log lie in a folder within.
        task: What is fitted.
        training: Labelled images to fit it on.
        validation: Labelled images to choose the best weights on. None at all: the last ones are kept.
        seed: Of first weights and of every draw.

    Raises:
        TrainingStopped: The loss was not finite, or a signal came.
    """
    adaptation, structures = task.adaptation, task.structures
    if adaptation.how == "none":
        raise ConfigError("Nothing is fitted with how none. Choose probe, lora or full.")
    base = task.base()
    contract = replace(base.contract, outputs=output_names(structures), pixel_size=task.pixel_size)
    entries = (_entries(contract, training), _entries(contract, validation))
    _tell(task, training, validation)
    how: Fitted = adaptation.how
    learner = new_learner(base.model, how, outputs=len(contract.outputs), rank=adaptation.rank_in_use or 1, seed=seed)
    fit = SamFit(learner, how, contract, structures, adaptation.protocol)
    outcome = fit_adapter(folder / FIT, fit, entries=entries, seed=seed, device=task.device, notice=task.notice)
    scores = score_on(SamTeacher(learner.model, contract, learner.ask), entries[1], structures)
    learned = sum(value.numel() for value in trained_values(learner).values())
    card = _card(task, contract, (training, validation), scores, seed=seed)
    cost = cost_of(folder / FIT, learner, batch_size=adaptation.protocol.batch_size, device=task.device)
    told = {"learned": learned, "best_step": outcome.best_step, "provenance": card.provenance | {COST: cost}}
    save_adapter(folder, learner, card.model_copy(update=told))


def keep_frozen(folder: Path, task: Task, validation: Sequence[Sample]) -> None:
    """Write an adapter that changes nothing, with the scores of the SAM as it answers by itself.

    Args:
        folder: For the adapter.
        task: Its SAM is asked without a prompt where it was tuned to answer so, else by a grid of points.
        validation: Labelled images to score it on.

    Raises:
        ConfigError: It gives other maps than those that are labelled.
    """
    teacher = _frozen(task)
    scores = score_on(teacher, _entries(teacher.contract, validation), task.structures)
    contract = replace(teacher.contract, pixel_size=task.pixel_size)
    save_adapter(folder, None, _card(task, contract, ((), ()), scores, seed=0))


def known_to(name: str, cases: Iterable[Case]) -> frozenset[str]:
    """Return the cases on whose labels an adapter or a model was fitted or chosen, by their images' hashes.

    Args:
        name: Of the teacher. Of any but ``adapter:``, ``model:`` and ``encoder:FOLDER`` nothing is known, and no
            file is read.
        cases: Of one data set.
    """
    used = learnt_by(name)
    return frozenset(case.name for case in cases if image_sha256(case)[:HASH_DIGITS] in used) if used else frozenset()


def learnt_by(name: str) -> frozenset[str]:
    """Return the beginnings of the hashes of the images whose labels a teacher knows, of any data; empty: of none.

    Args:
        name: As for ``known_to``.
    """
    prefix, _, folder = name.partition(":")
    if prefix == "model":
        return frozenset(read_card(Path(folder)).learnt_from)
    if prefix == "encoder":
        return frozenset(each[:HASH_DIGITS] for each in read_encoder(Path(folder)).labelled)
    if name.startswith(PREFIX):
        return frozenset(each[:HASH_DIGITS] for each in read_adapter(Path(folder)).used)
    return frozenset()


def known_in(name: str, prepared: Prepared) -> frozenset[str]:
    """Return ``known_to`` for a study's images.

    Raises:
        ConfigError: Test images are among them: what is taught by it could not be scored on those.
    """
    known = known_to(name, prepared.dataset.cases)
    tested = sorted(known & set(prepared.split["test"]))
    if tested:
        made = "`adapt`, or adapt" if name.startswith(PREFIX) else "that run, or make it"
        raise ConfigError(
            f"{name} was fitted on the labels of {len(tested)} of the test images ({', '.join(tested[:5])}"
            f"{' …' if tested[5:] else ''}), so nothing that it teaches could be scored on them. Give this command the"
            f" data, split and split-seed of {made} anew with those of this command."
        )
    return known & frozenset(prepared.samples)


def _entries(contract: Contract, samples: Sequence[Sample]) -> list[Entry]:
    return [make_entry(sample, channels=contract.channels, rule=contract.rule) for sample in samples]


def _tell(task: Task, training: Sequence[Sample], validation: Sequence[Sample]) -> None:
    names = ", ".join(structure.name for structure in task.structures)
    chosen = f"chosen on {len(validation)} more" if validation else "no validation images: the last weights are kept"
    task.notice(
        f"Fitting {task.teacher} ({task.adaptation.how}) to {names} on {len(training)} labelled images; {chosen}."
    )
    if not any(sample.planes.any() for sample in training):
        task.notice("No training image shows anything labelled: all masks are empty, and so will the answers be.")


def _frozen(task: Task) -> Teacher:
    teacher = load_teacher(
        task.teacher,
        channels=task.channels,
        structures=task.structures,
        weights=task.weights,
        device=task.device,
        options=TeacherOptions(size=task.adaptation.size),
    )
    given, wanted = teacher.contract.outputs, output_names(task.structures)
    if not set(wanted) <= set(given):
        raise ConfigError(
            f"Teacher {task.teacher!r} by itself gives {', '.join(given)}, but the labels are of"
            f" {', '.join(wanted)}: there is nothing to compare. Call the labels by those names"
            " (--structure), or fit it."
        )
    return teacher


def _card(
    task: Task,
    contract: Contract,
    used: tuple[Sequence[Sample], Sequence[Sample]],
    scores: Mapping[str, float],
    *,
    seed: int,
) -> AdapterCard:
    fitted_on, chosen_on = (tuple(sorted(task.hashes[sample.name] for sample in samples)) for samples in used)
    adaptation = task.adaptation
    return AdapterCard(
        how=adaptation.how,
        base=AdapterBase(
            name=task.teacher,
            weights_sha256=contract.weights_sha256,
            licence=contract.licence,
            labels_seen=contract.labels_seen,
        ),
        rank=adaptation.rank_in_use,
        scaling=None if adaptation.rank_in_use is None else SCALING,
        targets=TARGETS[adaptation.how],
        channels=contract.channels,
        outputs=contract.outputs,
        size=contract.size or 0,
        tile=contract.tile,
        pixel_size=contract.pixel_size,
        fitted_on=fitted_on,
        chosen_on=chosen_on,
        validation=dict(scores),
        provenance={
            "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "seed": seed,
            "adaptation": adaptation.resolved(),
            "versions": versions(),
            "machine": machine(task.device),
        },
    )
