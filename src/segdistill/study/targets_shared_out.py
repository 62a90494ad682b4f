"""Targets filled by a team: each worker takes interleaved parts of the images, one after the other."""

import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from segdistill.distribution import Team
from segdistill.engine.notice import unheard
from segdistill.settings import Targets
from segdistill.study.preparation import open_dataset
from segdistill.study.targets_filling import cases_of, filling_of
from segdistill.targets import Filling, Summary, TargetStore, fill_targets, open_store

Notice = Callable[[str], None]
Part = tuple[int, int]
"""(k, n): the k-th of n interleaved parts, counted from 0."""

_PARTS_EACH = 4
"""Parts per worker: none waits long for the slowest, and what a killed one did of its part is found again."""


def fill_shared_out(
    store: TargetStore, filling: Filling, *, settings: Targets, team: Team, part: Part, notice: Notice
) -> Summary:
    """Fill a store by a team, and return what became of it.

    Args:
        store: From ``create_store``; all workers must see its folder.
        filling: Who describes what.
        settings: From which every worker makes the same filling.
        team: Who works.
        part: As of ``fill_targets``; it is divided once more.
        notice: Told of each failure, and of each part.

    Raises:
        SegdistillError: What a part raised; see ``fill_targets``.
        EnvironmentFault: Workers ended again and again.
    """
    began = time.monotonic()
    count = max(1, min(_PARTS_EACH * team.size, len(filling.names)))
    parts: list[Part] = [(part[0] + part[1] * number, part[1] * count) for number in range(count)]
    found = []
    for _, (summary, lines) in team.as_done(partial(_fill, settings.model_dump_json(), store.folder), parts):
        for line in lines:
            notice(line)
        found.append(summary)
        notice(f"{len(found)} of {count} parts of the images done")
    store.refresh()
    return together(found, seconds=time.monotonic() - began)


def together(parts: Sequence[Summary], *, seconds: float) -> Summary:
    """Return what became of a store from what became of its parts, which are of different images."""
    images = [part.made + part.kept for part in parts]
    return Summary(
        made=sum(part.made for part in parts),
        kept=sum(part.kept for part in parts),
        remade=sum(part.remade for part in parts),
        failed=tuple(sorted((failure for part in parts for failure in part.failed), key=lambda each: each.case)),
        labels_read=sum(part.labels_read for part in parts),
        seconds=seconds,
        error=max(part.error for part in parts),
        cosine=min(part.cosine for part in parts),
        mean_cosine=float(np.average([part.mean_cosine for part in parts], weights=images if sum(images) else None)),
    )


@lru_cache(maxsize=1)
def _filling(settings: str) -> Filling:
    """Return a worker's own teacher and images."""
    asked = Targets.model_validate_json(settings)
    dataset = open_dataset(asked)
    return filling_of(asked, dataset, cases_of(asked, dataset), notice=unheard)[1]


def _fill(settings: str, folder: Path, part: Part) -> tuple[Summary, list[str]]:
    """Fill a part on a worker; return what became of it and what there was to say."""
    lines: list[str] = []
    store = open_store(folder)
    return fill_targets(store, _filling(settings), part=part, notice=lines.append), lines
