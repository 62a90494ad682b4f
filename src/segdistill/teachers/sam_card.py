"""What a file of tuned SAM weights says about itself, in its own header."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from transformers import SamConfig, SamModel

from segdistill.errors import DataError
from segdistill.files import whole_file

_KEY = "segdistill"


class SamCard(BaseModel):
    """A SAM that was tuned to answer without a prompt: one mask per output.

    It travels in the metadata of the safetensors file, so that weights and description cannot part.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    """Version of this description."""

    config: dict[str, Any]
    """Keyword arguments of transformers' ``SamConfig``."""

    channels: tuple[str, ...]
    """Channels it was tuned on, in order; ``blank`` stands for zeros."""

    outputs: tuple[str, ...]
    """What its masks mean, in order."""

    labels_seen: int
    """Labelled images that it was tuned on."""

    licence: str
    """Licence of the weights."""

    tile: int | None = None
    """Images with a longer side are cut into tiles of this side, pixels; None: never cut."""

    pixel_size: float | None = None
    """Pixel size it was tuned at, micrometres; None: it does not matter."""

    note: str = ""
    """What a reader of its results must know."""

    provenance: dict[str, Any] = {}
    """How it was made: data, seeds, steps, scores."""


def read_card(path: Path) -> SamCard | None:
    """Return the card in a safetensors file, or None if it has none.

    Raises:
        DataError: The file is damaged, or its card is of another format.
    """
    try:
        with safe_open(path, framework="pt") as weights:
            text = (weights.metadata() or {}).get(_KEY)
    except SafetensorError as error:
        raise DataError(f"{path} is not a whole safetensors file: {error}. Copy or download it again.") from error
    if text is None:
        return None
    try:
        return SamCard.model_validate_json(text)
    except ValidationError as error:
        raise DataError(
            f"{path} holds a description that this version cannot read: {error}. It reads format 1; update segdistill."
        ) from error


def save_sam(path: Path, model: SamModel, card: SamCard) -> None:
    """Write weights and card as one safetensors file, whole or not at all.

    The weights are written in the precision they have. The position table that two modules share
    is written once.
    """
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    state.pop("prompt_encoder.shared_embedding.positional_embedding", None)
    with whole_file(path) as partial:
        save_file(state, partial, metadata={"format": "pt", _KEY: card.model_dump_json()})


def card_config(card: SamCard) -> SamConfig:
    """Return the architecture that a card describes."""
    return SamConfig(**card.config)


def config_to_card(config: SamConfig) -> dict[str, Any]:
    """Return the part of a configuration that defines the architecture, for ``SamCard.config``."""
    keep = {
        "vision_config": (
            "hidden_size",
            "output_channels",
            "num_hidden_layers",
            "num_attention_heads",
            "image_size",
            "patch_size",
            "window_size",
            "global_attn_indexes",
            "num_pos_feats",
            "mlp_dim",
            "initializer_range",
        ),
        "prompt_encoder_config": ("hidden_size", "image_size", "patch_size", "mask_input_channels"),
        "mask_decoder_config": (
            "hidden_size",
            "mlp_dim",
            "num_hidden_layers",
            "num_attention_heads",
            "attention_downsample_rate",
            "num_multimask_outputs",
            "iou_head_depth",
            "iou_head_hidden_dim",
            "layer_norm_eps",
        ),
    }
    plain = config.to_dict()
    return {part: {name: plain[part][name] for name in names} for part, names in keep.items()}
