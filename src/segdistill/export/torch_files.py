"""Writing a graph for PyTorch without this package: an exported program, and TorchScript."""

from pathlib import Path
from typing import cast

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from segdistill.data.normalisation import PercentileRule, rule_from_json
from segdistill.export.graph import Graph, example
from segdistill.export.onnx_file import quiet
from segdistill.files import whole_file
from segdistill.networks.card import ModelCard


def write_program(path: Path, graph: Graph, card: ModelCard) -> str:
    """Write a graph as torch.export saves it, and return by what, in words.

    Loaded with ``torch.export.load(path).module(check_guards=False)``; called as the graph. Its guards would refuse
    sizes that are multiples of the stride, because the example's were not; the graph is right for them.
    """
    sizes = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    with quiet():
        program = torch.export.export(graph, example(card), dynamic_shapes=(sizes, None, None))
        with whole_file(path) as partial, partial.open("wb") as handle:
            torch.export.save(program, handle)
    return f"torch.export {torch.__version__}; load it with .module(check_guards=False)"


def write_torchscript(path: Path, graph: Graph, card: ModelCard) -> str:
    """Write a graph as TorchScript, and return by what, in words.

    Loaded with ``torch.jit.load(path)``, or by libtorch from any language. Called with the image alone it takes the
    percentiles of what it is given; so programs that pass a picture and nothing else can use it.
    """
    rule = rule_from_json(card.normalisation)
    percentiles = (rule.lower, rule.upper) if isinstance(rule, PercentileRule) else None
    with quiet(), torch.no_grad():
        traced = torch.jit.trace(graph, example(card), check_trace=False)
        scripted = Standalone(cast(torch.jit.ScriptModule, traced), percentiles)  # of a module, it makes a module
        with whole_file(path) as partial:
            torch.jit.save(scripted, str(partial))
    return f"torch.jit.trace {torch.__version__}; with the image alone it measures low and high on what it is given"


_FORWARD = """
def forward(self, image: Tensor, low: Optional[Tensor] = None, high: Optional[Tensor] = None) -> Tensor:
    channels = image.transpose(0, 1).flatten(1)
    if low is None:
        low = self.percentile(channels, self.lower) if self.measures else torch.zeros_like(channels[:, 0])
    if high is None:
        high = self.percentile(channels, self.upper) if self.measures else torch.ones_like(channels[:, 0])
    return self.network.forward(image, low, high)
"""
"""TorchScript."""

_PERCENTILE = """
def percentile(self, values: Tensor, percent: float) -> Tensor:
    ordered = values.sort(dim=1)[0]
    place = percent / 100.0 * float(ordered.size(1) - 1)
    below = int(place)
    above = min(below + 1, ordered.size(1) - 1)
    share = place - float(below)
    return ordered[:, below] * (1.0 - share) + ordered[:, above] * share
"""
"""The same. A percentile lies between the two nearest values, as NumPy's does; torch.quantile takes no more than 16
million values."""


class Standalone(torch.jit.ScriptModule):
    """A graph that measures low and high itself, on the whole batch that it is given, where it is not told them.

    Args:
        graph: Takes image, low and high.
        percentiles: Those of the model's rule; None: the rule takes floats to be 0…1.
    """

    def __init__(self, graph: torch.jit.ScriptModule, percentiles: tuple[float, float] | None) -> None:
        super().__init__()
        self.network = graph
        lower, upper = (0.0, 100.0) if percentiles is None else percentiles
        self.measures = torch.jit.Attribute(percentiles is not None, bool)
        self.lower, self.upper = torch.jit.Attribute(lower, float), torch.jit.Attribute(upper, float)
        self.define(_PERCENTILE)
        self.define(_FORWARD)


def load_program(path: Path) -> nn.Module:
    """Return an exported program, ready."""
    with quiet():
        return torch.export.load(path).module(check_guards=False)


def load_torchscript(path: Path) -> nn.Module:
    """Return a TorchScript module, ready."""
    with quiet():
        return torch.jit.load(str(path))


def call(
    module: nn.Module, image: Float32[Tensor, "b c y x"], low: Float32[Tensor, " c"], high: Float32[Tensor, " c"]
) -> Float32[Tensor, "b o y x"]:
    """Return a module's probabilities, without keeping what a gradient would need."""
    with torch.no_grad():
        return module(image, low, high)
