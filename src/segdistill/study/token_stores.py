"""The teachers of an agglomeration: each shows its features once, is let go of, and is learnt from its store."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segdistill.data.sample import Sample
from segdistill.errors import ConfigError
from segdistill.objectives import (
    Standardisation,
    load_moments,
    load_standardisation,
    save_moments,
    save_standardisation,
    standardisation,
)
from segdistill.objectives.moments import Moments
from segdistill.settings import Agglomerate
from segdistill.settings.run_folder import TARGETS_FOLDER
from segdistill.study.fitted import is_fitted
from segdistill.study.heard import claim_teacher
from segdistill.study.preparation import Prepared
from segdistill.study.stores import fill_store
from segdistill.study.targets_filling import token_header
from segdistill.targets import Filling, Key, TargetStore, create_store, image_key, store_folder, token_moments
from segdistill.teachers.contract import Contract
from segdistill.teachers.features_alone import FeaturesAlone, features_alone
from segdistill.teachers.load import load_teacher
from segdistill.teachers.request import TeacherOptions
from segdistill.training.stored_teacher import StoredTeacher

Notice = Callable[[str], None]

FOLDER = "teachers"
"""In the run's folder: mean, covariance and standardisation of each teacher's tokens, as the run began with them."""


@dataclass(frozen=True, eq=False)
class Heard:
    """A teacher that has said what it has to say."""

    name: str
    """As the user typed it."""

    stored: StoredTeacher
    """What it said."""

    contract: Contract
    """What it takes and gives."""

    parameters: int | None
    """Weights of its encoder; None: it does not say."""

    failed: Mapping[str, str]
    """Case to the reason why there are no tokens."""


def hear_teachers(settings: Agglomerate, prepared: Prepared, *, device: str, notice: Notice) -> list[Heard]:
    """Let every teacher look at every image of which its store has no sound record; one is in memory at a time.

    Raises:
        SegdistillError: A teacher cannot be had, gives no features, or said nothing of any training image.
    """
    labels = short_names(settings.teachers)
    return [_hear(settings, name, labels[name], prepared, device, notice) for name in settings.teachers]


def load_encoder_teacher(settings: Agglomerate, name: str, *, device: str) -> FeaturesAlone:
    """Return a teacher that is asked for its features alone.

    Raises:
        ConfigError: It gives none, or would have to be fitted first.
    """
    if is_fitted(name):
        raise ConfigError(
            f"Teacher {name!r} is fitted within a run of `distill`. Name a teacher that is fitted already, such as"
            " model:FOLDER."
        )
    teacher = load_teacher(
        name,
        channels=settings.teacher_channels,
        weights=settings.weights.get(name),
        device=device,
        options=TeacherOptions(size=settings.sizes.get(name), precision=settings.precision_of(name)),
    )
    return features_alone(teacher)


def cases_of(prepared: Prepared, *, tested: bool) -> list[str]:
    """Return the cases that teachers are shown: test images only where something is scored on them."""
    parts = ("train", "validation", *(("test",) if tested else ()))
    return sorted(name for part in parts for name in prepared.split[part])


def _hear(settings: Agglomerate, name: str, label: str, prepared: Prepared, device: str, notice: Notice) -> Heard:
    teacher = load_encoder_teacher(settings, name, device=device)
    claim_teacher(settings.out, label, [teacher.contract])
    header = token_header(teacher.contract, settings)
    root = settings.out / TARGETS_FOLDER if settings.targets is None else settings.targets
    store = create_store(store_folder(root, header), header)
    names = cases_of(prepared, tested=settings.probe)
    samples = prepared.samples
    failed: dict[str, str] = {}
    if not all(_is_there(store, samples[case]) for case in names):
        summary = fill_store(
            store,
            Filling(teachers=[teacher], names=names, read=samples.__getitem__),
            title=f"Tokens of {name}",
            shape_of=lambda case: (samples[case].image.array.shape[1], samples[case].image.array.shape[2]),
            notice=notice,
        )
        failed = {failure.case: failure.reason for failure in summary.failed}
        notice(
            f"Tokens of {name}: {summary.made} images described now, {summary.kept} before, {len(failed)} failed;"
            f" cosine as stored {summary.mean_cosine:.6f}, at the lowest {summary.cosine:.6f}."
        )
    grid = header.tokens[0]
    moments, standard = _scaling(settings, store, grid, label, prepared)
    stored = StoredTeacher(label, store, grid, standard, moments.mean)
    return Heard(name, stored, teacher.contract, teacher.parameters, failed)


def _is_there(store: TargetStore, sample: Sample) -> bool:
    key = image_key(sample.image)
    return all(store.has(Key(key, view)) for view in range(len(store.header.views)))


def _scaling(
    settings: Agglomerate, store: TargetStore, grid: str, label: str, prepared: Prepared
) -> tuple[Moments, Standardisation]:
    """Return mean and standardisation of a teacher's tokens of training images, as this run began with them."""
    folder = settings.out / FOLDER
    places = folder / f"{label}.moments.safetensors", folder / f"{label}.standardisation.safetensors"
    if places[1].is_file():  # written last
        return load_moments(places[0]), load_standardisation(places[1])
    moments = token_moments(store, grid, _recorded_as(store, prepared))
    if not moments.count:
        raise ConfigError(
            f"{store.folder} says nothing of any of the {len(prepared.split['train'])} training images; the reasons are"
            f" above. Leave out {store.header.contracts[0].name}, or name other channels for it."
        )
    standard = standardisation(settings.standardisation, moments)
    folder.mkdir(parents=True, exist_ok=True)
    save_moments(places[0], moments)
    save_standardisation(places[1], standard)
    return moments, standard


def _recorded_as(store: TargetStore, prepared: Prepared) -> frozenset[str]:
    """Return under which names a store knows the training images: those of whoever filled it first."""
    keys = [Key(image_key(sample.image)) for sample in prepared.of("train")]
    return frozenset(store.parameters(key)["case"] for key in keys if store.has(key))


def short_names(teachers: Sequence[str]) -> dict[str, str]:
    """Return a short name for each teacher: what remains of a path is its last part.

    >>> short_names(["hf:weights/rad-dino", "sam-vit-b", "hf:other/rad-dino"])
    {'hf:weights/rad-dino': 'rad-dino', 'sam-vit-b': 'sam-vit-b', 'hf:other/rad-dino': 'rad-dino-2'}
    """
    found: dict[str, str] = {}
    for name in teachers:
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(name.partition(":")[2] or name).name).strip("-") or "teacher"
        number = 1
        while (label := stem if number == 1 else f"{stem}-{number}") in found.values():
            number += 1
        found[name] = label
    return found
