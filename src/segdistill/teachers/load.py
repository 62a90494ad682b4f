"""Teachers by name: built-in ones, prefixes for those on disk, and plugins."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import get_args

from segdistill import plugins
from segdistill.data.labels import Structure
from segdistill.errors import ConfigError, UnknownName
from segdistill.teachers.blurred import build_blurred
from segdistill.teachers.cellsam import build_cellsam_teacher
from segdistill.teachers.contract import Prompting, Teacher
from segdistill.teachers.encoder import build_encoder_teacher
from segdistill.teachers.hf import build_hf
from segdistill.teachers.maps import build_maps
from segdistill.teachers.medclip import build_medclip
from segdistill.teachers.medsam2 import build_medsam2
from segdistill.teachers.model import build_model
from segdistill.teachers.onnx import build_onnx
from segdistill.teachers.published import PUBLISHED
from segdistill.teachers.request import CELL, DEFAULTS, Request, TeacherOptions
from segdistill.teachers.sam_adapter import build_adapter
from segdistill.teachers.sam_build import EMBEDDED, build_embedded, build_local, build_published

Build = Callable[[Request], Teacher]

BUILTIN: Mapping[str, Build] = {
    **dict.fromkeys(PUBLISHED, build_published),
    **dict.fromkeys(EMBEDDED, build_embedded),
    "cellsam": build_cellsam_teacher,
    "medclip": build_medclip,
    "medsam2": build_medsam2,
}
"""Teachers that have a name of their own."""

PREFIXES: Mapping[str, Build] = {
    "sam": build_local,
    "adapter": build_adapter,
    "onnx": build_onnx,
    "maps": build_maps,
    "model": build_model,
    "blurred": build_blurred,
    "hf": build_hf,
    "encoder": build_encoder_teacher,
}
"""Kinds of teachers that are named ``PREFIX:PATH``, or by a number or a repository after the colon."""

_ON_DISK = frozenset({"adapter", "onnx", "maps", "model", "encoder"})
"""Kinds whose PATH is a file or a folder here, and nothing else."""

_CONTROLS: Mapping[str, str] = {EMBEDDED[0]: EMBEDDED[1]}


def load_teacher(
    name: str,
    *,
    channels: Sequence[str] | None = None,
    structures: Sequence[Structure] = CELL,
    prompting: str | None = None,
    weights: Path | None = None,
    device: str = "cpu",
    options: TeacherOptions = DEFAULTS,
) -> Teacher:
    """Return a frozen teacher.

    Args:
        name: A name in ``BUILTIN``, a plugin's, or ``PREFIX:PATH`` with a prefix in ``PREFIXES``.
        channels: Names of the image's channels that the teacher is given, in its order. None takes
            the names in its own contract; SAM without a tuning has none. Of a SAM one channel is
            replicated, two become (blank, nucleus, membrane), three are taken as they come.
        structures: What its maps shall show, where the teacher cannot say so itself.
        prompting: How a promptable teacher is asked: boxes, grid, probe or tuned. None: its default.
        weights: File or folder of weights, for teachers that are not in this package.
        device: Where it runs, as torch names devices.
        options: Options that few runs need.

    Raises:
        UnknownName: There is no such teacher or prompting.
        ConfigError: The channels, the prompting or an option do not suit the teacher.
        DataError: Its weights or its description are damaged or do not fit.
        EnvironmentFault: Its weights are not here; the message says how to get them.

    >>> load_teacher("sam-vit-x")
    Traceback (most recent call last):
    segdistill.errors.UnknownName: There is no teacher called 'sam-vit-x'. Did you mean 'sam-vit-l'? Known: ...
    """
    if prompting is not None and prompting not in get_args(Prompting):
        raise UnknownName("prompting", prompting, get_args(Prompting))
    request = Request(
        name=name,
        channels=None if channels is None else tuple(channels),
        structures=tuple(structures),
        prompting=prompting,  # pyright: ignore[reportArgumentType]  (checked above)
        weights=weights,
        device=device,
        options=options,
    )
    return _builder(name)(request)


def check_teacher(name: str) -> None:
    """Refuse a teacher that there is not, without building it.

    Raises:
        UnknownName: Nothing is called so.
        ConfigError: It names a path at which there is nothing.

    >>> check_teacher("model:nowhere")
    Traceback (most recent call last):
    segdistill.errors.ConfigError: Teacher 'model:nowhere': there is nothing at nowhere. Check the path.
    """
    _builder(name)
    prefix, _, place = name.partition(":")
    if prefix in _ON_DISK and not Path(place).exists():
        raise ConfigError(f"Teacher {name!r}: there is nothing at {place}. Check the path.")


def _builder(name: str) -> Build:
    prefix, colon, _ = name.partition(":")
    if not colon:
        return plugins.find("teacher", name, BUILTIN)
    if prefix not in PREFIXES:
        raise UnknownName("kind of teacher", f"{prefix}:", [f"{known}:" for known in PREFIXES])
    return PREFIXES[prefix]


def control_of(name: str) -> str:
    """Return the name of the teacher that controls for another: as it, but for the student's channels alone.

    The control arm gives this teacher only the channels that the student sees. A SAM that was not
    tuned, a probe or a plugin is its own control.

    >>> control_of("sam-tiny-tissue"), control_of("sam-vit-h")
    ('sam-tiny-tissue-control', 'sam-vit-h')
    """
    return _CONTROLS.get(name, name)
