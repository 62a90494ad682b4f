"""CellSAM's weights: where they are, what is in them, and that all of it is there.

One file holds three networks:

    model_cp.*                        the SAM ViT-B that draws masks
    cellfinder.decode_head.*          the box finder, with a ViT-B encoder of its own
    model.*                           the SAM ViT-B as it was after the box finder's training; unused

Source:
    Modules of github.com/vanvalenlab/cellSAM; their keys are those of the attributes there. The
    file itself is given to registered academics only, so what is expected of it follows from these
    modules (``tests/teachers/official_cellsam_weights.txt``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from transformers import SamConfig, SamModel, SamVisionConfig
from transformers.models.sam.modeling_sam import SamVisionEncoder

from segdistill.errors import DataError, EnvironmentFault
from segdistill.fetch.download import how_to_get
from segdistill.teachers.cellsam_boxes import Boxes, FinderSize
from segdistill.teachers.sam_layout import from_original_layout, with_shared_positions
from segdistill.teachers.sam_sizes import full_size_config
from segdistill.teachers.sam_weights import check_fits
from segdistill.teachers.weight_files import FOLDER, WEIGHTS, fetch_command

FILE = "cellsam_general.pt"
"""The published weights of version 1.2 that anybody's results are compared with."""

_SEGMENTER, _UNUSED, _FINDER = "model_cp.", "model.", "cellfinder.decode_head."
_BACKBONE = "backbone.body."
_VERSION = "cellsam_v1.2"
"""The folder in the archive."""

_THEIR_CACHE = Path(".deepcell", "models")
"""Where the authors' package keeps the weights, below the home folder."""


@dataclass(frozen=True, kw_only=True)
class CellSamSize:
    """The sizes of both networks. What is preset is CellSAM's."""

    sam: SamConfig
    """Of the SAM that draws masks, and of the box finder's encoder."""

    finder: FinderSize
    """Of the box finder."""


def full_cellsam_size() -> CellSamSize:
    """Return the sizes of the published CellSAM."""
    return CellSamSize(sam=full_size_config("sam-vit-b"), finder=FinderSize())


class CellSam(nn.Module):
    """Both networks of CellSAM.

    Args:
        size: Their sizes.
    """

    def __init__(self, size: CellSamSize) -> None:
        super().__init__()
        self.segmenter = SamModel(size.sam)
        self.backbone = SamVisionEncoder(cast("SamVisionConfig", size.sam.vision_config))
        # The box finder reads the tokens before the neck.
        self.backbone.neck = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
        self.boxes = Boxes(size.finder)


def find_cellsam(weights: Path | None) -> Path:
    """Return the file of CellSAM's weights.

    Args:
        weights: The file, or a folder that holds it under its own name. None looks where the authors' own
            package keeps it.

    Raises:
        EnvironmentFault: It is not there; the message says how to get it.
    """
    place = _their_cache() if weights is None else weights
    for path in (place, place / FILE, place / _VERSION / FILE):
        if path.is_file():
            return path
    item, folder = WEIGHTS["cellsam"].item, FOLDER / "cellsam"
    raise EnvironmentFault(
        f"Teacher 'cellsam' needs its weights, about {item.megabytes} MB, and {place} holds no {FILE}."
        f" {how_to_get(item, FOLDER / item.name)} Then run `{fetch_command('cellsam')}`, which gets and unpacks"
        f" them, and name them with --teacher-weights {folder}. Nothing is downloaded without being asked for."
    )


def _their_cache() -> Path:
    try:
        return Path.home() / _THEIR_CACHE
    except RuntimeError:  # there is no home folder
        return _THEIR_CACHE


def build_cellsam(size: CellSamSize, state: Mapping[str, Tensor], *, source: str) -> CellSam:
    """Return a frozen CellSAM with these weights.

    Args:
        size: The architecture that the weights must fit, key by key and shape by shape.
        state: Weights in the published layout.
        source: Where they come from, for messages.

    Raises:
        DataError: A weight is missing, unexpected or of another shape; all are named. Or they are of
            the first release, which had one SAM for both tasks.
    """
    if not any(key.startswith(_SEGMENTER) for key in state):
        raise DataError(
            f"{source} has no weights under {_SEGMENTER!r}: it is not CellSAM of version 1.2, whose masks are drawn"
            f" by a SAM of their own. Get that version: {fetch_command('cellsam')}."
        )
    with torch.device("meta"):
        model = CellSam(size)
    ours = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    unused = {f"{_UNUSED}{key[len('segmenter.') :]}": ours[key] for key in ours if key.startswith("segmenter.")}
    renamed = from_published_layout(state)
    check_fits(ours | unused, renamed, source)
    model.load_state_dict({key: renamed[key].float() for key in ours}, assign=True)
    model.segmenter.tie_weights()
    return model.eval().requires_grad_(False)


def from_published_layout(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the same weights under the names of ``CellSam``.

    What that has no place for keeps its name: the second SAM's weights begin with ``model.``, in
    transformers' layout, and unknown keys pass through.
    """
    parts: dict[str, dict[str, Tensor]] = {"segmenter.": {}, _UNUSED: {}, "backbone.": {}}
    rest: dict[str, Tensor] = {}
    for key, value in state.items():
        finder = key.removeprefix(_FINDER) if key.startswith(_FINDER) else ""
        if finder.startswith(_BACKBONE):
            parts["backbone."][f"image_encoder.{finder.removeprefix(_BACKBONE)}"] = value
        elif finder:
            rest[f"boxes.{finder}"] = value
        elif key.startswith(_SEGMENTER):
            parts["segmenter."][key.removeprefix(_SEGMENTER)] = value
        elif key.startswith(_UNUSED):
            parts[_UNUSED][key.removeprefix(_UNUSED)] = value
        else:
            rest[key] = value
    for prefix, part in parts.items():
        ours = with_shared_positions(from_original_layout(part))
        inner = "vision_encoder." if prefix == "backbone." else ""
        rest |= {f"{prefix}{key.removeprefix(inner)}": value for key, value in ours.items()}
    return rest
