"""Teachers that are fitted here, on the labels and all the teacher's channels: `fit:STUDENT`.

A teacher knows the labels of the images that it was fitted on, so its word on them is no more than
those labels over again. Each labelled training image, and every twin of it, is therefore described by a
teacher that was fitted on the other folds; all other images by one that was fitted on every fold.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from segdistill.data.normalisation import PercentileRule, rule_to_json
from segdistill.networks.card import ModelCard, read_card
from segdistill.networks.model import Model, save_model
from segdistill.settings import Arm, Protocol
from segdistill.study.folds import SEED, plan_folds, refuse_fitted_otherwise
from segdistill.study.preparation import Prepared, file_marks
from segdistill.training.entries import Entry, make_entry
from segdistill.training.fit import Recipe, fit

PREFIX = "fit:"
_RULE = PercentileRule()
Notice = Callable[[str], None]


@dataclass(frozen=True)
class Fold:
    """One fitted teacher."""

    model: Path
    """Its folder."""

    describes: tuple[str, ...]
    """Images that it was not fitted on and is to describe."""


def is_fitted(name: str) -> bool:
    """Return whether a teacher's name asks for one that is fitted here."""
    return name.startswith(PREFIX)


@dataclass(frozen=True, eq=False)
class Fitting:
    """What the teachers of one role are fitted on."""

    protocol: Protocol
    """By which they are trained: the students' own."""

    prepared: Prepared
    """The images."""

    name: str
    """``fit:STUDENT``."""

    channels: tuple[str, ...]
    """What they see."""

    folder: Path
    """Where they are kept."""

    device: str
    notice: Notice


def fit_teachers(fitting: Fitting) -> list[Fold]:
    """Fit a teacher on all labelled training images, and one per fold; or read back what was fitted before.

    Returns:
        First the teacher that was fitted on all of them, then one per fold.

    Raises:
        ConfigError: There are fewer than two groups of labelled training images.
    """
    prepared = fitting.prepared
    labelled = prepared.labelled("train")
    plans = plan_folds(prepared, labelled, who=fitting.name, instead="use a teacher that is fitted already")
    entries = {
        sample.name: make_entry(sample, channels=fitting.channels, rule=_RULE)
        for sample in [*labelled, *prepared.labelled("validation")]
    }
    folds = []
    for plan in plans:
        folder = fitting.folder / plan.name
        if (folder / "model" / "model.json").exists():
            refuse_fitted_otherwise(folder, read_card(folder / "model").learnt_from, plan, prepared)
        else:
            training, validation = ([entries[s.name] for s in part] for part in (plan.training, plan.validation))
            _fit_one(fitting, folder, training, validation)
        folds.append(Fold(folder / "model", plan.describes))
    return folds


def _fit_one(fitting: Fitting, folder: Path, training: Sequence[Entry], validation: Sequence[Entry]) -> None:
    fitting.notice(f"Fitting the teacher {folder.parent.name}/{folder.name} on {len(training)} labelled images …")
    student = fitting.name.removeprefix(PREFIX)
    structures = fitting.prepared.dataset.structures
    recipe = Recipe(Arm(name="teacher", role="baseline"), fitting.protocol, student, structures)
    fitted = fit(
        folder, recipe, entries=(training, validation), seed=SEED, device=fitting.device, notice=fitting.notice
    )
    card = ModelCard(
        architecture=student,
        channels=fitting.channels,
        normalisation=rule_to_json(_RULE),
        structures=structures,
        crop=fitting.protocol.crop,
        thresholds=fitted.thresholds,  # pyright: ignore[reportArgumentType]  (checked by the card)
        labels_used=len(training) + len(validation),
        learnt_from=file_marks(fitting.prepared, {entry.name for entry in (*training, *validation)}),
        pooling=fitted.pooling,
        notes=(f"Fitted on {len(training)} labelled images, chosen on {len(validation)}.",),
    )
    save_model(folder / "model", Model(fitted.network, card))
