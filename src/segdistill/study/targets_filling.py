"""Who describes which images, and how: what the makers of targets share, in one process or in many."""

import os
from collections.abc import Callable, Mapping, Sequence

from segdistill.data.case import Case
from segdistill.data.datasets import Dataset
from segdistill.data.pseudonyms import pseudonymous
from segdistill.data.sample import Sample
from segdistill.engine import select_device
from segdistill.engine.ranks import layout
from segdistill.errors import ConfigError
from segdistill.settings import Targets
from segdistill.settings.tokens import TokenViews
from segdistill.study.adapting import known_to
from segdistill.study.asking import options_of
from segdistill.study.fitted import is_fitted
from segdistill.study.preparation import read_field, read_privately
from segdistill.study.probing import PROMPTING
from segdistill.targets import Filling, Header, drawn_views, new_header
from segdistill.targets.view import View
from segdistill.teachers.contract import Contract
from segdistill.teachers.features_alone import chosen_grids, features_alone
from segdistill.teachers.load import load_teacher
from segdistill.teachers.request import CELL

Notice = Callable[[str], None]


def cases_of(settings: Targets, dataset: Dataset) -> dict[str, Case]:
    """Return the cases of a data set by name, or by pseudonym."""
    return {case.name: case for case in (pseudonymous(dataset.cases) if settings.private else dataset.cases)}


def filling_of(
    settings: Targets, dataset: Dataset, cases: Mapping[str, Case], *, notice: Notice
) -> tuple[Header, Filling]:
    """Return the header of a store and who fills it.

    Args:
        settings: Everything that is asked for.
        dataset: Opened.
        cases: Of it, by name.
        notice: Told where the teacher runs, and what it has seen of these images.

    Raises:
        SegdistillError: There is no such teacher, or it cannot be asked here.
    """
    if is_fitted(settings.teacher):
        raise ConfigError(
            f"Teacher {settings.teacher!r} is fitted within a run of `distill`, on the images that its splits allow."
            " Name a teacher that is fitted already, such as model:FOLDER."
        )
    if settings.prompting == PROMPTING:
        raise ConfigError(
            f"A probe of {settings.teacher} is fitted within a run of `distill` or `study`, on the images that its"
            " splits allow. Ask for it there, or store what grid says here."
        )
    known = known_to(settings.teacher, cases.values())
    if known:
        notice(f"{settings.teacher} was fitted on the labels of {len(known)} of these images: not out of fold there.")
    teacher = load_teacher(
        settings.teacher,
        channels=settings.teacher_channels,
        structures=CELL if settings.tokens else dataset.structures,
        prompting=settings.prompting,
        weights=settings.teacher_weights,
        device=str(select_device(settings.device, notice=notice, index=layout(os.environ).local_rank)),
        options=options_of(settings.first_teacher),
    )
    if settings.tokens:
        teacher = features_alone(teacher)
    filling = Filling(
        teachers=[teacher],
        names=sorted(cases),
        read=lambda name: _read(cases[name], dataset, settings, notice),
        structures=dataset.structures,
    )
    if settings.tokens:
        return token_header(teacher.contract, settings, settings.token_grids), filling
    return new_header(teacher.contract, maps_as=settings.maps), filling


def token_header(contract: Contract, views: TokenViews, grids: Sequence[str] = ()) -> Header:
    """Return the header of a store of a teacher's features.

    Args:
        contract: Of a teacher that is asked for nothing else.
        views: Of the images, and how features are kept.
        grids: Names of its token grids. Empty takes the one nearest its maps.

    Raises:
        UnknownName: It has no grid of this name.
    """
    return new_header(
        contract, tokens=chosen_grids(contract, grids), tokens_as=views.tokens_as, views=recorded_views(views)
    )


def recorded_views(views: TokenViews) -> tuple[View, ...]:
    """Return the views that settings describe; the same for every teacher."""
    return drawn_views(
        views.views,
        seed=views.view_seed,
        least=views.smallest_view,
        mirrored=views.mirrored_views,
        turned=views.turned_views,
    )


def _read(case: Case, dataset: Dataset, settings: Targets, notice: Notice) -> Sample:
    if settings.private:
        return read_privately(case, dataset, settings, notice=notice)
    return read_field(case, dataset, settings)
