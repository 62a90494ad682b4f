"""``medsam2``: the image encoder of MedSAM2, a small SAM 2.1, as a teacher of features, from its authors' own file.

The file holds a table ``model`` of the whole network:

    image_encoder.trunk.*    image_encoder.neck.*    the Hiera and the pyramid that are asked here
    memory_*, sam_*, obj_ptr_* and others            what prompts, tracks and draws masks; left out

Its tokens are those of the pyramid's level of 16 pixels, which the authors call vision_features. The files of SAM 2 and
SAM 2.1 by their own authors have the same layout, and those of the smallest size are read too.

Source:
    Ma et al. 2025, MedSAM2, arXiv:2504.03600; Ravi et al. 2024, SAM 2, arXiv:2408.00714. The layout: hieradet.py,
    image_encoder.py and configs/sam2.1/sam2.1_hiera_t.yaml of github.com/facebookresearch/sam2 (Apache-2.0). Size,
    mean and deviation: medsam2_infer_3D_CT.py of github.com/bowang-lab/MedSAM2, commit 56a9df6c.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor
from transformers import Sam2VisionConfig

from segdistill.errors import DataError
from segdistill.teachers.contract import Teacher
from segdistill.teachers.hf import refuse_options, teacher_of
from segdistill.teachers.hf_folder import Processing, encoder_of_state
from segdistill.teachers.hf_kinds import KINDS
from segdistill.teachers.request import Request
from segdistill.teachers.sam_weights import read_tensors, weights_file, weights_hash
from segdistill.teachers.weight_files import FOLDER, WEIGHTS, fetch_command

KIND = KINDS["sam2_vision_model"]
SIDE = 512
"""Of the square that it saw while it was trained, pixels."""

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_ENCODER = "image_encoder."
_BESIDE = re.compile(
    r"(memory_attention|memory_encoder|sam_prompt_encoder|sam_mask_decoder|obj_ptr_proj|obj_ptr_tpos_proj"
    r"|mask_downsample)\.|(maskmem_tpos_enc|no_mem_embed|no_mem_pos_enc|no_obj_ptr|no_obj_embed_spatial)$"
)
"""What a whole SAM 2 has beside its encoder."""

_RENAMED = (
    (r"^trunk\.", "backbone."),
    (r"patch_embed\.proj\.", "patch_embed.projection."),
    (r"\.norm([12])\.", r".layer_norm\1."),
    (r"\.mlp\.layers\.0\.", ".mlp.proj_in."),
    (r"\.mlp\.layers\.1\.", ".mlp.proj_out."),
    (r"^(neck\.convs\.\d+)\.conv\.", r"\1."),
)
"""What the authors call the encoder's weights to what transformers calls them."""


def full_medsam2_config(side: int = SIDE) -> Sam2VisionConfig:
    """Return the architecture of the published encoder.

    Args:
        side: Of the square that it sees, pixels, a multiple of 32.
    """
    grids = [[side // stride] * 2 for stride in (4, 8, 16)]
    return Sam2VisionConfig(
        backbone_config={"model_type": "sam2_hiera_det_model", "image_size": [side, side]},
        backbone_feature_sizes=grids,
    )


def build_medsam2(request: Request) -> Teacher:
    """Return MedSAM2's image encoder as a teacher of features.

    A file of another size of SAM 2 is read where a config.json of its encoder (a ``sam2_vision_model``) lies beside it.

    Raises:
        EnvironmentFault: Its weights are not here; the message says how to get them.
        DataError: They are damaged, a pickle of more than tensors, or not those of such a SAM 2.
        ConfigError: The channels or an option do not suit it.
    """
    refuse_options(replace(request, weights=None))
    path = find_medsam2(request.weights)
    state = encoder_weights(read_tensors(path), source=str(path))
    return teacher_of(
        encoder_of_state(KIND, _config(path), state, source=str(path)),
        KIND,
        request,
        weights_sha256=weights_hash(path),
        licence=WEIGHTS["medsam2"].licence,
        processing=Processing(mean=_MEAN, deviation=_DEVIATION, size=None),
    )


def find_medsam2(weights: Path | None) -> Path:
    """Return the file of MedSAM2's weights.

    Args:
        weights: The file, or the folder that holds it. None looks where ``segdistill weights fetch`` puts it.

    Raises:
        EnvironmentFault: It is not there; the message says how to get it.
    """
    place = weights or FOLDER / "medsam2"
    item = WEIGHTS["medsam2"].item
    missing = (
        f"Teacher 'medsam2' needs its weights, about {item.megabytes} MB, and {place} holds none. Run"
        f" `{fetch_command('medsam2')}`, or get {item.address} by hand, and name the file or its folder with"
        " --teacher-weights. Nothing is downloaded without being asked for."
    )
    return weights_file(place, missing=missing, others=(item.name,))


def encoder_weights(state: Mapping[str, Tensor], *, source: str) -> dict[str, Tensor]:
    """Return the weights of the image encoder, under the names that transformers knows.

    Args:
        state: All weights of the published file.
        source: Where they come from, for messages.

    Raises:
        DataError: They are not those of a SAM 2.

    >>> import torch
    >>> list(encoder_weights({"image_encoder.neck.convs.0.conv.bias": torch.zeros(2)}, source="file"))
    ['neck.convs.0.bias']
    """
    strange = sorted(key for key in state if not key.startswith(_ENCODER) and not _BESIDE.match(key))
    own = {key.removeprefix(_ENCODER): value for key, value in state.items() if key.startswith(_ENCODER)}
    if strange or not own:
        found = f"weights that SAM 2 does not have ({', '.join(strange[:3])})" if strange else f"nothing in {_ENCODER}"
        raise DataError(f"{source} holds {found}. Get the file of MedSAM2: {fetch_command('medsam2')}.")
    return {_renamed(key): value for key, value in own.items()}


def _renamed(key: str) -> str:
    for theirs, ours in _RENAMED:
        key = re.sub(theirs, ours, key)
    return key


def _config(path: Path) -> Sam2VisionConfig:
    beside = path.parent / "config.json"
    if not beside.is_file():
        return full_medsam2_config()
    try:
        return Sam2VisionConfig.from_dict(json.loads(beside.read_text("utf-8")))
    except ValueError as error:
        raise DataError(f"{beside} does not describe the encoder of a SAM 2: {error}.") from error
