"""Vision encoders of transformers as teachers: tiny ones of every architecture, saved and read back from a folder."""

import json
import socket

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from segdistill.errors import ConfigError, DataError, EnvironmentFault, ShapeError
from segdistill.teachers import TeacherOptions, TokenTeacher, contract_from_json, contract_to_json, load_teacher
from segdistill.teachers.contract import parameters_of
from segdistill.teachers.hf import scaled_shape
from segdistill.teachers.hf_kinds import KINDS
from segdistill.testing import check_teacher

RGB = ("red", "green", "blue")
MEAN, DEVIATION = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
SAM = {
    "image_size": 64,
    "patch_size": 8,
    **SMALL,
    "output_channels": 24,
    "global_attn_indexes": [1],
    "window_size": 3,
    "num_pos_feats": 12,
}
SAM_DECODER = {"hidden_size": 24, "num_attention_heads": 2, "mlp_dim": 48, "iou_head_hidden_dim": 24}
HIERA = {
    "hidden_size": 16,
    "num_attention_heads": 1,
    "image_size": [64, 64],
    "blocks_per_stage": [1, 2, 1, 1],
    "embed_dim_per_stage": [16, 32, 64, 128],
    "num_attention_heads_per_stage": [1, 2, 4, 8],
    "window_size_per_stage": [4, 4, 2, 2],
    "global_attention_blocks": [2],
    "window_positional_embedding_background_size": [4, 4],
}
SAM2 = {
    "backbone_config": {"model_type": "sam2_hiera_det_model", **HIERA},
    "backbone_channel_list": [128, 64, 32, 16],
    "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
    "fpn_hidden_size": 24,
}
PROMPTS = {"prompt_encoder_config": {"hidden_size": 24, "image_size": 64, "patch_size": 8}}


def whole(config, **parts):
    """Return the configuration of a whole SAM around an encoder."""
    return config(**PROMPTS, mask_decoder_config=SAM_DECODER, **parts)


# Folder to (configuration, class, stride, width, grid of an image of 40 x 56 pixels at side 56 or 64).
MODELS = {
    "dinov2": (transformers.Dinov2Config(**SMALL, image_size=56, patch_size=14), "Dinov2Model", 14, 32, (3, 4)),
    "dinov2_with_registers": (
        transformers.Dinov2WithRegistersConfig(**SMALL, image_size=56, patch_size=14, num_register_tokens=3),
        "Dinov2WithRegistersModel", 14, 32, (3, 4),
    ),
    "dinov3_vit": (
        transformers.DINOv3ViTConfig(
            **SMALL, intermediate_size=64, image_size=64, patch_size=16, num_register_tokens=4
        ),
        "DINOv3ViTModel", 16, 32, (3, 4),
    ),
    "vit": (
        transformers.ViTConfig(**SMALL, intermediate_size=64, image_size=64, patch_size=16), "ViTModel", 16, 32, (3, 4)
    ),
    "swin": (
        transformers.SwinConfig(
            image_size=64, patch_size=4, embed_dim=16, depths=[1, 1, 1], num_heads=[1, 2, 4], window_size=4
        ),
        "SwinModel", 16, 64, (3, 4),
    ),
    "sam_vision_model": (transformers.SamVisionConfig(**SAM), "SamVisionModel", 8, 24, (6, 8)),
    "sam": (whole(transformers.SamConfig, vision_config=SAM), "SamModel", 8, 24, (6, 8)),
    "sam2_vision_model": (transformers.Sam2VisionConfig(**SAM2), "Sam2VisionModel", 16, 24, (4, 4)),
    "sam2": (whole(transformers.Sam2Config, vision_config=SAM2), "Sam2Model", 16, 24, (4, 4)),
}  # fmt: skip
NO_RADIO = "this transformers has no RADIO"
if hasattr(transformers, "RadioModel"):
    MODELS["radio"] = (transformers.RadioConfig(**SMALL, image_size=64, patch_size=16), "RadioModel", 16, 32, (3, 4))
every = pytest.mark.parametrize("kind", MODELS)


def processor(folder, **changes):
    said = {"image_mean": MEAN, "image_std": DEVIATION, "rescale_factor": 1 / 255, "do_normalize": True} | changes
    (folder / "preprocessor_config.json").write_text(json.dumps(said))


