"""Storing what a teacher says of a data set, for one run or for many; and checking what was stored."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segdistill.data.case import Case
from segdistill.data.datasets import Dataset
from segdistill.data.pseudonyms import is_pseudonym, pseudonymous
from segdistill.data.readers import open_image
from segdistill.data.sample import Sample
from segdistill.engine import select_device
from segdistill.engine.ranks import Layout, layout
from segdistill.errors import ConfigError, DataError
from segdistill.objectives import save_moments
from segdistill.settings import Images, Targets
from segdistill.settings.shard import part_of
from segdistill.settings.tokens import TokenViews
from segdistill.study.adapting import known_to
from segdistill.study.fitted import is_fitted
from segdistill.study.preparation import open_dataset, read_field, read_privately
from segdistill.study.probing import PROMPTING
from segdistill.study.stores import fill_store
from segdistill.targets import (
    Filling,
    Header,
    Summary,
    TargetStore,
    Verification,
    create_store,
    drawn_views,
    named_cases,
    new_header,
    open_store,
    store_folder,
    token_moments,
    verify_targets,
)
from segdistill.targets.statistics import Spread, spread_of
from segdistill.targets.view import View
from segdistill.teachers.contract import Contract
from segdistill.teachers.features_alone import chosen_grids, features_alone
from segdistill.teachers.load import load_teacher
from segdistill.teachers.request import CELL

Notice = Callable[[str], None]


@dataclass(frozen=True)
class Stored:
    """What became of making targets."""

    folder: Path
    """Of the store."""

    summary: Summary
    """What was made, kept and failed."""

    spreads: tuple[Spread, ...] = ()
    """How the stored tokens spread, of each grid; empty: there are none, or this call made a part of the images."""


def make_targets(settings: Targets, *, notice: Notice = lambda _: None) -> Stored:
    """Show a teacher every image of which its store has no sound record; goes on where an interrupted call was.

    An image that cannot be read, or on which the teacher fails, is listed; the others go on.

    Args:
        settings: Everything that is asked for.
        notice: Told the cost first, then each failure.

    Raises:
        SegdistillError: Anything that cannot be done as asked; see ``segdistill.errors``.
    """
    dataset = open_dataset(settings)
    cases = _cases(settings, dataset)
    header, filling = _filling(settings, dataset, cases, notice)
    folder = store_folder(settings.out, header)
    store = create_store(folder, header)
    if settings.private:
        _refuse_names(store)
    summary = fill_store(
        store,
        filling,
        title=f"Targets of {settings.teacher}",
        shape_of=lambda name: _shape_of(cases[name], dataset, settings),
        part=own_part(settings.shard, layout(os.environ)),
        notice=notice,
    )
    return Stored(folder, summary, _spreads(store, settings))


def own_part(shard: str, here: Layout) -> tuple[int, int]:
    """Return the part (k, n), k from 0, that is this process's: by its rank where a launcher started several.

    Raises:
        ConfigError: A shard is named, too.

    >>> own_part("2/3", Layout()), own_part("1/1", Layout("srun", per_machine=4, rank=3))
    ((1, 3), (3, 4))
    """
    if here.world == 1:
        return part_of(shard)
    if part_of(shard) != (0, 1):
        raise ConfigError(
            f"shard is {shard}, but {here.launcher} started {here.world} processes, each of which takes its own part."
            f" Leave out --shard, or start one process for each shard."
        )
    return here.rank, here.world


def check_targets(settings: Targets, *, notice: Notice = lambda _: None) -> Verification:
    """Compare all checksums of a store, and a share of its maps with what the teacher says now.

    Args:
        settings: With which the targets were made.
        notice: Told where the teacher runs.

    Raises:
        DataError: There is no such store.
        ConfigError: A launcher started several processes.
    """
    here = layout(os.environ)
    if here.world > 1:
        raise ConfigError(f"{here.launcher} started {here.world} processes, but verifying takes one. Start it alone.")
    dataset = open_dataset(settings)
    header, filling = _filling(settings, dataset, _cases(settings, dataset), notice)
    return verify_targets(open_store(store_folder(settings.out, header)), filling)


def _spreads(store: TargetStore, settings: Targets) -> tuple[Spread, ...]:
    """Keep mean and covariance of all stored tokens beside them, in one pass; not of the part that a process made."""
    if part_of(settings.shard)[1] > 1:
        return ()
    found = []
    for name in store.header.tokens:
        moments = token_moments(store, name, store.cases())
        save_moments(store.folder / f"{name}.moments.safetensors", moments)
        found.append(spread_of(name, moments))
    return tuple(found)


def _cases(settings: Targets, dataset: Dataset) -> dict[str, Case]:
    return {case.name: case for case in (pseudonymous(dataset.cases) if settings.private else dataset.cases)}


def _refuse_names(store: TargetStore) -> None:
    """Refuse a store that names images: what is added under pseudonyms would not make it private."""
    named = sorted(name for name in named_cases(store) if not is_pseudonym(name))
    if named:
        raise ConfigError(
            f"{store.folder} names {len(named)} images already, for it was filled without --private. Choose another"
            " --out, or go on without --private."
        )


def _filling(settings: Targets, dataset: Dataset, cases: Mapping[str, Case], notice: Notice) -> tuple[Header, Filling]:
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


def _shape_of(case: Case, dataset: Dataset, source: Images) -> tuple[int, int]:
    """Return the size of a field as it will be read; nothing where it cannot be opened, for it will fail."""
    try:
        with open_image(case.image, axes=dataset.axes, fill_missing=dataset.fill_missing) as opened:
            (_, height, width), stated = opened.shape, opened.pixel_size
    except DataError:
        return 0, 0
    factor = stated / source.pixel_size if stated and source.pixel_size else 1.0
    return round(height * factor), round(width * factor)
