"""Storing what a teacher says of a data set, for one run or for many; and checking what was stored."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from segdistill.data.case import Case
from segdistill.data.datasets import Dataset
from segdistill.data.image import stated_names
from segdistill.data.pseudonyms import is_pseudonym
from segdistill.data.readers import open_image
from segdistill.data.renaming import renamed_words
from segdistill.distribution import Team
from segdistill.engine.ranks import Layout, layout
from segdistill.errors import ConfigError, DataError
from segdistill.objectives import save_moments
from segdistill.settings import Images, Targets
from segdistill.settings.shard import part_of
from segdistill.study.early import refuse_absent
from segdistill.study.preparation import open_dataset
from segdistill.study.stores import fill_store
from segdistill.study.targets_filling import cases_of, filling_of
from segdistill.study.targets_shared_out import fill_shared_out
from segdistill.targets import (
    Summary,
    TargetStore,
    Verification,
    create_store,
    fill_targets,
    named_cases,
    open_store,
    store_folder,
    token_moments,
    verify_targets,
)
from segdistill.targets.statistics import Spread, spread_of

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


def make_targets(settings: Targets, *, team: Team | None = None, notice: Notice = lambda _: None) -> Stored:
    """Show a teacher every image of which its store has no sound record; goes on where an interrupted call was.

    An image that cannot be read, or on which the teacher fails, is listed; the others go on.

    Args:
        settings: Everything that is asked for.
        team: Who does it, from ``segdistill.distribution.team_of``; all must see the images and the store. None: this
            process.
        notice: Told the cost first, then each failure.

    Raises:
        SegdistillError: Anything that cannot be done as asked; see ``segdistill.errors``.
    """
    dataset = open_dataset(settings)
    cases = cases_of(settings, dataset)
    channels, stated = _channels(cases, dataset)
    refuse_absent(((names, name) for name, names in channels.items()), settings.teacher_channels, who="teacher")
    renamed = renamed_words(stated, settings.channels, among=len(channels))
    if renamed is not None:
        notice(renamed)
    header, filling = filling_of(settings, dataset, cases, notice=notice)
    folder = store_folder(settings.out, header)
    store = create_store(folder, header)
    if settings.private:
        _refuse_names(store)
    filler = fill_targets if team is None else partial(fill_shared_out, settings=settings, team=team)
    summary = fill_store(
        store,
        filling,
        title=f"Targets of {settings.teacher}",
        shape_of=lambda name: _shape_of(cases[name], dataset, settings),
        part=own_part(settings.shard, layout(os.environ)),
        fill=filler,
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
    header, filling = filling_of(settings, dataset, cases_of(settings, dataset), notice=notice)
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


def _refuse_names(store: TargetStore) -> None:
    """Refuse a store that names images: what is added under pseudonyms would not make it private."""
    named = sorted(name for name in named_cases(store) if not is_pseudonym(name))
    if named:
        raise ConfigError(
            f"{store.folder} names {len(named)} images already, for it was filled without --private. Choose another"
            " --out, or go on without --private."
        )


def _channels(
    cases: Mapping[str, Case], dataset: Dataset
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Return by image the names of its channels, and those that its file states where others were given.

    Images that cannot be opened fail by themselves and are listed.
    """
    channels: dict[str, tuple[str, ...]] = {}
    stated: dict[str, tuple[str, ...]] = {}
    for name, case in cases.items():
        try:
            with open_image(
                case.image, channels=dataset.channels, axes=dataset.axes, fill_missing=dataset.fill_missing
            ) as opened:
                channels[name], stated[name] = opened.channels, stated_names(opened)
        except DataError:
            continue
    return channels, stated


def _shape_of(case: Case, dataset: Dataset, source: Images) -> tuple[int, int]:
    """Return the size of a field as it will be read; nothing where it cannot be opened, for it will fail."""
    try:
        with open_image(case.image, axes=dataset.axes, fill_missing=dataset.fill_missing) as opened:
            (_, height, width), stated = opened.shape, opened.pixel_size
    except DataError:
        return 0, 0
    factor = stated / source.pixel_size if stated and source.pixel_size else 1.0
    return round(height * factor), round(width * factor)
