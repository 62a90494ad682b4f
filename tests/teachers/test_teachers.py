"""What every teacher promises, and each kind's own."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from onnx import TensorProto, helper, save

from segdistill.data.labels import Structure
from segdistill.data.normalisation import FullRangeRule, PercentileRule
from segdistill.errors import ConfigError, DataError, ShapeError
from segdistill.networks import Model, ModelCard, build_student, save_model
from segdistill.teachers import Hint, TeacherOptions, load_teacher
from segdistill.testing import check_teacher

SHARED = Path(__file__).parents[3] / "shared"
SHAPE = (40, 56)


def labels():
    plane = np.zeros(SHAPE, np.int32)
    plane[3:12, 20:31] = 7
    plane[20:35, 5:9] = 9
    return plane


HINT = Hint(case="field", labels={"cell": labels()})


def write_onnx(path, *, channels=2, outputs=1, stride=1):
    """Logit of every output = sum of the channels - 1, as a 1 x 1 convolution; or one that shrinks."""
    weight = helper.make_tensor("w", TensorProto.FLOAT, (outputs, channels, 1, 1), [1.0] * outputs * channels)
    bias = helper.make_tensor("b", TensorProto.FLOAT, (outputs,), [-1.0] * outputs)
    node = helper.make_node("Conv", ["image", "w", "b"], ["score"], strides=[stride, stride])
    graph = helper.make_graph(
        [node],
        "sum",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["b", channels, "y", "x"])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["b", outputs, "v", "u"])],
        [weight, bias],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


ONNX = """
channels = ["nucleus", "membrane"]
outputs = ["cell"]
normalisation = [1.0, 99.0]
activation = "sigmoid"
multiple = 16
licence = "MIT"
labels_seen = 20
"""


@pytest.fixture
def onnx_folder(tmp_path):
    write_onnx(tmp_path / "net.onnx")
    (tmp_path / "net.toml").write_text(ONNX)
    return tmp_path


@pytest.fixture
def maps_folder(tmp_path):
    folder = tmp_path / "maps"
    (folder / "field").mkdir(parents=True)
    draw = np.random.default_rng(0)
    np.save(folder / "field" / "interior.npy", draw.integers(0, 60, SHAPE).astype(np.int8))
    np.save(folder / "field" / "border.npy", draw.integers(0, 60, SHAPE).astype(np.int8))
    (folder / "maps.toml").write_text(
        'scale = 126\n[outputs]\ncell = ["interior", "border"]\n"cell.boundary" = ["border"]\n'
    )
    return folder


@pytest.fixture
def model_folder(tmp_path):
    card = ModelCard(
        architecture="unet-tiny",
        channels=("nucleus", "membrane"),
        normalisation={"rule": "full-range"},
        structures=(Structure("cell", True),),
        crop=64,
        labels_used=5,
        licences=("MIT",),
        pixel_size=0.5,
    )
    torch.manual_seed(0)
    save_model(tmp_path / "model", Model(build_student("unet-tiny", channels=2, outputs=2), card))
    return tmp_path / "model"


@pytest.fixture(params=["tuned", "grid", "boxes", "onnx", "maps", "model"])
def teacher(request, sam_folder, onnx_folder, maps_folder, model_folder):
    rgb = ("red", "green", "blue")
    match request.param:
        case "tuned":
            return load_teacher("sam-tiny-tissue")
        case "grid" | "boxes":
            return load_teacher(f"sam:{sam_folder}", channels=rgb, prompting=request.param)
        case "onnx":
            return load_teacher(f"onnx:{onnx_folder / 'net.onnx'}")
        case "maps":
            return load_teacher(f"maps:{maps_folder}")
        case _:
            return load_teacher(f"model:{model_folder}")


def image_for(teacher, shape=SHAPE):
    channels = len(teacher.contract.channels)
    return np.random.default_rng(1).random((channels, *shape), dtype=np.float32)


def test_every_teacher_keeps_its_promises(teacher):
    check_teacher(teacher, case="field", shape=SHAPE)


# sam


def test_an_oracle_without_labels_refuses(sam_folder):
    teacher = load_teacher(f"sam:{sam_folder}", channels=("red", "green", "blue"), prompting="boxes")
    with pytest.raises(DataError, match=r"field has no labels for 'cell'"):
        teacher.maps(image_for(teacher), Hint(case="field"))
    with pytest.raises(ShapeError, match=r"\(3, 4\).*\(40, 56\)"):
        teacher.maps(image_for(teacher), Hint(case="field", labels={"cell": np.zeros((3, 4), np.int32)}))


def test_sam_refuses_two_channels(sam_folder):
    teacher = load_teacher(f"sam:{sam_folder}", channels=("red", "green", "blue"))
    with pytest.raises(ShapeError, match=r"has 2"):
        teacher.maps(np.zeros((2, 8, 9), np.float32))


def test_tokens_cover_the_image_and_not_the_padding(sam_folder):
    teacher = load_teacher(f"sam:{sam_folder}", channels=("red", "green", "blue"))
    # 40 x 56 lies as 46 x 64 in a square of 64: 6 of 8 rows of tokens touch it, and all 8 columns.
    tokens = teacher.tokens(image_for(teacher), ("embedding", "hidden.2"))
    assert {name: grid.shape for name, grid in tokens.items()} == {"embedding": (6, 8, 32), "hidden.2": (6, 8, 32)}
    with pytest.raises(ConfigError, match=r"hidden.3.*hidden.2"):
        teacher.tokens(image_for(teacher), ("hidden.3",))


def test_the_last_hidden_tokens_are_those_the_neck_reads(sam, sam_folder):
    teacher = load_teacher(f"sam:{sam_folder}", channels=("red", "green", "blue"))
    image = np.random.default_rng(2).random((3, 64, 64), dtype=np.float32)
    tokens = teacher.tokens(image, ("embedding", "hidden.2"))
    with torch.no_grad():
        neck = sam.vision_encoder.neck(torch.from_numpy(tokens["hidden.2"])[None])[0].permute(1, 2, 0)
    assert np.allclose(tokens["embedding"], neck.numpy(), atol=1e-5)


# onnx


def test_onnx_by_hand(onnx_folder):
    teacher = load_teacher(f"onnx:{onnx_folder / 'net.onnx'}", channels=("DAPI", "actin"))
    # Logit = 0.25 + 0.5 - 1 = -0.25 everywhere, so p = 1 / (1 + e^0.25); 7 x 13 is padded to 16 x 16 and cut.
    image = np.stack([np.full((7, 13), 0.25), np.full((7, 13), 0.5)]).astype(np.float32)
    maps = teacher.maps(image)
    assert maps.shape == (1, 7, 13)
    assert maps == pytest.approx(1 / (1 + np.exp(0.25)))
    assert teacher.contract.channels == ("DAPI", "actin")
    assert teacher.contract.rule == PercentileRule(1.0, 99.0)
    assert teacher.contract.labels_seen == 20


def test_onnx_standardises(onnx_folder):
    (onnx_folder / "net.toml").write_text(ONNX + "mean = [0.25, 0.5]\ndeviation = [0.5, 0.25]\n")
    teacher = load_teacher(f"onnx:{onnx_folder / 'net.onnx'}")
    # (0.5 - 0.25) / 0.5 + (1 - 0.5) / 0.25 - 1 = 1.5
    maps = teacher.maps(np.stack([np.full((16, 32), 0.5), np.full((16, 32), 1.0)]).astype(np.float32))
    assert maps == pytest.approx(1 / (1 + np.exp(-1.5)))


def test_onnx_described_elsewhere(onnx_folder, tmp_path):
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "teacher.toml").write_text(ONNX + 'file = "../net.onnx"\n')
    assert load_teacher(f"onnx:{other / 'teacher.toml'}").contract.outputs == ("cell",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ONNX + "chanels = []\n", "chanels is not known. Did you mean 'channels'"),
        (ONNX.replace("multiple = 16", "multiple = 0"), "multiple: .*greater than or equal to 1"),
        (ONNX.replace('activation = "sigmoid"', 'activation = "softmax"\nmultipel = 2'), "activation: .*multipel"),
        ("channels = [", "is not TOML"),
    ],
)
def test_a_wrong_description_is_told_all_at_once(onnx_folder, text, words):
    (onnx_folder / "net.toml").write_text(text)
    with pytest.raises(DataError, match=words):
        load_teacher(f"onnx:{onnx_folder / 'net.onnx'}")


def test_onnx_without_a_description_shows_one(onnx_folder):
    (onnx_folder / "net.toml").unlink()
    with pytest.raises(ConfigError, match=r"(?s)net.toml.*normalisation"):
        load_teacher(f"onnx:{onnx_folder / 'net.onnx'}")


def test_onnx_channels_and_options_are_checked(onnx_folder, tmp_path):
    name = f"onnx:{onnx_folder / 'net.onnx'}"
    with pytest.raises(ConfigError, match=r"takes 2 channels \(nucleus, membrane\)"):
        load_teacher(name, channels=("a", "b", "c"))
    with pytest.raises(ConfigError, match=r"order nucleus, membrane, but was given membrane, nucleus"):
        load_teacher(name, channels=("membrane", "nucleus"))
    with pytest.raises(ConfigError, match=r"takes no prompting grid, weights"):
        load_teacher(name, prompting="grid", weights=tmp_path)
    (onnx_folder / "net.toml").write_text(ONNX + "mean = [0.5]\n")
    with pytest.raises(ConfigError, match=r"one value for each of the 2 channels"):
        load_teacher(name)


def test_onnx_that_shrinks_the_image_is_refused(onnx_folder):
    write_onnx(onnx_folder / "net.onnx", stride=2)
    teacher = load_teacher(f"onnx:{onnx_folder / 'net.onnx'}")
    with pytest.raises(ShapeError, match=r"\(1, 1, 8, 16\).*\(1, 1, 16, 32\)"):
        teacher.maps(np.zeros((2, 16, 32), np.float32))


def test_a_damaged_onnx_file_is_refused(onnx_folder):
    content = (onnx_folder / "net.onnx").read_bytes()
    (onnx_folder / "net.onnx").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"cannot be loaded"):
        load_teacher(f"onnx:{onnx_folder / 'net.onnx'}")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real networks in ../shared")
def test_a_real_network_finds_real_vessels(tmp_path):
    from segdistill.data.labels import read_labels
    from segdistill.data.readers import read_image

    (tmp_path / "drive.toml").write_text(
        'channels = ["red", "green", "blue"]\noutputs = ["vessel"]\nnormalisation = "full-range"\n'
        f'activation = "sigmoid"\nmultiple = 32\nfile = "{SHARED / "weights/m2unet/m2unet_drive.onnx"}"\n'
    )
    teacher = load_teacher(f"onnx:{tmp_path / 'drive.toml'}")
    assert teacher.contract.rule == FullRangeRule()
    path = sorted((SHARED / "data/drive/images").iterdir())[0]
    image = read_image(path)
    found = teacher.maps(image.array[:3].astype(np.float32) / 255)[0] > 0.5
    (label,) = [p for p in (SHARED / "data/drive/labels").iterdir() if p.stem == path.stem]
    wanted = read_labels(label) > 0
    assert 2 * (found & wanted).sum() / (found.sum() + wanted.sum()) > 0.75  # weights/README.md: 0.855 on average


# maps


def test_maps_by_hand(maps_folder):
    teacher = load_teacher(f"maps:{maps_folder}")
    interior, border = (np.load(maps_folder / "field" / f"{part}.npy") / 126 for part in ("interior", "border"))
    maps = teacher.maps(np.zeros((0, *SHAPE), np.float32), HINT)
    assert maps[0] == pytest.approx(interior + border, abs=1e-6)
    assert maps[1] == pytest.approx(border, abs=1e-6)
    assert teacher.contract.needs == ("case",)


def test_integer_maps_need_a_scale(maps_folder):
    text = (maps_folder / "maps.toml").read_text()
    (maps_folder / "maps.toml").write_text(text.replace("scale = 126\n", ""))
    teacher = load_teacher(f"maps:{maps_folder}")
    with pytest.raises(DataError, match=r"int8, 0 to 59.*scale = 59"):
        teacher.maps(np.zeros((0, *SHAPE), np.float32), HINT)


@pytest.mark.parametrize(("value", "words"), [(200.0, "0 to 200"), (np.nan, "nan"), (-3.0, "-3 to")])
def test_values_that_are_no_probabilities_are_refused(maps_folder, value, words):
    plane = np.zeros(SHAPE, np.float32)
    plane[3, 4] = value
    np.save(maps_folder / "field" / "border.npy", plane)
    with pytest.raises(DataError, match=words):
        load_teacher(f"maps:{maps_folder}").maps(np.zeros((0, *SHAPE), np.float32), HINT)


def test_parts_that_add_up_to_more_than_one_are_refused(maps_folder):
    np.save(maps_folder / "field" / "interior.npy", np.full(SHAPE, 120, np.int8))
    with pytest.raises(DataError, match=r"interior \+ border adds up to 1\.\d+ for 'cell'"):
        load_teacher(f"maps:{maps_folder}").maps(np.zeros((0, *SHAPE), np.float32), HINT)


def test_maps_of_another_size_or_case_are_refused(maps_folder):
    teacher = load_teacher(f"maps:{maps_folder}")
    with pytest.raises(ShapeError, match=r"\(40, 56\).*\(56, 40\)"):
        teacher.maps(np.zeros((0, 56, 40), np.float32), HINT)
    with pytest.raises(DataError, match=r"no maps for case 'other'"):
        teacher.maps(np.zeros((0, *SHAPE), np.float32), Hint(case="other"))
    with pytest.raises(ConfigError, match=r"no case was named"):
        teacher.maps(np.zeros((0, *SHAPE), np.float32))


def test_other_maps_are_another_teacher(maps_folder):
    before = load_teacher(f"maps:{maps_folder}").contract.weights_sha256
    np.save(maps_folder / "field" / "border.npy", np.zeros(SHAPE, np.int8))
    assert load_teacher(f"maps:{maps_folder}").contract.weights_sha256 != before


def test_label_images_become_foreground_and_boundary(tmp_path):
    (tmp_path / "field").mkdir()
    plane = np.zeros((3, 6), np.uint16)
    plane[:, :3], plane[:, 3:] = 4, 5
    np.save(tmp_path / "field" / "Tool-1.0.npy", plane)
    (tmp_path / "maps.toml").write_text('kind = "labels"\n[outputs]\ncell = ["Tool-1.0"]\n')
    teacher = load_teacher(f"maps:{tmp_path}")
    assert teacher.contract.outputs == ("cell", "cell.boundary")
    maps = teacher.maps(np.zeros((0, 3, 6), np.float32), HINT)
    assert maps[0].tolist() == [[1] * 6] * 3
    assert maps[1].tolist() == [[0, 0, 1, 1, 0, 0]] * 3


def test_planes_of_one_file(tmp_path):
    np.save(tmp_path / "field.npy", np.zeros((3, 6)))
    (tmp_path / "maps.toml").write_text('[outputs]\ncell = [""]\n')
    assert load_teacher(f"maps:{tmp_path}").maps(np.zeros((0, 3, 6), np.float32), HINT).max() == 0
    (tmp_path / "field.npy").unlink()
    planes = np.stack([np.full((30, 60), value, np.uint8) for value in (0, 255)])
    named = {"axes": "CYX", "Channel": {"Name": ["border", "interior"]}}
    tifffile.imwrite(tmp_path / "field.ome.tif", planes, ome=True, photometric="minisblack", metadata=named)
    (tmp_path / "maps.toml").write_text('scale = 255\n[outputs]\ncell = ["interior"]\n')
    assert load_teacher(f"maps:{tmp_path}").maps(np.zeros((0, 30, 60), np.float32), HINT).min() == 1
    (tmp_path / "maps.toml").write_text('scale = 255\n[outputs]\ncell = ["inside"]\n')
    with pytest.raises(DataError, match=r"has the planes border, interior, but inside is wanted"):
        load_teacher(f"maps:{tmp_path}").maps(np.zeros((0, 30, 60), np.float32), HINT)


def test_labels_have_no_scale(tmp_path):
    (tmp_path / "maps.toml").write_text('kind = "labels"\nscale = 2\n[outputs]\ncell = ["a"]\n')
    with pytest.raises(DataError, match=r"no scale"):
        load_teacher(f"maps:{tmp_path}")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real maps in ../shared")
def test_real_maps_of_real_tools(tmp_path):
    mibi = f'folder = "{SHARED / "data/mibi/teacher_maps"}"\nscale = 126\n[outputs]\n'
    (tmp_path / "mibi.toml").write_text(mibi + 'cell = ["pixel_interior", "pixel_border"]\n')
    maps = load_teacher(f"maps:{tmp_path / 'mibi.toml'}").maps(
        np.zeros((0, 1024, 1024), np.float32), Hint(case="point8")
    )
    assert maps.shape == (1, 1024, 1024)
    assert 0.1 < (maps > 0.5).mean() < 0.9
    codex = f'folder = "{SHARED / "data/codex/tools"}"\nkind = "labels"\n[outputs]\n'
    (tmp_path / "codex.toml").write_text(codex + 'cell = ["Cellpose-0.6.1"]\n')
    maps = load_teacher(f"maps:{tmp_path / 'codex.toml'}").maps(
        np.zeros((0, 1008, 1344), np.float32), Hint(case="X003_Y004")
    )
    assert maps[1].sum() < maps[0].sum()


# model


def test_a_model_is_what_its_card_says(model_folder):
    teacher = load_teacher(f"model:{model_folder}", channels=("DAPI", "actin"))
    contract = teacher.contract
    assert contract.channels == ("DAPI", "actin")
    assert contract.outputs == ("cell", "cell.boundary")
    assert (contract.rule, contract.labels_seen, contract.pixel_size) == (FullRangeRule(), 5, 0.5)
    image = image_for(teacher)
    with torch.no_grad():
        wanted = torch.sigmoid(teacher.model.module(torch.from_numpy(image)[None]))[0].numpy()
    assert np.allclose(teacher.maps(image), wanted)


@pytest.mark.parametrize("prompting", ["grid", "boxes"])
def test_prompts_work_in_bfloat16(sam_folder, prompting):
    options = TeacherOptions(precision="bfloat16")
    rgb = ("red", "green", "blue")
    teacher = load_teacher(f"sam:{sam_folder}", channels=rgb, prompting=prompting, options=options)
    full = load_teacher(f"sam:{sam_folder}", channels=rgb, prompting=prompting)
    image = image_for(teacher)
    assert abs(teacher.maps(image, HINT) - full.maps(image, HINT)).mean() < 0.1
