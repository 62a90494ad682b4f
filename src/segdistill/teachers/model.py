"""``model:FOLDER``: a segdistill model as a teacher, for example one on more channels."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from segdistill.data.labels import output_names
from segdistill.data.normalisation import rule_from_json
from segdistill.errors import EnvironmentFault
from segdistill.files import sha256_file
from segdistill.networks.model import Model, load_model
from segdistill.teachers.contract import NO_HINT, Contract, Hint, Teacher
from segdistill.teachers.request import Request, refuse_sam_only, renamed_channels

_TILE = 2048
"""Images with a longer side are cut into tiles of this side, pixels."""


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


def build_model(request: Request) -> Teacher:
    """Return the teacher at ``model:FOLDER``, the folder of a segdistill model.

    Raises:
        EnvironmentFault: There is no such folder.
        DataError: The model cannot be loaded.
    """
    refuse_sam_only(request, why="a segdistill model is asked as it is")
    if not request.path.is_dir():
        raise EnvironmentFault(f"Teacher {request.name!r}: there is no folder {request.path}. Check the path.")
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
        pixel_size=card.pixel_size,
        labels_seen=card.labels_used,
        note=" ".join(card.notes),
    )
    return ModelTeacher(model, contract, device)
