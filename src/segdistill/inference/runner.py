"""Running windows through a network, on whatever memory there is."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from segdistill.engine.memory import is_out_of_memory
from segdistill.errors import EnvironmentFault
from segdistill.inference.predictor import Notice


class Runner:
    """A network on its device: windows in, probabilities out.

    Where memory is short it goes on with fewer windows at once and at last, one by one, on the CPU; so it does
    where the device lacks an operation. The maps are the same: a window is never left blank (FAULTS R23).

    Args:
        network: Takes ``b c y x`` and returns logits ``b o y x``; on the device, in evaluation mode.
        device: Where the network is.
        batch: Windows per forward pass, to begin with.
        notice: Told of every concession, once.

    >>> run = Runner(nn.Conv2d(1, 2, 1).eval(), batch=4)
    >>> [maps.shape for maps in run([np.zeros((1, 3, 5), np.float32)] * 2)]
    [(2, 3, 5), (2, 3, 5)]
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        device: str | torch.device = "cpu",
        batch: int = 1,
        notice: Notice = lambda _: None,
    ) -> None:
        self.batch = batch
        """Windows per forward pass, now."""
        self._network = network
        self._device = torch.device(device)
        self._notice = notice
        self._told_of_cpu = False
        self._trouble = ""

    def __call__(self, windows: Sequence[Float[np.ndarray, "c y x"]]) -> list[Float[np.ndarray, "o y x"]]:
        """Return the probability maps of windows of one shape.

        Raises:
            EnvironmentFault: Memory ran out with a single window on the CPU.
        """
        done: list[np.ndarray] = []
        while len(done) < len(windows):
            part = windows[len(done) : len(done) + self.batch]
            maps = self._attempt(part)
            done += self._with_less(part) if maps is None else maps
        return done

    def _attempt(self, part: Sequence[np.ndarray]) -> list[np.ndarray] | None:
        """Return the maps, or None where memory ran out or the device lacks an operation."""
        try:
            return probabilities(self._network, _batch(part, self._device))
        except (RuntimeError, MemoryError) as error:
            lacking = isinstance(error, NotImplementedError) and self._device.type != "cpu"
            if not (lacking or is_out_of_memory(error)):
                raise
            self._trouble = str(error).partition("\n")[0] or type(error).__name__
            return None

    def _with_less(self, part: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Halve the batch and return nothing; of a single window return the maps, from the CPU."""
        # Not before ``_attempt`` has returned, and the tensors of its traceback are gone, is there memory to free.
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if len(part) > 1:
            self.batch = len(part) // 2
            self._notice(
                f"{len(part)} windows at a time are too many for {self._device} ({self._trouble});"
                f" going on with {self.batch}."
            )
            return []
        if self._device.type == "cpu":
            height, width = part[0].shape[1:]
            raise EnvironmentFault(
                f"Memory ran out on a single window of {height} × {width} px. Choose a smaller --tile, or close other"
                " programs, and run the same command again: what is done is kept."
            )
        return self._on_cpu(part)

    def _on_cpu(self, part: Sequence[np.ndarray]) -> list[np.ndarray]:
        if not self._told_of_cpu:
            self._notice(f"A single window is too much for {self._device} ({self._trouble}); going on on the CPU.")
            self._told_of_cpu = True
        self._network.to("cpu")
        try:
            return probabilities(self._network, _batch(part, torch.device("cpu")))
        finally:
            self._network.to(self._device)


def _batch(windows: Sequence[Float[np.ndarray, "c y x"]], device: torch.device) -> Float[Tensor, "b c y x"]:
    return torch.from_numpy(np.stack(windows)).to(device)


@torch.inference_mode()
def probabilities(network: nn.Module, images: Float[Tensor, "b c y x"]) -> list[Float[np.ndarray, "o y x"]]:
    """Return the probability maps of each image; every output is a sigmoid of its own."""
    return list(torch.sigmoid(network(images).float()).cpu().numpy())
