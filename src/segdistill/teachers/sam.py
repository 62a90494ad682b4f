"""SAM as a teacher: one encoder pass per image, then one of four ways of asking."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import SamModel

from segdistill.data.labels import Structure, output_names
from segdistill.errors import ConfigError, DataError, ShapeError
from segdistill.teachers.contract import NO_HINT, Contract, Hint
from segdistill.teachers.sam_image import Square, place, to_square
from segdistill.teachers.sam_prompts import Encoded, Grid, boxes, grid, tuned
from segdistill.teachers.sam_sizes import encoder_of

EMBEDDING = "embedding"
"""Name of the token grid that the encoder's neck gives."""

Ask = Callable[[Encoded, Hint], Float[Tensor, "k y x"]]
"""How maps are got from an encoded image."""


@dataclass(frozen=True, eq=False)
class SamTeacher:
    """A frozen SAM and a way of asking it.

    Args:
        model: In evaluation mode, on its device, in the contract's precision.
        contract: What it takes and gives.
        ask: From an encoded image to probabilities, one map per output of the contract.
    """

    model: SamModel
    contract: Contract
    ask: Ask

    @property
    def parameters(self) -> int:
        """All of its weights."""
        return sum(each.numel() for each in self.model.parameters())

    @property
    def encoder_parameters(self) -> int:
        """Weights of the encoder alone, which its tokens come from."""
        return sum(each.numel() for each in self.model.vision_encoder.parameters())

    @torch.inference_mode()
    def maps(self, image: Float[np.ndarray, "c y x"], hint: Hint = NO_HINT) -> Float[np.ndarray, "k y x"]:
        """Return probabilities on the image's grid; see ``Teacher``."""
        return self.ask(encode(self.model, image), hint).float().cpu().numpy()

    @torch.inference_mode()
    def tokens(
        self, image: Float[np.ndarray, "c y x"], names: tuple[str, ...]
    ) -> dict[str, Float[np.ndarray, "_ _ _"]]:
        """Return token grids by name: ``embedding`` of the neck, ``hidden.N`` after block N, counted from 1.

        Grids are cut to the tokens that lie on the image; the padding has none.

        Raises:
            ConfigError: There is no such token grid.
        """
        unknown = [name for name in names if name not in self.contract.tokens]
        if unknown:
            raise ConfigError(
                f"Teacher {self.contract.name!r} has no tokens called {', '.join(unknown)}."
                f" It has: {', '.join(self.contract.tokens)}."
            )
        grids = token_grids(self.model, image)
        return {name: grids[name].float().cpu().numpy() for name in names}


def encode(model: SamModel, image: Float[np.ndarray, "c y x"]) -> Encoded:
    """Return an image as the encoder sees it.

    Args:
        model: Any SAM; its device and precision are used.
        image: Three channels, 0…1.

    Raises:
        ShapeError: The image has not three channels.
    """
    pixels, square = _prepare(model, image)
    return Encoded(model, model.get_image_embeddings(pixels), square)


def token_grids(model: SamModel, image: Float[np.ndarray, "c y x"]) -> dict[str, Float[Tensor, "_ _ _"]]:
    """Return every token grid of an image by name, cut to the tokens that lie on it."""
    pixels, square = _prepare(model, image)
    seen = model.vision_encoder(pixels, output_hidden_states=True)
    encoder = encoder_of(model.config)
    height, width = (-(-length // encoder.patch) for length in square.scaled)
    # transformers puts the patch embedding first where it records it: the blocks are the last ones.
    blocks = seen.hidden_states[-encoder.blocks :]
    grids = {f"hidden.{number}": block[0, :height, :width] for number, block in enumerate(blocks, start=1)}
    return {EMBEDDING: seen.last_hidden_state[0].permute(1, 2, 0)[:height, :width], **grids}


def token_shapes(model: SamModel) -> dict[str, tuple[int, int]]:
    """Return (stride, width) of every token grid that ``token_grids`` gives."""
    encoder = encoder_of(model.config)
    blocks = {f"hidden.{number}": (encoder.patch, encoder.width) for number in range(1, encoder.blocks + 1)}
    return {EMBEDDING: (encoder.patch, encoder.neck), **blocks}


def global_layers(model: SamModel) -> tuple[str, ...]:
    """Return the names of the token grids after the blocks that see the whole square at once, shallowest first."""
    return tuple(f"hidden.{block + 1}" for block in encoder_of(model.config).global_blocks)


def _prepare(model: SamModel, image: Float[np.ndarray, "c y x"]) -> tuple[Float[Tensor, "1 3 side side"], Square]:
    if len(image) != 3:
        raise ShapeError(f"SAM takes an image of three channels, but this one has {len(image)}. Name three.")
    square = place(image.shape[1:], encoder_of(model.config).side)
    pixels = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)).to(model.device)
    return to_square(pixels, square).to(model.dtype), square


