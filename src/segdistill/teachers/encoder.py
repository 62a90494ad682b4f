"""``encoder:FOLDER``: an encoder that `segdistill pretrain` or `agglomerate` made, as a teacher of features."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float32

from segdistill.data.normalisation import rule_from_json
from segdistill.errors import ConfigError
from segdistill.networks.build import build_student
from segdistill.networks.encoder_folder import EncoderCard, read_encoder
from segdistill.networks.tokens import TokenEncoder, token_encoder
from segdistill.teachers.contract import NO_HINT, Contract, Hint, Teacher
from segdistill.teachers.hf import EMBEDDING
from segdistill.teachers.request import Request, refuse_sam_only, renamed_channels


@dataclass(frozen=True, eq=False)
class EncoderTeacher:
    """A frozen encoder. It sees images of any size as they are, gives its last grid as tokens, and no maps."""

    model: TokenEncoder
    contract: Contract
    card: EncoderCard
    """Of its folder."""

    @property
    def parameters(self) -> int:
        """All of its weights."""
        return sum(each.numel() for each in self.model.parameters())

    def maps(self, image: Float[np.ndarray, "c y x"], hint: Hint = NO_HINT) -> Float32[np.ndarray, "0 y x"]:  # noqa: ARG002
        """Return no map, for it knows of no structure; see ``Teacher``."""
        return np.zeros((0, *image.shape[1:]), np.float32)

    @torch.inference_mode()
    def tokens(
        self, image: Float[np.ndarray, "c y x"], names: tuple[str, ...]
    ) -> dict[str, Float[np.ndarray, "_ _ _"]]:
        """Return the token grid ``embedding``: one for each started square of its stride.

        Raises:
            ConfigError: Another one is asked for.
            ShapeError: The image has another number of channels.
        """
        if set(names) - {EMBEDDING}:
            raise ConfigError(f"Teacher {self.contract.name!r} has the tokens {EMBEDDING}, not {', '.join(names)}.")
        device = next(self.model.parameters()).device
        pixels = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)).to(device)
        return {name: self.model(pixels[None])[0].permute(1, 2, 0).float().cpu().numpy() for name in names}

    def drawn_anew(self, seed: int) -> "EncoderTeacher":
        """Return the same network with weights that nobody trained."""
        device = next(self.model.parameters()).device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            fresh = _network(self.card)
        return replace(self, model=fresh.to(device).eval().requires_grad_(False))


def build_encoder_teacher(request: Request) -> Teacher:
    """Return the encoder in a folder as a teacher of features.

    Raises:
        ConfigError: There is no such folder, it takes another number of channels, or an option does not suit it.
        DataError: It is damaged, or holds no encoder.
    """
    refuse_sam_only(request, why="an encoder is asked as it is")
    if not request.path.is_dir():
        raise ConfigError(f"Teacher {request.name!r}: there is no folder {request.path}. Check the path.")
    card = read_encoder(request.path)
    model = _network(card, request)
    contract = Contract(
        name=request.name,
        channels=renamed_channels(request, card.channels),
        rule=rule_from_json(card.normalisation),
        outputs=(),
        weights_sha256=card.weights_sha256,
        licence="; ".join(card.licences) or "unknown",
        stride=model.stride,
        tokens={EMBEDDING: (model.stride, model.width)},
        labels_seen=card.labels_used,
        note=" ".join((f"Encoder: {card.how}.", *card.notes)),
    )
    return EncoderTeacher(model.to(torch.device(request.device)).eval().requires_grad_(False), contract, card)


def _network(card: EncoderCard, request: Request | None = None) -> TokenEncoder:
    """Return the network that a card describes: with the weights in a folder, or with drawn ones."""
    weights = None if request is None else request.path
    student = build_student(card.architecture, channels=len(card.channels), outputs=1, encoder_weights=weights)
    return token_encoder(student)
