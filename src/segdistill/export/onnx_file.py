"""Writing a graph as ONNX."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from segdistill.errors import MissingExtra
from segdistill.export.graph import Graph, example
from segdistill.files import whole_file
from segdistill.networks.card import ModelCard

OPSET = 18

BY_TRACING = ("swin_", "swinv2_", "swin-", "maxvit", "coatnet")
"""Families of encoders that attend in windows. torch.export can follow their sizes, but takes minutes to reason about
every window's; recording one pass takes seconds, and the comparison on real images judges both alike."""


def write_onnx(path: Path, graph: Graph, card: ModelCard) -> str:
    """Write a graph as one ONNX file, and return by what, in words.

    Args:
        path: The file.
        graph: On the CPU, in evaluation mode.
        card: The student's.

    Raises:
        MissingExtra: onnx or onnxscript is not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtra("onnx and onnxscript", "export", "Writing an ONNX file") from error
    traced = card.architecture.removeprefix("unet-").startswith(BY_TRACING)
    with whole_file(path) as partial:
        (_by_tracing if traced else _by_export)(partial, graph, example(card))
    how = "one recorded pass, as torch.export takes minutes for attention in windows" if traced else "torch.export"
    return f"torch.onnx, opset {OPSET}, from {how}"


def _by_export(path: Path, graph: Graph, inputs: tuple[Any, ...]) -> None:
    sizes = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    with quiet():
        program = torch.onnx.export(
            graph,
            inputs,
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=(sizes, None, None),
            input_names=["image", "low", "high"],
            output_names=["probabilities"],
            verbose=False,
        )
    if program is None:
        raise AssertionError("torch.onnx.export(dynamo=True) gives a program")
    program.save(path, external_data=False)


def _by_tracing(path: Path, graph: Graph, inputs: tuple[Any, ...]) -> None:
    sizes = {0: "b", 2: "y", 3: "x"}
    with quiet(), RollByIndex():
        torch.onnx.export(
            graph,
            inputs,
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=["image", "low", "high"],
            output_names=["probabilities"],
            dynamic_axes={"image": sizes, "probabilities": sizes},
        )


class RollByIndex(TorchFunctionMode):
    """Records a roll as a choice of rows: the exporter's own is wrong where an axis is shorter than the shift."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call a function of torch, or what stands for it."""
        kwargs = kwargs or {}
        if func is not torch.roll:
            return func(*args, **kwargs)
        return _rolled(*args, **kwargs)


def _rolled(image: torch.Tensor, shifts: tuple[int, ...], dims: tuple[int, ...]) -> torch.Tensor:
    for shift, axis in zip(shifts, dims, strict=True):
        length = image.shape[axis]
        places = torch.arange(length, device=image.device) - shift
        image = image.index_select(axis, torch.remainder(places, length))
    return image


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what the exporters tell their own authors; what they make is run and compared."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"torch|timm|onnxscript|copyreg|segdistill\.export")
        yield
