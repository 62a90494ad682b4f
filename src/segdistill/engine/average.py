"""The exponential moving average of the weights."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from segdistill.engine.weights import load_values, trained_values


class Average:
    """A second set of a module's weights that follows the first slowly.

    Args:
        module: Whose weights to follow; they are the first average.
        decay: How much of the average stays in each step, from 0 (none) to below 1.

    Early on less stays, ``min(decay, (1 + step) / (10 + step))``, or the average would remember the
    random weights of the beginning. Buffers (running statistics) are averaged like weights;
    whole numbers are copied.

    Source:
        Polyak and Juditsky 1992, doi:10.1137/0330046; the early rule is that of TensorFlow's
        ExponentialMovingAverage with ``num_updates``.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._module = module
        self._decay = decay
        self.values: dict[str, Tensor] = _copies(module)
        """The average, by name."""

    def update(self, step: int) -> None:
        """Move the average towards the weights as they are after a step, counted from 0."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, value in trained_values(self._module).items():
            if value.is_floating_point():
                self.values[name].lerp_(value, 1 - decay)
            else:
                self.values[name].copy_(value)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Give the module the averaged weights for a while, then exactly its own again."""
        own = _copies(self._module)
        load_values(self._module, self.values, source="the average")
        try:
            yield
        finally:
            load_values(self._module, own, source="the module")


def _copies(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in trained_values(module).items()}
