"""Filling a teacher's store of targets: what the main job and `segdistill targets` share."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

from segdistill.targets import (
    Filling,
    Header,
    Summary,
    TargetStore,
    fill_targets,
    new_header,
    plan_targets,
    store_folder,
)
from segdistill.targets.quantise import MapStorage
from segdistill.teachers.contract import Contract

Notice = Callable[[str], None]


def header_in(root: Path, *contracts: Contract, tokens: tuple[str, ...] = ()) -> Header:
    """Return the header of a teacher's store in a folder, in whatever numbers its maps are stored.

    Args:
        root: Folder of stores; where it holds none of this teacher, the header is that of a new one.
        contracts: The teacher's; or one per fold.
        tokens: Token grids that are stored beside the maps.
    """
    headers = [new_header(*contracts, maps_as=storage, tokens=tokens) for storage in get_args(MapStorage)]
    return next((header for header in headers if store_folder(root, header).is_dir()), headers[0])


def fill_store(
    store: TargetStore,
    filling: Filling,
    *,
    title: str,
    shape_of: Callable[[str], tuple[int, int]],
    part: tuple[int, int] = (0, 1),
    fill: Callable[..., Summary] = fill_targets,
    notice: Notice,
) -> Summary:
    """Say what filling a store will take, then fill it; goes on where an interrupted call was.

    Args:
        store: From ``create_store``.
        filling: Who describes what.
        title: Whose targets they are, for the notice.
        shape_of: Size (y, x) of a case's image.
        part: (k, n): the k-th of n interleaved parts of the cases, counted from 0.
        fill: Called as ``fill_targets``, to do what is missing.
        notice: Told the cost, if there is any, and each failure.

    Raises:
        EnvironmentFault: The disk is full or too small, or another process fills this part.
    """
    sound, damaged = _count(store)
    estimate = plan_targets(store, filling, part=part, shape_of=shape_of)
    sound_now, damaged_now = _count(store)
    if estimate.missing:
        notice(f"{title}: {estimate}")
    summary = fill(store, filling, part=part, notice=notice)
    timed = min(summary.kept, sound_now - sound)  # the image that was described to time it
    return replace(
        summary,
        made=summary.made + timed,
        kept=summary.kept - timed,
        remade=summary.remade + damaged - damaged_now,
    )


def _count(store: TargetStore) -> tuple[int, int]:
    """Return how many images have a sound record, and how many a damaged one."""
    sound = [store.has(key) for key in store.keys() if key.view == 0]  # noqa: SIM118  (a store is no mapping)
    return sum(sound), len(sound) - sum(sound)
