"""``hf:FOLDER`` or ``hf:OWNER/NAME``: a vision encoder of transformers as a teacher of features."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from torch import Tensor, nn

from segdistill.data.normalisation import PercentileRule
from segdistill.errors import ConfigError, DataError, ShapeError
from segdistill.teachers.contract import NO_HINT, Contract, Hint, Teacher
from segdistill.teachers.hf_folder import (
    Processing,
    build_encoder,
    find_folder,
    licence_of,
    read_config,
    read_processing,
    weights_identity,
)
from segdistill.teachers.hf_kinds import Kind, Placing, kind_of
from segdistill.teachers.request import Request
from segdistill.teachers.sam import rgb_channels

EMBEDDING = "embedding"
"""Name of the token grid: the encoder's last layer, without class and register tokens."""


@dataclass(frozen=True, eq=False)
class HfTeacher:
    """A frozen vision encoder. It gives tokens and no maps.

    Args:
        model: In evaluation mode, on its device, in the contract's precision.
        contract: What it takes and gives.
        kind: Its architecture.
    """

    model: nn.Module
    contract: Contract
    kind: Kind

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
        """Return the token grid ``embedding``, of the patches that lie on the image.

        Raises:
            ConfigError: Another one is asked for.
            ShapeError: The image has another number of channels.
            DataError: The network gives other tokens than its configuration says.
        """
        if set(names) - {EMBEDDING}:
            raise ConfigError(f"Teacher {self.contract.name!r} has the tokens {EMBEDDING}, not {', '.join(names)}.")
        return {name: self._embedding(image).float().cpu().numpy() for name in names}

    def _embedding(self, image: Float[np.ndarray, "c y x"]) -> Float[Tensor, "_ _ d"]:
        stride, width = self.contract.tokens[EMBEDDING]
        pixels, on_image = self._prepare(image, stride)
        grid = (pixels.shape[2] // stride, pixels.shape[3] // stride)
        found = self.kind.feature(self.model(pixels, **self.kind.asked))
        if found.ndim == 3:
            before = self.kind.before(self.model.config)
            wanted = (1, before + grid[0] * grid[1], width)
            patches = found[0, before:]
        else:
            wanted = (1, width, *grid)
            patches = found[0].flatten(1).T
        if tuple(found.shape) != wanted:
            raise DataError(
                f"Teacher {self.contract.name!r} gave tokens of shape {tuple(found.shape)}, but its configuration says"
                f" {wanted}. The files of its folder do not belong together."
            )
        return patches.reshape(*grid, width)[: on_image[0], : on_image[1]]

    def _prepare(
        self, image: Float[np.ndarray, "c y x"], stride: int
    ) -> tuple[Float[Tensor, "1 c _ _"], tuple[int, int]]:
        """Return the network's input, and how many tokens (y, x) lie on the image."""
        contract = self.contract
        if len(image) != len(contract.channels):
            raise ShapeError(
                f"Teacher {contract.name!r} takes an image of {len(contract.channels)} channels, but this one has"
                f" {len(image)}. Name as many."
            )
        side = _side(contract)
        scaled = scaled_shape(image.shape[1:], side=side, stride=stride, placing=self.kind.placing)
        weight = next(self.model.parameters())
        pixels = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)).to(weight.device)[None]
        pixels = F.interpolate(pixels, scaled, mode="bilinear", antialias=True, align_corners=False)
        filled = (0, side - scaled[1], 0, side - scaled[0]) if self.kind.placing == "padded" else (0, 0, 0, 0)
        if self.kind.black:
            pixels, filled = F.pad(pixels, filled), (0, 0, 0, 0)
        if contract.mean:
            mean, deviation = (
                torch.tensor(each, device=weight.device).reshape(1, -1, 1, 1)
                for each in (contract.mean, contract.deviation)
            )
            pixels = (pixels - mean) / deviation
        pixels = F.pad(pixels, filled)
        return pixels.to(weight.dtype), (scaled[0] // stride, scaled[1] // stride)


def scaled_shape(original: tuple[int, ...], *, side: int, stride: int, placing: Placing) -> tuple[int, int]:
    """Return the size (y, x) that an image is brought to: whole tokens, so that the grid covers it exactly.

    Args:
        original: Size of the image (y, x), pixels.
        side: That its longer side becomes, pixels; a multiple of the stride.
        stride: Pixels per token.
        placing: See ``Kind``. Where the ratio is kept, it is so to half a token.

    >>> scaled_shape((600, 1200), side=518, stride=14, placing="free")
    (266, 518)
    >>> scaled_shape((600, 1200), side=1024, stride=16, placing="stretched")
    (1024, 1024)
    """
    if placing == "stretched":
        return side, side
    height, width = (max(int(length * side / max(original) / stride + 0.5), 1) * stride for length in original)
    return height, width


def build_hf(request: Request) -> Teacher:
    """Return the vision encoder in a folder, or in the hub's cache, as a teacher of features.

    Raises:
        EnvironmentFault: It is not here; the message says how to get it.
        DataError: It is of no known architecture, damaged, or a pickle.
        ConfigError: Channels or an option do not suit it.
    """
    refuse_options(request)
    folder = find_folder(request.name.partition(":")[2], download=request.options.download)
    description = read_config(folder)
    kind = kind_of(description, source=str(folder / "config.json"))
    identity = weights_identity(folder)
    model = build_encoder(folder, kind, description)
    count = getattr(model.config, "num_channels", 3)
    processing = read_processing(folder, channels=count, inside=hasattr(model, "input_conditioner"))
    return teacher_of(model, kind, request, weights_sha256=identity, licence=licence_of(folder), processing=processing)


def teacher_of(
    model: nn.Module, kind: Kind, request: Request, *, weights_sha256: str, licence: str, processing: Processing
) -> HfTeacher:
    """Return a frozen encoder as a teacher of features, on the request's device and in its precision.

    Args:
        model: The encoder.
        kind: Its architecture.
        request: What is asked of it: channels, size, precision, device.
        weights_sha256: Of what decides its features.
        licence: Of its weights.
        processing: How it wants its pixels.

    Raises:
        ConfigError: Channels or size do not suit it.
    """
    config: Any = model.config
    nn.Module.to(model, torch.device(request.device), getattr(torch, request.options.precision))
    stride = kind.stride(config)
    contract = Contract(
        name=request.name,
        channels=_channels(request, getattr(config, "num_channels", 3)),
        rule=PercentileRule(),
        outputs=(),
        weights_sha256=weights_sha256,
        licence=licence,
        size=native_size(request, kind, config, processing.size),
        stride=stride,
        tokens={EMBEDDING: (stride, kind.width(config))},
        precision=request.options.precision,
        mean=processing.mean,
        deviation=processing.deviation,
        note="Encoder: it gives features and no maps.",
    )
    return HfTeacher(model, contract, kind)


def refuse_options(request: Request) -> None:
    """Refuse what an encoder cannot be asked with, so that no option is silently ignored.

    Raises:
        ConfigError: Prompting, weights or a probe was given.
    """
    given = {"prompting": request.prompting, "weights": request.weights, "probe": request.options.probe}
    named = [f"{option} {value}" for option, value in given.items() if value is not None]
    if named:
        raise ConfigError(
            f"Teacher {request.name!r} takes no {', '.join(named)}: an encoder is asked as it is, with the weights in"
            " its folder. Leave that out."
        )


def _channels(request: Request, count: int) -> tuple[str, ...]:
    """Return the channels that it is given: of three, one or two may be named, as for a SAM."""
    names = request.channels
    if names is not None and count == 3:
        return rgb_channels(names, teacher=request.name)
    if names is None or len(names) != count:
        found = "no channel" if not names else f"{len(names)} channels ({', '.join(names)})"
        raise ConfigError(
            f"Teacher {request.name!r} takes {count} channels, but was given {found}. Name them, for example"
            " --teacher-channels nucleus membrane."
        )
    return names


def native_size(request: Request, kind: Kind, config: Any, stated: int | None) -> int:
    """Return the side that images are brought to: asked for, or its processor's, or what it was made for.

    Args:
        request: May ask for a size.
        kind: The architecture.
        config: Its configuration as transformers holds it.
        stated: What its processor says, pixels; None: nothing.

    Raises:
        ConfigError: It sees no images of the size that is asked for.
    """
    asked, made_for, stride = request.options.size, kind.side(config), kind.stride(config)
    if kind.placing != "free":
        if asked not in {None, made_for}:
            raise ConfigError(
                f"Teacher {request.name!r} sees squares of {made_for} pixels and no others, but size is {asked}."
                " Leave that out."
            )
        return made_for
    side = asked or stated or made_for
    if side % stride:
        raise ConfigError(
            f"Teacher {request.name!r} would see {side} pixels, which is no multiple of its patch of {stride}."
            f" Choose a size such as {max(round(side / stride), 1) * stride}."
        )
    return side


def _side(contract: Contract) -> int:
    return contract.size or contract.stride
