"""What runs exported models, by name, and which is the fastest here."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np

from segdistill.errors import ConfigError, EnvironmentFault, MissingExtra, UnknownName
from segdistill.inference.export_card import ExportCard, checked_file
from segdistill.inference.exported_predictor import Compute, ExportedPredictor
from segdistill.inference.onnx_runtime import load_onnx
from segdistill.inference.openvino_runtime import load_bf16, load_fp32
from segdistill.inference.predictor import Notice

Load = Callable[..., Compute]

BACKENDS: Mapping[str, Load] = MappingProxyType(
    {"onnx": load_onnx, "openvino-fp32": load_fp32, "openvino-bf16": load_bf16, "openvino-int8": load_fp32}
)
"""The formats that predict without PyTorch, and what opens the file of each."""

_PROBES = 3


def open_backend(folder: Path, card: ExportCard, name: str, *, threads: int | None = None) -> ExportedPredictor:
    """Return an exported model that is ready.

    Args:
        folder: Where it lies.
        card: The folder's.
        name: Of the backend.
        threads: How many compute; None: one per core.

    Raises:
        UnknownName: The folder has no such backend.
        DataError: Its files are damaged.
        MissingExtra: What runs it is not installed.
    """
    here = [each for each in card.formats if each in BACKENDS]
    if name not in here:
        raise UnknownName(f"backend in {folder}", name, here)
    compute = BACKENDS[name](checked_file(folder, card, name), threads=threads)
    return ExportedPredictor(compute, card.stride, f"cpu, {name}")


def fastest(folder: Path, card: ExportCard, *, tile: int, notice: Notice) -> tuple[str, ExportedPredictor]:
    """Return the backend that is the fastest on a window of noise, and its name.

    All that are in the folder were seen to be as good as the student, when it was exported.

    Args:
        folder: Where the exported model lies.
        card: The folder's.
        tile: Side of the window, pixels.
        notice: Told which was chosen, and what the others took.

    Raises:
        ConfigError: The folder has only formats for other programs.
        MissingExtra: Nothing that could run it is installed.
        DataError: Its files are damaged.
    """
    names = [each for each in card.formats if each in BACKENDS]
    if not names:
        raise ConfigError(
            f"{folder} has only {', '.join(card.formats)}, for other programs. Export one of {', '.join(BACKENDS)} too."
        )
    opened: dict[str, ExportedPredictor] = {}
    missing: list[MissingExtra] = []
    for name in names:
        try:
            opened[name] = open_backend(folder, card, name)
        except MissingExtra as error:
            missing.append(error)
    if not opened:
        raise missing[0]
    window = np.random.default_rng(0).random((len(card.model.channels), tile, tile), dtype=np.float32)
    seconds = {name: best_time(partial(predictor, [window])) for name, predictor in opened.items()}
    chosen = min(seconds, key=lambda name: seconds[name])
    times = ", ".join(f"{name} {1e3 * taken:.0f} ms" for name, taken in sorted(seconds.items(), key=lambda one: one[1]))
    notice(f"Backend {chosen}, the fastest here for a window of {tile} × {tile} px ({times}).")
    return chosen, opened[chosen]


def best_time(call: Callable[[], object]) -> float:
    """Return the shortest of a few times that a call takes after the first, seconds."""
    call()
    taken = []
    for _ in range(_PROBES):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return min(taken)


def refuse_other_devices(device: str) -> None:
    """Refuse to run an exported model on anything but the CPU.

    Raises:
        EnvironmentFault: Another device was asked for.
    """
    if device not in {"auto", "cpu"}:
        raise EnvironmentFault(
            f"device is {device!r}, but an exported model runs on the CPU here. Choose device 'cpu', or give the"
            " student's own folder, which PyTorch runs."
        )
