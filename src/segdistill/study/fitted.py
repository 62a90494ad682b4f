"""Teachers that are fitted here, on the labels and all the teacher's channels: `fit:STUDENT`.

A teacher knows the labels of the images that it was fitted on, so its word on them is no more than
those labels over again. Each training image is therefore described by a teacher that was fitted on
the other folds; all other images by one that was fitted on every fold.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segdistill.data.normalisation import PercentileRule, rule_to_json
from segdistill.errors import ConfigError
from segdistill.networks.card import ModelCard
from segdistill.networks.model import Model, save_model
from segdistill.settings import Arm, Protocol
from segdistill.study.preparation import Prepared, file_marks
from segdistill.training.entries import Entry, make_entry
from segdistill.training.fit import Recipe, fit

PREFIX = "fit:"
FOLDS = 5
"""So many folds, or as many as there are groups of labelled training images."""

SEED = 0
"""Of the teachers' weights and draws: a study's seeds are of its students."""

_RULE = PercentileRule()
Notice = Callable[[str], None]


@dataclass(frozen=True)
class Fold:
    """One fitted teacher."""

    model: Path
    """Its folder."""

    describes: tuple[str, ...]
    """Training images that it was not fitted on and is to describe."""


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
    labelled, groups = fitting.prepared.labelled("train"), fitting.prepared.groups
    parts = divide(sorted({groups[sample.name] for sample in labelled}), FOLDS)
    if len(parts) < 2:
        raise ConfigError(
            f"{fitting.name} needs labelled training images of at least two groups, one to fit on and one to describe,"
            f" but there is {len(parts)}. Label more, or use a teacher that is fitted already."
        )
    entries = {
        sample.name: make_entry(sample, channels=fitting.channels, rule=_RULE)
        for sample in [*labelled, *fitting.prepared.labelled("validation")]
    }
    folds = []
    for number, left_out in enumerate([frozenset[str](), *parts]):
        folder = fitting.folder / ("all" if number == 0 else f"without_{number}")
        training = [entries[s.name] for s in labelled if groups[s.name] not in left_out]
        _fit_one(fitting, folder, training, [entries[s.name] for s in fitting.prepared.labelled("validation")])
        folds.append(Fold(folder / "model", tuple(s.name for s in labelled if groups[s.name] in left_out)))
    return folds


def _fit_one(fitting: Fitting, folder: Path, training: Sequence[Entry], validation: Sequence[Entry]) -> None:
    if (folder / "model" / "model.json").exists():
        return
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


def divide(groups: Sequence[str], folds: int) -> list[frozenset[str]]:
    """Return the groups in parts of nearly equal size, drawn with a fixed seed.

    >>> [len(part) for part in divide(["a", "b", "c"], 5)]
    [1, 1, 1]
    """
    order = np.random.default_rng(SEED).permutation(len(groups))
    count = min(folds, len(groups))
    return [frozenset(str(groups[place]) for place in order[part::count]) for part in range(count)]
