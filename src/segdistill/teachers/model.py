"""``model:FOLDER``: a segdistill model as a teacher, for example one on more channels."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import nn

from segdistill.data.labels import output_names
from segdistill.data.normalisation import rule_from_json
from segdistill.errors import ConfigError
from segdistill.files import sha256_file
from segdistill.networks.last_layer import last_convolution, scores_and_features
from segdistill.networks.model import Model, load_model
from segdistill.teachers.contract import NO_HINT, Contract, Hint, Teacher
from segdistill.teachers.request import Request, refuse_sam_only, renamed_channels

_TILE = 2048
"""Images with a longer side are cut into tiles of this side, pixels."""

FEATURES = "features"
"""Name of the token grid of what the network's last convolution sees, averaged over squares."""

_SQUARE = 4
"""Side of these squares, pixels."""


@dataclass(frozen=True, eq=False)
class ModelTeacher:
    """A segdistill model; its network pads to its own stride."""

    model: Model
    contract: Contract
    device: torch.device

    @property
    def parameters(self) -> int:
        """All of its weights."""
        return sum(each.numel() for each in self.model.module.parameters())

    @torch.inference_mode()
    def maps(self, image: Float[np.ndarray, "c y x"], hint: Hint = NO_HINT) -> Float[np.ndarray, "k y x"]:  # noqa: ARG002
        """Return probabilities on the image's grid; see ``Teacher``."""
        pixels = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)).to(self.device)
        return torch.sigmoid(self.model.module(pixels[None])[0].float()).cpu().numpy()

    @torch.inference_mode()
    def tokens(
        self, image: Float[np.ndarray, "c y x"], names: tuple[str, ...]
    ) -> dict[str, Float[np.ndarray, "_ _ _"]]:
        """Return the token grid ``features``: of what scores are made, averaged over squares of 4 × 4 pixels.

        Raises:
            ConfigError: There is no such token grid.
        """
        unknown = [name for name in names if name not in self.contract.tokens]
        if unknown:
            have = ", ".join(self.contract.tokens) or "none"
            raise ConfigError(
                f"Teacher {self.contract.name!r} has no tokens called {', '.join(unknown)}. It has: {have}."
            )
        pixels = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)).to(self.device)
        _, features = scores_and_features(self.model.module, pixels[None])
        grid = F.avg_pool2d(features.float(), _SQUARE, ceil_mode=True, count_include_pad=False)
        return dict.fromkeys(names, grid[0].permute(1, 2, 0).cpu().numpy())


def build_model(request: Request) -> Teacher:
    """Return the teacher at ``model:FOLDER``, the folder of a segdistill model.

    Raises:
        ConfigError: There is no such folder.
        DataError: The model cannot be loaded.
    """
    refuse_sam_only(request, why="a segdistill model is asked as it is")
    if not request.path.is_dir():
        raise ConfigError(f"Teacher {request.name!r}: there is no folder {request.path}. Check the path.")
    model = load_model(request.path)
    card = model.card
    device = torch.device(request.device)
    model.module.to(device).eval().requires_grad_(False)
    contract = Contract(
        name=request.name,
        channels=renamed_channels(request, card.channels),
        rule=rule_from_json(card.normalisation),
        outputs=output_names(card.structures),
        weights_sha256=sha256_file(request.path / "model.safetensors"),
        licence="; ".join(card.licences) or "unknown",
        tile=_TILE,
        tokens=token_shapes(model.module),
        pixel_size=card.pixel_size,
        labels_seen=card.labels_used,
        note=" ".join(card.notes),
    )
    return ModelTeacher(model, contract, device)


def token_shapes(network: nn.Module) -> Mapping[str, tuple[int, int]]:
    """Return (stride, width) of the token grid that a network gives; empty where it has no last convolution."""
    found = last_convolution(network)
    return {} if found is None else {FEATURES: (_SQUARE, found[1].in_channels)}
