"""A student run by PyTorch."""

import copy
import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import nn

from segdistill.engine.devices import select_device
from segdistill.files import sha256_array
from segdistill.inference.features import features_of
from segdistill.inference.maps import stride_of
from segdistill.inference.predictor import Notice
from segdistill.inference.runner import Runner
from segdistill.networks.model import Model, load_model

__all__ = ["TorchPredictor", "load_model", "set_threads", "torch_predictor", "weights_hash"]

_AT_ONCE = 8
"""Windows per forward pass on a GPU; a CPU is as fast with one."""


@dataclass(frozen=True, eq=False)
class TorchPredictor:
    """A network on its device; see ``Predictor``."""

    network: nn.Module
    """On the device, in evaluation mode."""

    where: torch.device
    """The device."""

    @property
    def stride(self) -> int:
        """Pixels per step of the network's coarsest grid."""
        return stride_of(self.network)

    @property
    def at_once(self) -> int:
        """Windows per forward pass."""
        return 1 if self.where.type == "cpu" else _AT_ONCE

    @property
    def device(self) -> str:
        """The device's name."""
        return str(self.where)

    def run(self, notice: Notice) -> Runner:
        """Return what computes the windows of one image."""
        return Runner(self.network, device=self.where, batch=self.at_once, notice=notice)

    def features(self, block: Float32[np.ndarray, "c y x"]) -> Float64[np.ndarray, " d"] | None:
        """Return the encoder's coarsest features of a block."""
        return features_of(self.network, block, device=self.where)


def torch_predictor(model: Model, device: str, *, notice: Notice) -> TorchPredictor:
    """Return a student that is ready on a device; the caller's stays as it is.

    Args:
        model: The student.
        device: As ``select_device`` takes it.
        notice: Told where "auto" fell back to the CPU.

    Raises:
        EnvironmentFault: The device does not work.
    """
    where = select_device(device, notice=notice)
    return TorchPredictor(copy.deepcopy(model.module).to(where).eval(), where)


def set_threads(number: int) -> None:
    """Let PyTorch compute with so many threads in this process."""
    torch.set_num_threads(number)


def weights_hash(model: Model) -> str:
    """Return the hash of a model's weights file; of a model that was never saved, that of its weights."""
    if model.card.weights_sha256 is not None:
        return model.card.weights_sha256
    digest = hashlib.sha256()
    for name, value in sorted(model.module.state_dict().items()):
        digest.update(f"{name} {sha256_array(value.detach().cpu().double().numpy())}\n".encode())
    return digest.hexdigest()