def rgb_channels(channels: tuple[str, ...], *, teacher: str) -> tuple[str, str, str]:
    """Return which channel goes into red, green and blue.

    One is replicated. Of two the first is the nuclear one and the second the membrane's:
    (blank, nucleus, membrane). Three are taken as they come.

    Source:
        CellSAM's layout of tissue images.

    Raises:
        ConfigError: There are none, or more than three.

    >>> rgb_channels(("DAPI", "E-cadherin"), teacher="sam-vit-h")
    ('blank', 'DAPI', 'E-cadherin')
    """
    match channels:
        case (only,):
            return (only, only, only)
        case (nucleus, membrane):
            return ("blank", nucleus, membrane)
        case (red, green, blue):
            return (red, green, blue)
    raise ConfigError(
        f"Teacher {teacher!r} takes one, two or three channels, but was given {len(channels)}"
        f" ({', '.join(channels) or 'none'}). Name them, for example --teacher-channels nucleus membrane."
    )


def ask_tuned(outputs: int) -> Ask:
    """Return the prompt-free way of asking."""
    return lambda encoded, _: tuned(encoded, outputs)


def ask_grid(settings: Grid, outputs: int) -> Ask:
    """Return the way of asking by a grid of points.

    Args:
        settings: The points and the filters.
        outputs: 1 for the foreground, 2 for the foreground and the inner boundary.
    """
    return lambda encoded, _: grid(encoded, settings)[:outputs]


def ask_boxes(structures: tuple[Structure, ...]) -> Ask:
    """Return the way of asking by the boxes of the labels.

    Raises (when asked):
        DataError: The image's labels lack a structure.
    """

    def ask(encoded: Encoded, hint: Hint) -> Tensor:
        for structure in structures:
            _check_labels(hint, structure.name, encoded.square.original)
        return torch.cat([boxes(encoded, hint.labels[structure.name]) for structure in structures])

    return ask


def boxes_outputs(structures: tuple[Structure, ...]) -> tuple[str, ...]:
    """Return the outputs of a SAM that is asked by boxes.

    Raises:
        ConfigError: A structure has no instances, so no boxes.
    """
    whole = [structure.name for structure in structures if not structure.instances]
    if whole:
        raise ConfigError(
            f"Prompting 'boxes' draws one box per object, but {', '.join(whole)} has no instances."
            " Use grid, probe or a tuned teacher."
        )
    return output_names(structures)


def grid_outputs(structures: tuple[Structure, ...]) -> tuple[str, ...]:
    """Return the outputs of a SAM that is asked by a grid of points.

    Raises:
        ConfigError: There are several structures, which a grid cannot tell apart.
    """
    if len(structures) != 1:
        names = ", ".join(structure.name for structure in structures) or "none"
        raise ConfigError(
            f"Prompting 'grid' cannot tell structures apart, but there are {len(structures)} ({names})."
            " Use boxes, probe or a tuned teacher, or keep one structure."
        )
    return output_names(structures)


def _check_labels(hint: Hint, structure: str, shape: tuple[int, int]) -> None:
    case = hint.case or "without a name"
    if structure not in hint.labels:
        raise DataError(
            f"Case {case} has no labels for {structure!r}, but prompting 'boxes' draws its boxes from them."
            " Use grid or a tuned teacher where there are no labels."
        )
    found = hint.labels[structure].shape
    if found != shape:
        raise ShapeError(f"Case {case}: the labels of {structure!r} are {found} (y, x), but the image is {shape}.")
