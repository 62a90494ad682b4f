"""What prediction asks of a network, whatever runs it: PyTorch, ONNX Runtime or OpenVINO."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Float32, Float64
from numpy import ndarray

Notice = Callable[[str], None]

Run = Callable[[Sequence[Float[ndarray, "c y x"]]], Sequence[Float[ndarray, "o y x"]]]
"""Windows of one shape in, 0…1; the probability maps of each out."""


@runtime_checkable
class Predictor(Protocol):
    """A network that is ready. Only the file that makes one knows what computes it."""

    @property
    def stride(self) -> int:
        """Pixels per step of the network's coarsest grid."""
        ...

    @property
    def at_once(self) -> int:
        """Windows that are best computed together."""
        ...

    @property
    def device(self) -> str:
        """What computes, for records."""
        ...

    def run(self, notice: Notice) -> Run:
        """Return what computes the windows of one image; ``notice`` is told where memory is short."""
        ...

    def features(self, block: Float32[ndarray, "c y x"]) -> Float64[ndarray, " d"] | None:
        """Return the encoder's coarsest features, their mean over a block, of length 1; None: they cannot be had."""
        ...
