"""Images segmented by a team: small ones whole, large ones by their windows.

Note [Two ways to share]: a small image is one piece, from its file to its masks, which the worker writes. Of a large
one the windows are pieces, and this process grows the objects as it does alone: what comes back are the very maps
that it would have computed, in their order, so the masks are the same to the byte.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from segdistill.data.readers import open_image
from segdistill.data.stacks import planes_of
from segdistill.distribution import Team
from segdistill.errors import ConfigError, DataError, EnvironmentFault
from segdistill.inference.inputs import Input
from segdistill.inference.one_image import Files, Segmenter, files_of_use, halo_of, side_of
from segdistill.inference.options import Options
from segdistill.inference.predictor import Notice
from segdistill.inference.ready import Ready, make_ready
from segdistill.inference.scale import LARGEST
from segdistill.inference.windows import Cut, Part, View, plan_windows, run_planned

Asked = tuple[int, Input]
"""An image and its number among all."""

Outcome = Mapping[str, Any] | DataError
"""What is to be recorded of an image, or why it could not be segmented."""

Tell = Callable[[Asked, str], None]
"""Tells a person something of an image."""

_AT_A_TIME = 8
"""Windows of one piece: seconds of work, some megabytes of maps."""


@dataclass(frozen=True)
class _Task:
    """What every worker needs."""

    model: Path
    options: Options
    out: Path

    known: str
    """Hash of the model's card and weights as the asking process has them. Workers may outlive what lies in a folder:
    one that has read it before reads it anew where this is another."""


@dataclass(frozen=True, eq=False)
class _Windows:
    """Some windows of a large image."""

    files: Files
    low: Float32[np.ndarray, " c"]
    high: Float32[np.ndarray, " c"]
    windows: tuple[Cut, ...]


def shared_out(
    team: Team, model: Path, ready: Ready, segmenter: Segmenter, asked: Iterable[Asked], *, tell: Tell
) -> Iterator[tuple[Asked, Outcome]]:
    """Yield each image with what became of it, in the order in which they are done; large ones come last.

    Args:
        team: Who works. All must see the model, the images and the folder for the masks under the same paths.
        model: Folder of the model.
        ready: The same model here.
        segmenter: The same, with how and where to.
        asked: Images; taken as workers become free.
        tell: Told how far a large image is, and what workers had to say.

    Raises:
        EnvironmentFault: A worker cannot see a folder or cannot write, or ended again and again.
    """
    options = replace(segmenter.options, backend=ready.backend)
    task = _Task(model.resolve(), options, segmenter.out.resolve(), _known_of(ready))
    _check_sight(team, task, ready)
    large: list[Asked] = []

    def small() -> Iterator[Asked]:
        for one in asked:
            if _is_large(one[1], segmenter):
                large.append(one)
            else:
                yield one

    for one, (outcome, lines) in team.as_done(partial(_segment, task), small()):
        for line in lines:
            tell(one, line)
        yield one, outcome
    by_windows = replace(segmenter, windows=partial(_computed, team, task, segmenter))
    for one in large:
        try:
            yield one, by_windows(one[1], notice=partial(tell, one))
        except DataError as error:
            yield one, error


def _is_large(image: Input, segmenter: Segmenter) -> bool:
    """Return whether an image is shared out by its windows. One that cannot be opened will fail on a worker."""
    files, options = files_of_use(image, segmenter.card.channels), segmenter.options
    try:
        if len(planes_of(files, axes=options.axes)) > 1:
            return False
        with open_image(files, channels=options.channels, axes=options.axes, fill_missing=True) as opened:
            return opened.shape[1] * opened.shape[2] > LARGEST  # which is never resampled
    except DataError:
        return False


def _check_sight(team: Team, task: _Task, ready: Ready) -> None:
    """Refuse a team of which somebody sees other files than this process does."""
    for address, trouble in sorted(team.ask_each(_trouble, task, ready.weights_sha256).items()):
        if trouble:
            raise EnvironmentFault(
                f"The worker {address} does not see the files that this process sees. {trouble} Use folders that all"
                " machines share, under the same paths."
            )


def _trouble(task: _Task, weights_sha256: str) -> str:
    """Return what a worker does not find; nothing, where it finds all."""
    try:
        found = _ready(task)
    except (DataError, ConfigError, EnvironmentFault) as error:
        return str(error)
    if found.weights_sha256 != weights_sha256 or _known_of(found) != task.known:
        return f"It finds another model in {task.model}."
    return "" if task.out.is_dir() else f"It finds no folder {task.out}."


def _known_of(ready: Ready) -> str:
    """Return the hash of what decides a model's masks: its card, with thresholds and all, and its weights."""
    facts = (ready.card.model_dump_json(), ready.weights_sha256, ready.backend_sha256 or "")
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


@lru_cache(maxsize=1)
def _ready(task: _Task) -> Ready:
    """Return a worker's own model, which computes with one thread."""
    return make_ready(task.model, task.options, notice=lambda _: None, threads=1)


def _segment(task: _Task, asked: Asked) -> tuple[Outcome, list[str]]:
    """Segment a whole image on a worker; return what became of it and what there was to say."""
    ready, lines = _ready(task), []
    try:
        facts = Segmenter(ready.predictor, ready.card, task.options, task.out)(asked[1], notice=lines.append)
    except DataError as error:
        return error, lines
    return facts, lines


def _computed(
    team: Team, task: _Task, segmenter: Segmenter, files: Files, view: View, notice: Notice
) -> Iterator[Part]:
    """Yield the maps of all windows of an image, row by row, computed by a team."""
    notice("large, so its windows are shared out")
    windows = plan_windows(
        view.shape,
        side=side_of(task.options, segmenter.predictor),
        halo=halo_of(segmenter.card, task.options),
        stride=segmenter.predictor.stride,
    )
    some_at_a_time = iter(lambda: tuple(islice(windows, _AT_A_TIME)), ())
    pieces = (_Windows(files, view.low, view.high, some) for some in some_at_a_time)
    for parts in team.in_order(partial(_compute, task), pieces):
        yield from parts


def _compute(task: _Task, piece: _Windows) -> list[Part]:
    """Compute some windows of an image on a worker."""
    ready, options = _ready(task), task.options
    with open_image(
        piece.files, channels=options.channels, axes=options.axes, fill_missing=options.fill_missing
    ) as opened:
        view = View(opened, ready.card.channels, piece.low, piece.high, options.fill_non_finite)
        run = ready.predictor.run(lambda _: None)
        return list(run_planned(run, view, piece.windows, batch=ready.predictor.at_once))
