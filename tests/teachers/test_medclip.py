"""MedCLIP's image tower: a tiny one in the layout of the published file, through the same code."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_file

from segdistill.errors import ConfigError, DataError, EnvironmentFault
from segdistill.teachers import TeacherOptions, TokenTeacher, load_teacher
from segdistill.teachers.contract import parameters_of
from segdistill.teachers.hf_folder import encoder_of_state
from segdistill.teachers.medclip import KIND, find_medclip, full_medclip_config, tower_of
from segdistill.teachers.weight_files import WEIGHTS
from segdistill.testing import check_teacher

LISTED = Path(__file__).parent / "official_medclip_weights.txt"
TINY = transformers.SwinConfig(
    image_size=64, patch_size=4, embed_dim=16, depths=[1, 1, 1], num_heads=[1, 2, 4], window_size=4
)
OLD_NAMES = (
    (r"attention\.q_proj", "attention.self.query"),
    (r"attention\.k_proj", "attention.self.key"),
    (r"attention\.v_proj", "attention.self.value"),
    (r"attention\.o_proj", "attention.output.dense"),
    (r"attention\.relative_position_bias\.", "attention.self."),
    (r"mlp\.fc1", "intermediate.dense"),
    (r"mlp\.fc2", "output.dense"),
)
"""What this transformers calls a Swin's weights, and what the one of MedCLIP's time called them."""


def official() -> dict[str, tuple[int, ...]]:
    rows = [line.split() for line in LISTED.read_text().splitlines() if not line.startswith("#")]
    return {key: () if shape == "scalar" else tuple(map(int, shape.split("x"))) for key, shape in rows}


def published(tower: transformers.SwinModel) -> dict[str, torch.Tensor]:
    """A whole file around a tower, as the authors saved theirs."""
    state = {"logit_scale": torch.tensor(2.7)}
    for key, value in tower.state_dict().items():
        name = key
        for ours, theirs in OLD_NAMES:
            name = re.sub(ours, theirs, name)
        state[f"vision_model.model.{name}"] = value
        if name.endswith("relative_position_bias_table"):
            index = name.replace("bias_table", "index")
            state[f"vision_model.model.{index}"] = torch.zeros((16, 16), dtype=torch.long)
    state["vision_model.projection_head.weight"] = torch.zeros(512, 64)
    state["text_model.model.embeddings.position_ids"] = torch.arange(8)[None]
    state["text_model.projection_head.weight"] = torch.zeros(512, 64)
    return state


@pytest.fixture(scope="module")
def tower(randomise):
    model = transformers.SwinModel(TINY).eval()
    randomise(dict(model.named_parameters()), seed=1)
    return model.requires_grad_(False)


@pytest.fixture
def folder(tower, tmp_path):
    torch.save(published(tower), tmp_path / "pytorch_model.bin")
    TINY.save_pretrained(tmp_path)
    return tmp_path


def load(weights, channels=("luma",), **more):
    return load_teacher("medclip", channels=channels, weights=weights, **more)


def test_the_official_list_is_exactly_our_full_size_tower():
    listed = official()
    assert len(listed) == 434
    state = {key: torch.zeros(shape) for key, shape in listed.items() if "text_model" not in key}
    network = encoder_of_state(KIND, full_medclip_config(), tower_of(state, source="the list"), source="the list")
    wanted = sum(value.numel() for key, value in tower_of(state, source="").items() if not key.endswith("_index"))
    assert parameters_of_module(network) == wanted == 27_519_354


def parameters_of_module(network):
    return sum(each.numel() for each in network.parameters())


def test_one_weight_less_in_the_official_list_is_missed_by_name():
    state = {key: torch.zeros(shape) for key, shape in official().items() if "text_model" not in key}
    del state["vision_model.model.encoder.layers.2.blocks.5.attention.self.key.bias"]
    with pytest.raises(DataError, match=r"1 missing: encoder\.layers\.2\.blocks\.5\.attention"):
        encoder_of_state(KIND, full_medclip_config(), tower_of(state, source="list"), source="list")


def test_it_keeps_the_contract_of_every_teacher(folder):
    teacher = load(folder)
    assert isinstance(teacher, TokenTeacher)
    contract = teacher.contract
    assert (contract.outputs, contract.channels) == ((), ("luma", "luma", "luma"))
    assert contract.tokens == {"embedding": (16, 64)}
    assert "research use only" in contract.licence
    assert parameters_of(teacher) == parameters_of_module(transformers.SwinModel(TINY))
    check_teacher(teacher)


def test_its_tokens_are_those_of_the_authors_network_on_a_black_square(folder, tower):
    # dataset.py: a grey image on a black square, three times the same channel, normalised with one mean and deviation.
    picture = np.random.default_rng(0).random((32, 64), dtype=np.float32)
    square = np.zeros((64, 64), np.float32)
    square[:32] = picture
    inputs = (torch.from_numpy(square) - 0.5862785803043838) / 0.27950088968644304
    wanted = tower(inputs.expand(1, 3, 64, 64)).last_hidden_state[0].unflatten(0, (4, 4))[:2]
    found = load(folder).tokens(np.stack([picture] * 3), ("embedding",))["embedding"]
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4, atol=1e-4)
    assert found.std(axis=(0, 1)).max() > 1e-3


def test_safetensors_and_the_folder_of_the_archive_are_read_too(tower, tmp_path):
    inner = tmp_path / "medclip" / "medclip-vit-pretrained"
    inner.mkdir(parents=True)
    torch.save(published(tower), inner / "pytorch_model.bin")
    assert find_medclip(tmp_path / "medclip") == inner / "pytorch_model.bin"
    save_file({key: value.clone() for key, value in published(tower).items()}, tmp_path / "model.safetensors")
    TINY.save_pretrained(tmp_path)
    assert load(tmp_path / "model.safetensors").contract.tokens == {"embedding": (16, 64)}


def test_where_fetching_puts_it_is_where_it_is_looked_for(tower, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = WEIGHTS["medclip"].folder("medclip", Path("weights"))
    place.mkdir(parents=True)
    torch.save(published(tower), place / "pytorch_model.bin")
    assert find_medclip(None) == place / "pytorch_model.bin"


def test_absent_weights_come_with_the_command(tmp_path):
    with pytest.raises(EnvironmentFault, match=r"holds none\. Run `segdistill weights fetch medclip`"):
        load(tmp_path)


def test_other_weights_are_refused(tower, folder):
    def refused(state, words):
        torch.save(state, folder / "pytorch_model.bin")
        with pytest.raises(DataError, match=words):
            load(folder)

    refused({"vision_model.model.conv1.weight": torch.zeros(64, 3, 7, 7)}, r"with a ResNet-50.*Take medclip-vit")
    refused({"encoder.weight": torch.zeros(1)}, r"weights that MedCLIP does not have \(encoder\.weight\)")
    refused({"logit_scale": torch.zeros(())}, r"nothing in vision_model\.model\.")
    refused(published(tower) | {"vision_model.model.layernorm.bias": torch.zeros(3)}, r"1 of another shape: layernorm")


def test_code_in_the_weights_does_not_run(tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"logit_scale": Hostile()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(DataError, match="could run code: it was refused"):
        load(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"channels": None}, r"looks at channels that you name: --teacher-channels luma"),
        ({"prompting": "grid"}, r"takes no prompting grid"),
        ({"options": TeacherOptions(size=128)}, r"squares of 64 pixels and no others, but size is 128"),
        ({"channels": ("a", "b", "c", "d")}, r"takes one, two or three channels, but was given 4"),
    ],
)
def test_what_does_not_suit_it_is_refused(folder, more, words):
    with pytest.raises(ConfigError, match=words):
        load(folder, **more)
