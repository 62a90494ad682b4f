"""The vision encoders of transformers whose tokens can be taught, and where each keeps its numbers.

Every count is read from the model's own configuration: how many tokens come before those of the
patches (class and register tokens), how wide they are, how many pixels each stands for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from segdistill.errors import DataError, nearest

Placing = Literal["free", "padded", "stretched"]
Number = Callable[[Any], int]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One architecture. The functions take its configuration as transformers holds it."""

    model: str
    """Name of its class in transformers."""

    stride: Number
    """Pixels per token."""

    width: Number
    """Length of a token."""

    before: Number = lambda _: 0
    """Class and register tokens in front of those of the patches."""

    side: Number = lambda config: _one(config.image_size)
    """Side of the square that it was made for, pixels."""

    placing: Placing = "free"
    """How an image is laid before it. ``free``: its longer side fills the size, and the other keeps
    the ratio, for networks that take any grid. ``padded``: so, in the top left corner of a square.
    ``stretched``: drawn out to the square, as its own processor does."""

    black: bool = False
    """Whether what fills up a padded square is black before the image is normalised; else it is zero after."""

    part: str | None = None
    """Name of the encoder's configuration in that of the whole model, where a folder may hold either."""

    renamed: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Patterns of keys of the whole model's weights to what the encoder calls them."""

    built: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Arguments of its class."""

    asked: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Arguments of a forward pass."""

    feature: Callable[[Any], Any] = lambda output: output.last_hidden_state
    """From its output to the tokens: ``1 n d``, or ``1 d y x``."""


def _one(value: Any) -> int:
    """Return a side that transformers keeps as a number or as a pair of equal ones."""
    sides = list(value) if isinstance(value, list | tuple) else [value]
    if len(set(sides)) != 1:
        raise DataError(f"The encoder was made for images of {sides} pixels. Only square ones can be used here.")
    return int(sides[0])


def _patch(config: Any) -> int:
    return _one(config.patch_size)


def _hidden(config: Any) -> int:
    return config.hidden_size


def _sam2_stride(config: Any) -> int:
    return _one(config.backbone_config.image_size) // config.backbone_feature_sizes[-1][0]


def _with_registers(config: Any) -> int:
    return 1 + config.num_register_tokens


_SAM = Kind(
    model="SamVisionModel", stride=_patch, width=lambda config: config.output_channels, placing="padded",
    part="vision_config",
)  # fmt: skip
_SAM2 = Kind(
    model="Sam2VisionModel",
    stride=_sam2_stride,
    width=lambda config: config.fpn_hidden_size,
    side=lambda config: _one(config.backbone_config.image_size),
    placing="stretched",
    part="vision_config",
    renamed=MappingProxyType({r"^vision_encoder\.": ""}),
    feature=lambda output: output.fpn_hidden_states[-1],
)

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "dinov2": Kind(model="Dinov2Model", stride=_patch, width=_hidden, before=lambda _: 1),
        "dinov2_with_registers": Kind(
            model="Dinov2WithRegistersModel", stride=_patch, width=_hidden, before=_with_registers
        ),
        "dinov3_vit": Kind(model="DINOv3ViTModel", stride=_patch, width=_hidden, before=_with_registers),
        "radio": Kind(
            model="RadioModel",
            stride=_patch,
            width=_hidden,
            before=lambda config: config.num_cls_tokens + config.num_registers,
        ),
        "vit": Kind(
            model="ViTModel",
            stride=_patch,
            width=_hidden,
            before=lambda _: 1,
            built=MappingProxyType({"add_pooling_layer": False}),
            asked=MappingProxyType({"interpolate_pos_encoding": True}),
        ),
        "swin": Kind(
            model="SwinModel",
            stride=lambda config: _patch(config) * 2 ** (len(config.depths) - 1),
            width=lambda config: config.embed_dim * 2 ** (len(config.depths) - 1),
            placing="padded",
            built=MappingProxyType({"add_pooling_layer": False}),
        ),
        "sam": _SAM,
        "sam_vision_model": _SAM,
        "sam2": _SAM2,
        "sam2_video": _SAM2,
        "sam2_vision_model": _SAM2,
    }
)
"""By the ``model_type`` of a folder's config.json."""


def kind_of(description: Mapping[str, Any], *, source: str) -> Kind:
    """Return the architecture that a config.json describes.

    Args:
        description: What the file says.
        source: The file, for the message.

    Raises:
        DataError: It is of no known architecture.

    >>> kind_of({"model_type": "dinov2"}, source="config.json").model
    'Dinov2Model'
    """
    name = str(description.get("model_type"))
    if name in KINDS:
        return KINDS[name]
    own = " It asks for code of its own (auto_map), which is never run." if "auto_map" in description else ""
    raise DataError(
        f"{source} describes a model of type {name!r}, of which it is not known here where its patch tokens are.{own}"
        f"{nearest(name, KINDS)} Known: {', '.join(KINDS)}."
    )
