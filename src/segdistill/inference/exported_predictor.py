"""A student run without PyTorch, from a file that `segdistill export` wrote."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64

from segdistill.inference.predictor import Notice

Compute = Callable[
    [Float32[np.ndarray, "b c y x"], Float32[np.ndarray, " c"], Float32[np.ndarray, " c"]],
    Float32[np.ndarray, "b o y x"],
]
"""The exported graph: pixels as they are, what becomes 0 and what becomes 1 in each channel; probabilities out."""


@dataclass(frozen=True, eq=False)
class ExportedPredictor:
    """An exported graph that is ready; see ``Predictor``."""

    compute: Compute
    """The graph."""

    stride: int
    """Pixels per step of the network's coarsest grid."""

    device: str
    """What computes."""

    at_once: int = 1
    """Windows per pass: a CPU is as fast with one."""

    def run(self, notice: Notice) -> "ExportedPredictor":  # noqa: ARG002
        """Return what computes the windows of one image: this."""
        return self

    def __call__(self, windows: Sequence[Float[np.ndarray, "c y x"]]) -> list[Float[np.ndarray, "o y x"]]:
        """Return the probability maps of windows of one shape.

        Note [Normalised before]: the windows are 0…1 already, as a PyTorch network is shown them, so both
        see the same numbers whatever the file's type (a float32 graph cannot hold 32-bit integers); the
        graph's own normalisation then changes nothing.
        """
        images = np.stack(windows).astype(np.float32, copy=False)
        channels = images.shape[1]
        return list(self.compute(images, np.zeros(channels, np.float32), np.ones(channels, np.float32)))

    def features(self, block: Float32[np.ndarray, "c y x"]) -> Float64[np.ndarray, " d"] | None:  # noqa: ARG002
        """Return None: an exported graph gives probabilities alone."""
        return None
