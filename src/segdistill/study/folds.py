"""Who may describe what: folds of labelled training images for teachers that are fitted here.

A teacher knows the labels of the images that it was fitted on, and so those of their twins. Equal and nearly equal
pictures are therefore left out together, whatever their groups and whatever parts they lie in.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from segdistill.data.duplicates import joined_groups
from segdistill.data.sample import Sample
from segdistill.errors import ConfigError
from segdistill.networks.card import HASH_DIGITS
from segdistill.study.preparation import Prepared, file_marks

FOLDS = 5
"""So many folds, or as many as there are groups of labelled training images."""

SEED = 0
"""Of teachers' weights and draws, and of the division: a study's seeds are of its students."""


@dataclass(frozen=True, eq=False)
class FoldPlan:
    """What one teacher is fitted on, and what it is to describe."""

    name: str
    """Of its folder or file."""

    training: tuple[Sample, ...]
    """Labelled images that it is fitted on."""

    validation: tuple[Sample, ...]
    """Labelled images that it is chosen on."""

    describes: tuple[str, ...]
    """Images that it is to describe: those that it leaves out, and their twins of any part, labelled or not."""


def plan_folds(prepared: Prepared, labelled: Sequence[Sample], *, who: str, instead: str) -> tuple[FoldPlan, ...]:
    """Return first the teacher that is fitted on everything, then one per fold.

    Args:
        prepared: The images. All labelled validation images are there to choose by, but for twins of what is left out.
        labelled: Training images to fit on.
        who: Is fitted, for the message.
        instead: What else the user may do, for the message.

    Raises:
        ConfigError: There are fewer than two groups to fit on, twins counted as one.
    """
    units, validation = units_of(prepared), tuple(prepared.labelled("validation"))
    parts = divide(sorted({units[sample.name] for sample in labelled}), FOLDS)
    if len(parts) < 2:
        raise ConfigError(
            f"{who} is fitted on labelled training images of at least two groups, one to fit on and one to describe,"
            f" but there is {len(parts)}. Label more, or {instead}."
        )
    plans = [FoldPlan("all", tuple(labelled), validation, ())]
    for number, part in enumerate(parts, start=1):
        left_out = {sample.name for sample in labelled if units[sample.name] in part}
        twins = {name for names in prepared.twins if left_out & set(names) for name in names}
        plans.append(
            FoldPlan(
                f"without_{number}",
                tuple(sample for sample in labelled if sample.name not in left_out),
                tuple(sample for sample in validation if sample.name not in twins),
                tuple(name for name in prepared.samples if name in left_out | twins),
            )
        )
    return tuple(plans)


def refuse_fitted_otherwise(folder: Path, used: Collection[str], plan: FoldPlan, prepared: Prepared) -> None:
    """Refuse a teacher that lies there and was fitted on images that this one leaves out.

    Args:
        folder: Where it is.
        used: Hashes, or beginnings of them, of the files of its images. Empty: it does not say.
        plan: What it should have been fitted on.
        prepared: The images.

    Raises:
        ConfigError: It knows labels of what it is to describe, or of twins of that.
    """
    own = {sample.name for sample in (*plan.training, *plan.validation)}
    further = {each[:HASH_DIGITS] for each in used} - set(file_marks(prepared, own))
    if further:
        raise ConfigError(
            f"The teacher in {folder} was fitted on {len(further)} images that it should not know: it is to describe"
            " them or pictures that are (nearly) equal to them: an earlier version divided them otherwise. What learnt"
            " from it cannot be mended. Choose a new folder for --out."
        )


def divide(groups: Sequence[str], folds: int) -> list[frozenset[str]]:
    """Return the groups in parts of nearly equal size, drawn with a fixed seed.

    >>> [len(part) for part in divide(["a", "b", "c"], 5)]
    [1, 1, 1]
    """
    order = np.random.default_rng(SEED).permutation(len(groups))
    count = min(folds, len(groups))
    return [frozenset(str(groups[place]) for place in order[part::count]) for part in range(count)]


def units_of(prepared: Prepared) -> dict[str, str]:
    """Return what may not be torn apart, by case: groups, merged wherever they hold twins, of any split."""
    cases = [replace(case, group=prepared.groups[case.name]) for case in prepared.dataset.cases
             if case.name in prepared.samples]  # fmt: skip
    return {case.name: case.group for case in joined_groups(cases, prepared.twins)}
