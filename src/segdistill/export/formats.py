"""The formats of an export: how each is written, and how it is run again to be compared."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Float32
from torch import nn

from segdistill.errors import ConfigError, EnvironmentFault
from segdistill.export.bioimageio_file import Shared, load_bioimageio, write_bioimageio
from segdistill.export.comparison import Shown
from segdistill.export.graph import Graph
from segdistill.export.onnx_file import BY_TRACING, write_onnx
from segdistill.export.openvino_files import Inputs, write_int8, write_openvino
from segdistill.export.torch_files import call, load_program, load_torchscript, write_program, write_torchscript
from segdistill.files import whole_file
from segdistill.inference.exported_predictor import Compute
from segdistill.inference.onnx_runtime import load_onnx
from segdistill.inference.openvino_runtime import has_bf16, load_bf16, load_fp32
from segdistill.networks.card import ModelCard


@dataclass(frozen=True, eq=False)
class Source:
    """What formats are written from."""

    graph: Graph
    """The network."""

    card: ModelCard
    """The student's."""

    calibration: Sequence[Shown]
    """Images from which the ranges of int8 are taken."""

    scratch: Path
    """A folder for what several formats are made from."""

    shared: Shared | None = None
    """What a package says of its makers; None: no package is asked for."""

    def onnx(self) -> tuple[Path, str]:
        """Return the ONNX graph, written when it is first asked for, and by what it was made, in words."""
        path, words = self.scratch / "model.onnx", self.scratch / "made_by.txt"
        if not words.exists():
            words.write_text(write_onnx(path, self.graph, self.card), encoding="utf-8")
        return path, words.read_text(encoding="utf-8")


@dataclass(frozen=True)
class Format:
    """One format."""

    files: tuple[str, ...]
    """Names, the one to open first."""

    write: Callable[[Path, Source], str]
    """Writes the first file and what belongs to it, and returns by what, in words."""

    load: Callable[[Path], Compute]
    """Opens it."""


def _write_onnx(path: Path, source: Source) -> str:
    written, made_by = source.onnx()
    with whole_file(path) as partial:
        shutil.copyfile(written, partial)
    return made_by


def _write_fp32(path: Path, source: Source) -> str:
    return write_openvino(path, source.onnx()[0])


def _write_bf16(path: Path, source: Source) -> str:
    if not has_bf16():
        raise EnvironmentFault(
            "openvino-bf16 cannot be compared here: this processor does not compute bf16. Export it on one that does,"
            " or leave it out of --formats."
        )
    return f"{write_openvino(path, source.onnx()[0])}, computed in bfloat16"


def _write_int8(path: Path, source: Source) -> str:
    attention = source.card.architecture.removeprefix("unet-").startswith(BY_TRACING)
    windows = [inputs for shown in source.calibration for inputs in _windows(shown, source.card.crop)]
    return write_int8(path, source.onnx()[0], windows, cuts=_cuts(source.card), attention=attention)


def _cuts(card: ModelCard) -> Float32[np.ndarray, " o"]:
    """Return the probability from which on a pixel belongs to an output: tuned for masks, a half for boundaries."""
    tuned = {name: own.get("foreground", 0.5) for name, own in card.thresholds.items()}
    return np.array([tuned.get(name, 0.5) for name in card.outputs], np.float32)


def _windows(shown: Shown, side: int) -> list[Inputs]:
    """Return an image in windows as large as training crops, none less where the image is not."""
    height, width = shown.view.shape
    return [
        {"image": np.ascontiguousarray(shown.pixels[None, :, y : y + side, x : x + side]), **_range(shown)}
        for y in range(0, max(1, height - side + 1), side)
        for x in range(0, max(1, width - side + 1), side)
    ]


def _range(shown: Shown) -> Inputs:
    return {"low": shown.view.low, "high": shown.view.high}


def _write_program(path: Path, source: Source) -> str:
    return write_program(path, source.graph, source.card)


def _write_torchscript(path: Path, source: Source) -> str:
    return write_torchscript(path, source.graph, source.card)


def _write_bioimageio(path: Path, source: Source) -> str:
    if source.shared is None:
        raise ConfigError("A bioimageio package must say who made it and how it may be used: name authors and licence.")
    return write_bioimageio(path, source.graph, source.card, source.shared, source.scratch)


def _in_torch(load: Callable[[Path], nn.Module], path: Path) -> Compute:
    module = load(path)

    def compute(
        images: Float32[np.ndarray, "b c y x"], low: Float32[np.ndarray, " c"], high: Float32[np.ndarray, " c"]
    ) -> Float32[np.ndarray, "b o y x"]:
        return call(module, torch.from_numpy(images), torch.from_numpy(low), torch.from_numpy(high)).numpy()

    return compute


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "onnx": Format(("model.onnx",), _write_onnx, load_onnx),
        "openvino-fp32": Format(("openvino.xml", "openvino.bin"), _write_fp32, load_fp32),
        "openvino-bf16": Format(("openvino.xml", "openvino.bin"), _write_bf16, load_bf16),
        "openvino-int8": Format(("openvino-int8.xml", "openvino-int8.bin"), _write_int8, load_fp32),
        "torch-export": Format(("model.pt2",), _write_program, lambda path: _in_torch(load_program, path)),
        "torchscript": Format(
            ("model.torchscript",), _write_torchscript, lambda path: _in_torch(load_torchscript, path)
        ),
        "bioimageio": Format(("bioimageio.zip",), _write_bioimageio, lambda path: _in_torch(load_bioimageio, path)),
    }
)
"""By name; those of OpenVINO in 32 bits and with bfloat16 are the same files."""
