"""A SAM of a few thousand weights in every layout that SAM weights come in."""

import json
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import SamConfig, SamModel


def small_config(side: int = 64) -> SamConfig:
    """One block with windows, one with global attention; three masks."""
    size = {"image_size": side, "patch_size": 8}
    vision = {
        "hidden_size": 32,
        "output_channels": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "global_attn_indexes": [1],
        "window_size": 3,
        "num_pos_feats": 16,
    }
    decoder = {
        "hidden_size": 32,
        "num_attention_heads": 2,
        "mlp_dim": 48,
        "iou_head_hidden_dim": 24,
        "layer_norm_eps": 1e-5,
    }
    return SamConfig(
        vision_config=size | vision,
        prompt_encoder_config=size | {"hidden_size": 32},
        mask_decoder_config=decoder,
    )


def randomise(state: Mapping[str, torch.Tensor], seed: int = 0) -> None:
    """Draw every weight and every table: transformers leaves position tables at zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in state.items():
            drawn = torch.randn(value.shape, generator=generator)
            if value.ndim == 1 and name.endswith("weight"):  # of a norm
                value.copy_(1 + 0.2 * drawn)
            else:
                value.copy_(drawn * (1.5 / value[0].numel() ** 0.5 if value.ndim > 1 else 0.2))


def random_sam(config: SamConfig, seed: int = 0) -> SamModel:
    """A SAM with random weights."""
    model = SamModel(config)
    randomise(dict(model.named_parameters()), seed)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="session", name="randomise")
def give_randomise():
    return randomise


@pytest.fixture(scope="session")
def config():
    return small_config()


@pytest.fixture(scope="session")
def make_sam():
    """A SAM of other weights, or of another configuration."""
    return lambda seed=0, side=64: random_sam(small_config(side), seed)


@pytest.fixture(scope="session")
def sam():
    return random_sam(small_config())


@pytest.fixture(scope="session")
def sam_folder(sam, tmp_path_factory):
    """The hub's layout: config.json and model.safetensors."""
    folder = tmp_path_factory.mktemp("sam")
    state = {key: value.clone() for key, value in sam.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(sam.config.to_dict()))
    return folder


@pytest.fixture
def picture():
    """Three channels, not square, 0…1."""
    return np.random.default_rng(0).random((3, 40, 56), dtype=np.float32)
