"""MedSAM2's image encoder: a tiny one in the layout of the published file, through the same code."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_file

from segdistill.errors import DataError, EnvironmentFault
from segdistill.teachers import TokenTeacher, load_teacher
from segdistill.teachers.hf_folder import encoder_of_state
from segdistill.teachers.medsam2 import KIND, encoder_weights, find_medsam2, full_medsam2_config
from segdistill.teachers.weight_files import WEIGHTS
from segdistill.testing import check_teacher

LISTED = Path(__file__).parent / "official_medsam2_weights.txt"
TINY = transformers.Sam2VisionConfig(
    backbone_config={
        "model_type": "sam2_hiera_det_model",
        "image_size": [64, 64],
        "hidden_size": 8,
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 2, 4, 8],
        "window_size_per_stage": [4, 2, 4, 2],
        "global_attention_blocks": [3],
    },
    backbone_channel_list=[64, 32, 16, 8],
    backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
    fpn_hidden_size=24,
)
THEIR_NAMES = (
    (r"^backbone\.", "trunk."),
    (r"patch_embed\.projection", "patch_embed.proj"),
    (r"layer_norm([12])", r"norm\1"),
    (r"mlp\.proj_in", "mlp.layers.0"),
    (r"mlp\.proj_out", "mlp.layers.1"),
    (r"^(neck\.convs\.\d+)\.", r"\1.conv."),
)
BESIDE = {
    "maskmem_tpos_enc": (7, 1, 1, 64),
    "no_mem_embed": (1, 1, 256),
    "no_mem_pos_enc": (1, 1, 256),
    "no_obj_ptr": (1, 256),
    "no_obj_embed_spatial": (1, 64),
    "mask_downsample.weight": (1, 1, 4, 4),
    "memory_attention.norm.bias": (256,),
    "memory_encoder.out_proj.bias": (64,),
    "sam_prompt_encoder.no_mask_embed.weight": (1, 256),
    "sam_mask_decoder.iou_token.weight": (1, 256),
    "obj_ptr_proj.layers.0.bias": (256,),
    "obj_ptr_tpos_proj.bias": (64,),
}
"""One weight of each part that a SAM 2.1 has beside its encoder (sam2_base.py)."""


def official() -> dict[str, tuple[int, ...]]:
    rows = [line.split() for line in LISTED.read_text().splitlines() if not line.startswith("#")]
    return {key: tuple(map(int, shape.split("x"))) for key, shape in rows}


def published(encoder: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The table of a whole file around an encoder, as the authors saved theirs."""
    state = {key: torch.zeros(shape) for key, shape in BESIDE.items()}
    for key, value in encoder.state_dict().items():
        name = key
        for ours, theirs in THEIR_NAMES:
            name = re.sub(ours, theirs, name)
        state[f"image_encoder.{name}"] = value.clone()
    return state


@pytest.fixture(scope="module")
def encoder(randomise):
    model = transformers.Sam2VisionModel(TINY).eval()
    randomise(dict(model.named_parameters()), seed=1)
    return model.requires_grad_(False)


@pytest.fixture
def folder(encoder, tmp_path):
    torch.save({"model": published(encoder)}, tmp_path / "MedSAM2_latest.pt")
    TINY.save_pretrained(tmp_path)
    return tmp_path


def load(weights, channels=("luma",), **more):
    return load_teacher("medsam2", channels=channels, weights=weights, **more)


def test_the_official_list_is_exactly_our_full_size_encoder():
    listed = official()
    assert len(listed) == 162
    state = {key: torch.zeros(shape) for key, shape in (listed | BESIDE).items()}
    network = encoder_of_state(KIND, full_medsam2_config(), encoder_weights(state, source="list"), source="list")
    count = sum(each.numel() for each in network.parameters())
    assert count == sum(torch.Size(shape).numel() for shape in listed.values()) == 27_219_136


