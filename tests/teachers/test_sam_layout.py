from pathlib import Path

import pytest
import torch
from transformers import SamModel

from segdistill.teachers.sam_layout import from_original_layout, is_original_layout, with_shared_positions
from segdistill.teachers.sam_sizes import FULL_SIZE, full_size_config

LISTED = Path(__file__).parent / "official_sam_weights.txt"


def official(name):
    rows = [line.split() for line in LISTED.read_text().splitlines() if line.startswith(f"{name} ")]
    return {key: tuple(int(length) for length in shape.split("x")) for _, key, shape in rows}


@pytest.mark.parametrize(("name", "keys"), [("sam-vit-b", 314), ("sam-vit-l", 482), ("sam-vit-h", 594)])
def test_official_checkpoints_are_exactly_our_full_size_models(name, keys):
    listed = official(name)
    assert len(listed) == keys
    with torch.device("meta"):
        ours = {key: tuple(value.shape) for key, value in SamModel(full_size_config(name)).state_dict().items()}
        state = {key: torch.empty(shape) for key, shape in listed.items()}
    assert is_original_layout(state)
    converted = {key: tuple(value.shape) for key, value in with_shared_positions(from_original_layout(state)).items()}
    assert converted == ours


def test_the_largest_has_the_published_number_of_parameters():
    total = sum(torch.Size(shape).numel() for shape in official("sam-vit-h").values())
    assert total == 641_090_864  # PILOTS.md: 641 M


@pytest.mark.parametrize("name", FULL_SIZE)
def test_a_quarter_of_the_blocks_ends_in_global_attention(name):
    vision = full_size_config(name).vision_config
    assert len(vision.global_attn_indexes) == 4
    assert vision.global_attn_indexes[-1] == vision.num_hidden_layers - 1


def test_unknown_keys_pass_through():
    state = {"image_encoder.pos_embed": torch.zeros(1), "optimizer.step": torch.zeros(1)}
    assert set(from_original_layout(state)) == {"vision_encoder.pos_embed", "optimizer.step"}
