"""Filling a store: each image is shown to the teacher once, however often the filling is interrupted."""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Shaped

from segdistill.data.sample import Sample
from segdistill.data.tiling import count_tiles
from segdistill.errors import EnvironmentFault
from segdistill.files import sha256_array
from segdistill.targets.account import Estimate, Failure, Summary
from segdistill.targets.failures import write_failures
from segdistill.targets.filling import Filling
from segdistill.targets.header import Header
from segdistill.targets.look import Field, field_of, look, look_for_tokens
from segdistill.targets.quantise import map_error, store_maps, store_tokens, token_cosines
from segdistill.targets.record import Key
from segdistill.targets.shard import Writer
from segdistill.targets.store import GENERATION, MAPS, TargetStore, image_key
from segdistill.teachers.contract import Teacher

Notice = Callable[[str], None]
Arrays = dict[str, Shaped[np.ndarray, "..."]]


def _quiet(_: str) -> None:
    """Tell nobody."""


def fill_targets(
    store: TargetStore, filling: Filling, *, part: tuple[int, int] = (0, 1), notice: Notice = _quiet
) -> Summary:
    """Ask the teacher about every image of which the store has no sound record.

    A record that is damaged or stale (other labels, another fold) is made again. An image that
    cannot be read, or on which the teacher fails, is listed; the others go on. Called again after
    an interruption it goes on where it was.

    Args:
        store: From ``create_store``.
        filling: Who describes what.
        part: (k, n): take the k-th of n interleaved parts of the cases, counted from 0. Each part is
            for one process and writes files of its own.
        notice: Told of each failure.

    Raises:
        ConfigError: The teachers are not the store's.
        EnvironmentFault: The disk is full, or another process fills this part.
    """
    began = time.monotonic()
    progress = _fill(store, replace(filling, names=filling.names[part[0] :: part[1]]), part, notice)
    write_failures(store, part, progress.failed)
    return Summary(
        made=progress.made,
        kept=progress.kept,
        remade=progress.remade,
        failed=tuple(progress.failed),
        labels_read=progress.labels_read,
        seconds=time.monotonic() - began,
        error=progress.error,
        cosine=progress.cosine,
        mean_cosine=float(np.mean(progress.mean_cosines)) if progress.mean_cosines else 1.0,
    )


def plan_targets(
    store: TargetStore,
    filling: Filling,
    *,
    part: tuple[int, int] = (0, 1),
    shape_of: Callable[[str], tuple[int, int]] | None = None,
) -> Estimate:
    """Say what filling will take, by describing one missing image and timing it; its record is kept.

    Args:
        store: From ``create_store``.
        filling: Who describes what.
        part: As of ``fill_targets``; the estimate is for this part.
        shape_of: Size (y, x) of a case's image. None takes all to be of the timed one's.

    Raises:
        ConfigError: The teachers are not the store's.
        EnvironmentFault: The targets will not fit on the disk.
    """
    names = filling.names[part[0] :: part[1]]
    described = store.described()
    missing = [name for name in names if name not in described]
    free = shutil.disk_usage(store.folder).free
    if not missing:
        return Estimate(images=len(names), missing=0, seconds=0.0, size=0, free=free)
    first, *rest = missing
    began = time.monotonic()
    _fill(store, replace(filling, names=[first]), part, _quiet)
    seconds = time.monotonic() - began
    timed = _described_shape(store, first) or (shape_of(first) if shape_of else (0, 0))
    shapes = [shape_of(name) if shape_of else timed for name in rest]
    contract = filling.teachers[0].contract
    work = [_work(each, store.header, whole=contract.size is not None) for each in [timed, *shapes]]
    size = sum(_size(each, store.header) for each in shapes)
    estimate = Estimate(
        images=len(names), missing=len(rest), seconds=seconds * sum(work[1:]) / max(work[0], 1), size=size, free=free
    )
    if size > free:
        raise EnvironmentFault(
            f"The targets do not fit into {store.folder}: {estimate} Choose another disk, 8-bit maps or fewer tokens."
        )
    return estimate


@dataclass
class _Progress:
    """What has happened so far in one call."""

    made: int = 0
    kept: int = 0
    remade: int = 0
    labels_read: int = 0
    failed: list[Failure] = field(default_factory=list)
    error: float = 0.0
    cosine: float = 1.0
    mean_cosines: list[float] = field(default_factory=list)
    seen: set[Key] = field(default_factory=set)

    def note(self, parameters: Mapping[str, Any]) -> None:
        self.error = max(self.error, parameters.get("error", 0.0))
        self.cosine = min(self.cosine, parameters.get("cosine", 1.0))
        if "mean_cosine" in parameters:
            self.mean_cosines.append(parameters["mean_cosine"])
        self.labels_read += "labels" in parameters