@pytest.mark.parametrize("key", ["trunk.blocks.3.proj.bias", "neck.convs.2.conv.weight", "trunk.pos_embed_window"])
def test_one_weight_less_in_the_official_list_is_missed_by_name(key):
    state = {name: torch.zeros(shape) for name, shape in official().items()}
    del state[f"image_encoder.{key}"]
    ours = re.escape(key.replace("trunk.", "backbone.").replace(".conv.", "."))
    with pytest.raises(DataError, match=f"1 missing: {ours}"):
        encoder_of_state(KIND, full_medsam2_config(), encoder_weights(state, source="list"), source="list")


def test_it_keeps_the_contract_of_every_teacher(folder):
    teacher = load(folder)
    assert isinstance(teacher, TokenTeacher)
    contract = teacher.contract
    assert (contract.outputs, contract.channels, contract.size) == ((), ("luma", "luma", "luma"), 64)
    assert contract.tokens == {"embedding": (16, 24)}
    assert contract.labels_seen is None
    check_teacher(teacher)


def test_its_tokens_are_those_of_the_authors_level_of_16_pixels(folder, encoder):
    # medsam2_infer_3D_CT.py: a grey image drawn out to the square, three times the same, ImageNet's mean and deviation.
    picture = np.random.default_rng(0).random((64, 64), dtype=np.float32)
    mean, deviation = (torch.tensor(each)[:, None, None] for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    inputs = (torch.from_numpy(picture).expand(3, 64, 64) - mean) / deviation
    levels = encoder(inputs[None]).fpn_hidden_states
    (wanted,) = (each for each in levels if each.shape[-1] == 4)
    found = load(folder).tokens(np.stack([picture] * 3), ("embedding",))["embedding"]
    np.testing.assert_allclose(found, wanted[0].permute(1, 2, 0).numpy(), rtol=1e-4, atol=1e-4)
    assert found.std(axis=(0, 1)).max() > 1e-3


def test_a_bare_table_and_safetensors_are_read_too(encoder, tmp_path):
    TINY.save_pretrained(tmp_path)
    torch.save(published(encoder), tmp_path / "bare.pt")
    save_file(published(encoder), tmp_path / "model.safetensors")
    image = np.random.default_rng(1).random((3, 64, 64), dtype=np.float32)
    one, two = (
        load(tmp_path / name).tokens(image, ("embedding",))["embedding"] for name in ("bare.pt", "model.safetensors")
    )
    np.testing.assert_array_equal(one, two)


def test_where_fetching_puts_it_is_where_it_is_looked_for(encoder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = WEIGHTS["medsam2"].folder("medsam2", Path("weights"))
    place.mkdir(parents=True)
    torch.save({"model": published(encoder)}, place / WEIGHTS["medsam2"].item.name)
    assert find_medsam2(None) == place / "MedSAM2_latest.pt"


def test_absent_weights_come_with_the_command(tmp_path):
    with pytest.raises(EnvironmentFault, match=r"holds none\. Run `segdistill weights fetch medsam2`"):
        load(tmp_path)


def test_other_weights_are_refused_by_what_they_hold(tmp_path):
    torch.save(
        {"model": {"image_encoder.pos_embed": torch.zeros(2), "mask_decoder.x": torch.zeros(2)}}, tmp_path / "a.pt"
    )
    with pytest.raises(DataError, match=r"weights that SAM 2 does not have \(mask_decoder\.x\)"):
        load(tmp_path / "a.pt")
    torch.save({"no_mem_embed": torch.zeros(2)}, tmp_path / "b.pt")
    with pytest.raises(DataError, match=r"nothing in image_encoder\."):
        load(tmp_path / "b.pt")


def test_code_in_a_pickle_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path}/ran",))

    torch.save({"model": Evil()}, tmp_path / "MedSAM2_latest.pt")
    with pytest.raises(DataError, match="could run code"):
        load(tmp_path)
    assert not (tmp_path / "ran").exists()