@pytest.fixture(scope="session")
def folders(tmp_path_factory, randomise):
    """Every architecture in the hub's layout, its weights drawn: by itself, or in a whole model."""
    root = tmp_path_factory.mktemp("encoders")
    for kind, (config, name, *_) in MODELS.items():
        model = getattr(transformers, name)(config).eval()
        buffers = {key for key, _ in model.named_buffers()}
        randomise({key: value for key, value in model.named_parameters() if key not in buffers}, seed=1)
        model.save_pretrained(root / kind)
        processor(root / kind)
        (root / kind / "README.md").write_text("---\ntags: [x]\nlicense: apache-2.0\n---\n# A model\n")
    return root


@pytest.fixture
def copy(folders, tmp_path):
    """A folder of one's own to spoil."""

    def make(kind):
        target = tmp_path / kind
        target.mkdir()
        for file in (folders / kind).iterdir():
            (target / file.name).write_bytes(file.read_bytes())
        return target

    return make


def load(folder, **options):
    return load_teacher(f"hf:{folder}", channels=options.pop("channels", RGB), options=TeacherOptions(**options))


def expected(folder, kind, pixels, deviation=DEVIATION):
    """Return the patch tokens of transformers' own model, y x d."""
    _, name, _, _, _ = MODELS[kind]
    model = getattr(transformers, name).from_pretrained(folder, local_files_only=True).eval()
    mean, scale = (torch.tensor(each).reshape(1, 3, 1, 1) for each in (MEAN, deviation))
    inputs = (pixels - mean) / scale
    with torch.inference_mode():
        if kind in ("sam", "sam2"):
            model = model.vision_encoder
        found = model(inputs, **({"interpolate_pos_encoding": True} if kind == "vit" else {}))
    if kind.startswith("sam2"):
        return found.fpn_hidden_states[-1][0].permute(1, 2, 0)
    if kind.startswith("sam"):
        return found.last_hidden_state[0].permute(1, 2, 0)
    before = {"dinov2": 1, "dinov2_with_registers": 4, "dinov3_vit": 5, "vit": 1, "swin": 0}[kind]
    stride = MODELS[kind][2]
    return found.last_hidden_state[0, before:].unflatten(0, (pixels.shape[2] // stride, pixels.shape[3] // stride))


@every
def test_every_architecture_keeps_its_contract(folders, kind):
    teacher = load(folders / kind)
    _, _, stride, width, grid = MODELS[kind]
    assert isinstance(teacher, TokenTeacher)
    contract = teacher.contract
    assert contract.tokens == {"embedding": (stride, width)}
    assert (contract.outputs, contract.channels, contract.licence) == ((), RGB, "apache-2.0")
    picture = np.random.default_rng(0).random((3, 40, 56), dtype=np.float32)
    assert teacher.maps(picture).shape == (0, 40, 56)
    assert teacher.tokens(picture, ("embedding",))["embedding"].shape == (*grid, width)
    check_teacher(teacher)


def test_every_architecture_is_tested():
    assert set(KINDS) - set(MODELS) == {"sam2_video"}  # a sam2 with a memory that is left out


@pytest.mark.parametrize("kind", sorted(set(MODELS) - {"radio"}))
def test_tokens_are_those_of_transformers_in_their_places(folders, kind):
    # An image that needs no scaling: its own normalisation, then patches alone, row by row.
    _, _, stride, _, _ = MODELS[kind]
    side = 56 if stride == 14 else 64
    shape = (side, side) if kind.startswith(("sam", "swin")) else (side - stride, side)
    picture = np.random.default_rng(1).random((3, *shape), dtype=np.float32)
    found = load(folders / kind).tokens(picture, ("embedding",))["embedding"]
    wanted = expected(folders / kind, kind, torch.from_numpy(picture)[None])
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4, atol=1e-4)
    assert found.std(axis=(0, 1)).max() > 1e-3  # not all the same, so places are told apart


@pytest.mark.skipif("radio" not in MODELS, reason=NO_RADIO)
def test_radio_normalises_by_itself(folders, copy):
    folder = copy("radio")
    picture = np.random.default_rng(1).random((3, 48, 64), dtype=np.float32)
    model = transformers.RadioModel.from_pretrained(folder, local_files_only=True).eval()
    with torch.inference_mode():
        wanted = model(torch.from_numpy(picture)[None]).features[0].unflatten(0, (3, 4))
    (folder / "preprocessor_config.json").unlink()
    teacher = load(folder)
    assert (teacher.contract.mean, teacher.contract.deviation) == ((), ())
    np.testing.assert_allclose(teacher.tokens(picture, ("embedding",))["embedding"], wanted.numpy(), atol=1e-5)


def test_a_transformers_that_does_not_know_the_architecture_is_to_be_upgraded(folders, monkeypatch):
    monkeypatch.setattr(transformers, "Dinov2Model", None)
    with pytest.raises(EnvironmentFault, match=r"holds a Dinov2Model, which transformers .* does not know"):
        load(folders / "dinov2")


def test_what_is_padded_has_no_tokens_of_the_padding(folders):
    # A wide image in SAM's square: the lower half is padding, and changes no shape.
    picture = np.random.default_rng(2).random((3, 32, 64), dtype=np.float32)
    found = load(folders / "sam").tokens(picture, ("embedding",))["embedding"]
    inside = torch.zeros(1, 3, 64, 64)
    inside[0, :, :32] = (torch.from_numpy(picture) - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[
        :, None, None
    ]
    model = transformers.SamModel.from_pretrained(folders / "sam", local_files_only=True).eval()
    with torch.inference_mode():
        wanted = model.vision_encoder(inside).last_hidden_state[0].permute(1, 2, 0)[:4]
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4, atol=1e-4)


def test_a_channel_of_a_microscope_is_replicated(folders):
    assert load(folders / "dinov2", channels=("DAPI",)).contract.channels == ("DAPI", "DAPI", "DAPI")
    assert load(folders / "dinov2", channels=("DAPI", "actin")).contract.channels == ("blank", "DAPI", "actin")


# size


@pytest.mark.parametrize(
    ("said", "side"),
    [
        ({"size": {"shortest_edge": 256}, "crop_size": {"height": 42, "width": 42}}, 42),  # DINOv2's layout
        ({"size": {"shortest_edge": 70}, "crop_size": {"height": 42}, "do_center_crop": False}, 70),
        ({"size": {"height": 28, "width": 28}}, 28),
        ({"size": 28}, 28),
        ({}, 56),  # what the network was made for
    ],
)
def test_the_native_size_is_the_processors(copy, said, side):
    folder = copy("dinov2")
    processor(folder, **said)
    assert load(folder).contract.size == side


def test_rad_dinos_layout_gives_its_grid(copy):
    folder = copy("dinov2")
    crop = {"height": 518, "width": 518}
    processor(folder, image_processor_type="BitImageProcessor", size={"shortest_edge": 518}, crop_size=crop)
    teacher = load(folder)
    assert teacher.contract.size == 518
    square = teacher.tokens(np.zeros((3, 30, 30), np.float32), ("embedding",))["embedding"]
    assert square.shape == (37, 37, 32)


def test_a_size_may_be_asked_for(folders):
    teacher = load(folders / "dinov2", size=28)
    assert teacher.tokens(np.zeros((3, 9, 20), np.float32), ("embedding",))["embedding"].shape == (1, 2, 32)
    with pytest.raises(ConfigError, match=r"30 pixels, which is no multiple of its patch of 14.*such as 28"):
        load(folders / "dinov2", size=30)
    with pytest.raises(ConfigError, match=r"squares of 64 pixels and no others, but size is 32"):
        load(folders / "sam", size=32)


def test_whole_tokens_cover_the_image():
    assert scaled_shape((10, 1000), side=64, stride=16, placing="free") == (16, 64)
    assert scaled_shape((100, 61), side=64, stride=16, placing="padded") == (64, 32)


# identity


def test_what_changes_its_word_changes_its_hash(copy):
    folder = copy("dinov2")
    before = load(folder).contract.weights_sha256
    (folder / "README.md").write_text("no licence")
    assert load(folder).contract.weights_sha256 == before
    assert load(folder).contract.licence == "unknown"
    processor(folder, image_mean=(0.1, 0.1, 0.1))
    assert load(folder).contract.weights_sha256 != before


def test_a_contract_with_a_mean_survives_json_and_one_without_writes_none(folders):
    contract = load(folders / "dinov2").contract
    assert (contract.mean, contract.deviation) == (MEAN, DEVIATION)
    assert contract_from_json(json.loads(json.dumps(contract_to_json(contract)))) == contract
    plain = contract_to_json(load_teacher("sam-tiny-tissue").contract)
    assert {"mean", "deviation"} & set(plain) == set()  # stores of older versions keep their names


def test_the_parameters_are_the_encoders(folders):
    alone, within = (parameters_of(load(folders / kind)) for kind in ("sam_vision_model", "sam"))
    assert alone == within > 0


def test_nothing_needs_a_network_or_prints(folders, monkeypatch, capfd):
    def refuse(*_, **__):
        raise OSError("the network is off")

    monkeypatch.setattr(socket, "socket", refuse)
    for kind in ("sam", "dinov3_vit"):
        load(folders / kind)
    assert capfd.readouterr() == ("", "")


def test_half_precision(folders):
    teacher = load(folders / "dinov2", precision="bfloat16")
    picture = np.random.default_rng(0).random((3, 40, 56), dtype=np.float32)
    assert teacher.tokens(picture, ("embedding",))["embedding"].dtype == np.float32


# what is refused


def test_missing_weights_are_named_and_not_drawn(copy):
    folder = copy("dinov2")
    state = load_file(folder / "model.safetensors")
    lost = next(key for key in state if "attention" in key)
    save_file(
        {key: value for key, value in state.items() if key != lost}, folder / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(DataError, match=r"1 missing: .*proj.*"):
        load(folder)


def test_a_mask_token_may_be_missing(copy):
    folder = copy("dinov2")
    state = load_file(folder / "model.safetensors")
    state.pop("embeddings.mask_token")
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    load(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_hidden_layers": 1, "out_features": ["stage1"], "out_indices": [1]}, r"superfluous: .*\.1\."),
        ({"num_hidden_layers": 3}, r"missing: .*\.2\."),
        ({"patch_size": 7}, r"2 of another shape: embeddings.patch_embeddings.projection.weight"),
    ],
)
def test_a_config_of_another_model_is_refused(copy, change, words):
    folder = copy("dinov2")
    said = json.loads((folder / "config.json").read_text()) | change
    (folder / "config.json").write_text(json.dumps(said))
    with pytest.raises(DataError, match=words):
        load(folder)


def test_another_number_of_registers_is_refused(copy):
    # The count is the configuration's: tokens are never taken for patches by guess.
    folder = copy("dinov2_with_registers")
    said = json.loads((folder / "config.json").read_text()) | {"num_register_tokens": 2}
    (folder / "config.json").write_text(json.dumps(said))
    with pytest.raises(DataError, match=r"1 of another shape: embeddings.register_tokens"):
        load(folder)


def test_a_model_with_code_of_its_own_is_refused(copy):
    folder = copy("dinov2")
    (folder / "config.json").write_text(json.dumps({"model_type": "dinov4", "auto_map": {"AutoModel": "x.Y"}}))
    with pytest.raises(DataError, match=r"'dinov4'.*never run.*Did you mean 'dinov2'.*Known: dinov2, "):
        load(folder)


def test_a_pickle_is_refused_unopened(copy):
    folder = copy("dinov2")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(DataError, match=r"pytorch_model.bin is refused unopened"):
        load(folder)


def test_a_folder_that_lacks_something_says_what(copy, tmp_path):
    with pytest.raises(EnvironmentFault, match="There is no folder /nowhere"):
        load("/nowhere")
    with pytest.raises(EnvironmentFault, match=r"hf download owner/no-such-model --local-dir weights/no-such-model"):
        load("owner/no-such-model")
    with pytest.raises(DataError, match=r"has no config.json"):
        load(tmp_path)
    folder = copy("dinov2")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(DataError, match=r"which mean and deviation"):
        load(folder)
    processor(folder, image_mean=[0.5])
    with pytest.raises(DataError, match=r"mean of 1 and a deviation of 3 channels, but the encoder takes 3"):
        load(folder)
    processor(folder, do_rescale=False)
    with pytest.raises(DataError, match=r"another range"):
        load(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(EnvironmentFault, match=r"holds no model\*.safetensors"):
        load(folder)


def test_cut_off_weights_are_refused(copy):
    folder = copy("dinov2")
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match="cannot be loaded"):
        load(folder)


def test_options_of_sam_are_refused(folders):
    with pytest.raises(ConfigError, match=r"takes no prompting grid"):
        load_teacher(f"hf:{folders / 'dinov2'}", channels=RGB, prompting="grid")
    with pytest.raises(ConfigError, match=r"takes 3 channels, but was given no channel.*--teacher-channels"):
        load_teacher(f"hf:{folders / 'dinov2'}")


def test_other_images_and_tokens_are_refused(folders):
    teacher = load(folders / "dinov2")
    with pytest.raises(ShapeError, match=r"3 channels, but this one has 2"):
        teacher.tokens(np.zeros((2, 30, 40), np.float32), ("embedding",))
    with pytest.raises(ConfigError, match=r"has the tokens embedding, not hidden.3"):
        teacher.tokens(np.zeros((3, 30, 40), np.float32), ("hidden.3",))
