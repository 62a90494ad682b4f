"""How fast a student is on this machine, by everything that can run it."""

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segdistill.data.image import Image
from segdistill.engine.machine import machine, versions
from segdistill.engine.peak import peak_memory
from segdistill.errors import ConfigError, SegdistillError
from segdistill.files import write_json
from segdistill.inference.backends import BACKENDS, open_backend
from segdistill.inference.eager import torch_predictor
from segdistill.inference.export_card import is_exported, read_export
from segdistill.inference.predictor import Run
from segdistill.inference.windows import STRIDE, View, run_windows, usual_side
from segdistill.networks.card import ModelCard, read_card
from segdistill.networks.describe import StudentFacts, describe_student
from segdistill.networks.model import load_model
from segdistill.settings.bench import Bench

_PRECISIONS = {"openvino-bf16": "bfloat16", "openvino-int8": "int8"}
_PACKAGES = ("torch", "onnxruntime", "openvino", "numpy")


@dataclass(frozen=True)
class Backend:
    """One way to run a student."""

    name: str
    """Of PyTorch's two, or of an exported format."""

    folder: Path
    """The model's, or the exported one's."""


@dataclass(frozen=True, kw_only=True)
class Timed:
    """What one way takes."""

    backend: str
    """Its name."""

    precision: str
    """In which numbers it computes."""

    threads: int
    """How many compute."""

    ms_per_megapixel: float
    """The least over repeats; halos are computed too, and not counted as pixels."""

    median_ms_per_megapixel: float
    """The median over repeats."""

    megapixels_per_second: float
    """At the least time."""

    peak_megabytes: float | None
    """The most memory that its process held, everything imported included; 10⁶ bytes. None: the system does not say."""


@dataclass(frozen=True)
class Benchmark:
    """What a student takes on this machine."""

    facts: dict[str, Any]
    """Of the student, the image and the machine."""

    timed: tuple[Timed, ...]
    """By every way that works here."""

    failed: dict[str, str]
    """The others, and why."""


def bench(settings: Bench, *, notice: Callable[[str], None]) -> Benchmark:
    """Time a student by everything that can run it here, each in a process of its own.

    Raises:
        DataError: A folder holds no model.
        ConfigError: The exported folder is another model's.
    """
    card, ways = _ways(settings)
    threads = settings.threads or os.cpu_count() or 1
    timed: list[Timed] = []
    failed: dict[str, str] = {}
    for way in ways:
        notice(f"{way.name} …")
        found = _in_a_process(way, settings, threads)
        if isinstance(found, Timed):
            timed.append(found)
        else:
            failed[way.name] = found
    result = Benchmark(_facts(card, settings), tuple(timed), failed)
    if settings.out is not None:
        write_json(settings.out, asdict(result))
    return result


def _ways(settings: Bench) -> tuple[ModelCard, list[Backend]]:
    if is_exported(settings.model):
        return read_export(settings.model).model, list(_of_exported(settings.model))
    card = read_card(settings.model)
    ways = [Backend("torch", settings.model)]
    if settings.compile:
        ways.append(Backend("torch-compile", settings.model))
    if settings.exported is not None:
        other = read_export(settings.exported).model
        if other.weights_sha256 != card.weights_sha256:
            raise ConfigError(
                f"{settings.exported} was exported from other weights than those of {settings.model}. Export this"
                " model, or name the folder that was exported from it."
            )
        ways += _of_exported(settings.exported)
    return card, ways


def _of_exported(folder: Path) -> Iterator[Backend]:
    return (Backend(name, folder) for name in read_export(folder).formats if name in BACKENDS)


def _facts(card: ModelCard, settings: Bench) -> dict[str, Any]:
    cost = describe_student(card.architecture, channels=len(card.channels), outputs=len(card.outputs))
    return {
        "student": card.architecture,
        "channels": len(card.channels),
        "outputs": len(card.outputs),
        "parameters": cost["parameters"],
        "gigamacs_per_megapixel": cost["gigamacs_per_megapixel"],
        "image": list(_size(settings)),
        "tile": settings.tile or usual_side(_grid(settings.model, cost)),
        "halo": card.halo["fast"],
        "repeats": settings.repeats,
        "machine": machine(),
        "versions": versions(_PACKAGES),
    }


def _grid(model: Path, cost: StudentFacts) -> int:
    """Return the multiples on which a model's windows begin, pixels: an exported one's card says its own."""
    return read_export(model).stride if is_exported(model) else cost["grid"] or STRIDE


def _size(settings: Bench) -> tuple[int, int]:
    return settings.side, settings.side * 3 // 2


def _in_a_process(way: Backend, settings: Bench, threads: int) -> Timed | str:
    """Time one way in a new process: its memory is its own, and so are its threads."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_time, args=(way, settings, threads, there))
    process.start()
    there.close()
    try:
        found = here.recv()
    except EOFError:
        found = "its process ended without an answer; memory may have run out"
    process.join()
    return found


def _time(way: Backend, settings: Bench, threads: int, answer: Connection) -> None:
    try:
        answer.send(time_backend(way, settings, threads=threads))
    except (SegdistillError, RuntimeError, ImportError) as error:
        answer.send(" ".join(str(error).split()) or type(error).__name__)


def time_backend(way: Backend, settings: Bench, *, threads: int) -> Timed:
    """Return what one way takes, computed in this process.

    Args:
        way: Which.
        settings: The image, its windows and the repeats.
        threads: How many compute.
    """
    card, run, stride = _opened(way, threads)
    height, width = _size(settings)
    pixels = np.random.default_rng(0).random((len(card.channels), height, width), dtype=np.float32)
    zeros = np.zeros(len(card.channels), np.float32)
    view = View(Image(pixels, card.channels, None, "noise"), card.channels, zeros, zeros + 1)
    taken, tile = [], settings.tile or usual_side(stride)
    for _ in range(settings.repeats + 1):
        began = time.perf_counter()
        for _part in run_windows(run, view, tile=tile, halo=card.halo["fast"], stride=stride, batch=1):
            pass
        taken.append(time.perf_counter() - began)
    megapixels = height * width / 1e6
    least, median = min(taken[1:]), statistics.median(taken[1:])
    return Timed(
        backend=way.name,
        precision=_PRECISIONS.get(way.name, "float32"),
        threads=threads,
        ms_per_megapixel=1e3 * least / megapixels,
        median_ms_per_megapixel=1e3 * median / megapixels,
        megapixels_per_second=megapixels / least,
        peak_megabytes=None if (most := peak_memory()) is None else most / 1e6,
    )


def _opened(way: Backend, threads: int) -> tuple[ModelCard, Run, int]:
    """Return a model's card, what computes its windows, and its stride."""
    if way.name in BACKENDS:
        exported = read_export(way.folder)
        predictor = open_backend(way.folder, exported, way.name, threads=threads)
        return exported.model, predictor.run(_silently), predictor.stride
    torch.set_num_threads(threads)
    model = load_model(way.folder)
    eager = torch_predictor(model, "cpu", notice=_silently)
    if way.name == "torch-compile":
        eager.network.compile()
    return model.card, eager.run(_silently), eager.stride


def _silently(_: str) -> None:
    pass