def _fill(store: TargetStore, filling: Filling, part: tuple[int, int], notice: Notice) -> _Progress:
    filling.check(store.header)
    progress = _Progress()
    with store.writing(part) as writer:
        for name in filling.names:
            try:
                _fill_one(store, filling, name, writer, progress)
            except EnvironmentFault:
                raise
            except Exception as error:  # a teacher is anyone's code: one image must not cost the others (FAULTS R42)
                progress.failed.append(Failure(name, f"{type(error).__name__}: {error}"))
                notice(f"No targets for {name}: {error}")
    return progress


def _fill_one(store: TargetStore, filling: Filling, name: str, writer: Writer, progress: _Progress) -> None:
    sample = filling.read(name)
    image = image_key(sample.image)
    keys = [Key(image, view) for view in range(len(store.header.views))]
    note = _note(filling, name, sample)
    if keys[0] in progress.seen:  # equal pixels under two names: one record serves both
        progress.kept += 1
        return
    stale = [key for key in keys if not _is_fresh(store, key, note)]
    damaged = set(store.keys()) & set(stale)
    if stale:
        teacher = filling.teachers[filling.fold(name)]
        shown = field_of(teacher, sample, filling.structures)
        for key in stale:
            arrays, quality = describe(teacher, shown, store.header, key.view)
            writer.put(key, arrays, note | quality | {GENERATION: store.next_generation(key)})
            progress.note(note | quality)
        progress.made += 1
        progress.remade += bool(damaged)
    else:
        progress.kept += 1
        for key in keys:
            progress.note(store.parameters(key))
    progress.seen.add(keys[0])  # only now: where the teacher fails on one name, another is asked about by itself


def describe(teacher: Teacher, shown: Field, header: Header, view: int) -> tuple[Arrays, dict[str, float]]:
    """Return a record's arrays of one view, and what storing them cost.

    Args:
        teacher: Any.
        shown: The image as this teacher takes it.
        header: What is stored, and how.
        view: Number of the view. Maps are stored for the first, tokens for every one.
    """
    arrays: Arrays = {}
    quality: dict[str, float] = {}
    if view == 0:
        maps = look(teacher, shown, tile=header.tile, halo=header.halo)
        arrays[MAPS] = store_maps(maps, header.maps_as)
        quality["error"] = map_error(maps, arrays[MAPS])
    if header.tokens:
        cosines = []
        for name, grid in look_for_tokens(teacher, shown, header.tokens, header.views[view]).items():
            stored = store_tokens(grid, header.tokens_as)
            arrays |= {f"{name}/{part}": array for part, array in stored.items()}
            cosines.append(token_cosines(grid, stored).ravel())
        every = np.concatenate(cosines)
        quality |= {"cosine": float(every.min(initial=1)), "mean_cosine": float(every.mean())}
    return arrays, quality


def _note(filling: Filling, name: str, sample: Sample) -> dict[str, Any]:
    """Return what decides, beside header and image, what a record says."""
    note: dict[str, Any] = {"case": name, "teacher": filling.fold(name), "shape": list(sample.image.array.shape[1:])}
    if filling.teachers[note["teacher"]].contract.oracle:
        note["labels"] = sha256_array(sample.planes)
    return note


def _is_fresh(store: TargetStore, key: Key, note: Mapping[str, Any]) -> bool:
    """Return whether there is a sound record that says what would be said now."""
    if not store.has(key):
        return False
    found = store.parameters(key)
    return all(found.get(name) == note.get(name) for name in ("teacher", "labels"))


def _described_shape(store: TargetStore, name: str) -> tuple[int, int] | None:
    key = store.described().get(name)
    if key is None:  # the teacher failed on it
        return None
    height, width = store.parameters(key)["shape"]
    return height, width


def _work(shape: tuple[int, int], header: Header, *, whole: bool) -> int:
    """Return how much work an image is: tiles for a teacher that sees squares of one size, else pixels."""
    if not whole:
        return shape[0] * shape[1]
    if header.tile is None or max(shape) <= header.tile:
        return len(header.views)
    return count_tiles(shape, side=header.tile, halo=header.halo)


def _size(shape: tuple[int, int], header: Header) -> int:
    """Return about how many bytes an image's records take."""
    maps = shape[0] * shape[1] * len(header.outputs) * (1 if header.maps_as == "uint8" else 2)
    contract = header.contracts[0]
    longer = contract.size or max(shape)
    scale = longer / max(*shape, 1)
    tokens = 0
    for stride, width in (contract.tokens[name] for name in header.tokens):
        cells = -(-shape[0] * scale // stride) * -(-shape[1] * scale // stride)
        tokens += int(cells) * (width + 4 if header.tokens_as == "int8" else 2 * width)
    return maps + tokens * len(header.views)
