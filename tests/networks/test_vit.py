"""ViT-Tiny: its size, its positions, timm's own results, and weights from files."""

import pytest
import safetensors.torch
import timm
import torch

from segdistill.errors import ConfigError, DataError
from segdistill.networks import build_student
from segdistill.networks.describe import count_parameters
from segdistill.networks.encoder_folder import CARD, WEIGHTS, EncoderCard, read_encoder, save_encoder
from segdistill.networks.grid import interpolation_weights
from segdistill.networks.vit import HEADS, VitEncoder, resized_positions
from segdistill.networks.vit_weights import known_shapes


@pytest.fixture(scope="module")
def published():
    """What timm's ViT-Tiny holds, with its classifier."""
    torch.manual_seed(7)
    return timm.create_model("vit_tiny_patch16_224", num_heads=HEADS).eval()


@pytest.fixture
def student():
    torch.manual_seed(0)
    return build_student("vit-tiny", channels=1, outputs=2).eval()


def weights_file(folder, weights):
    path = folder / "weights.safetensors"
    safetensors.torch.save_file({name: value.contiguous() for name, value in weights.items()}, path)
    return path


def test_the_encoder_is_as_large_as_published_for_three_channels():
    assert count_parameters(VitEncoder(3, HEADS)) == 5_524_416
    assert {name: tuple(value.shape) for name, value in VitEncoder(3, HEADS).model.state_dict().items()} == dict(
        known_shapes()
    )


def test_it_gives_four_grids_the_last_of_which_feeds_the_decoder(student):
    grids = student.encoder(torch.rand(2, 1, 32, 48))
    assert [tuple(grid.shape) for grid in grids] == [(2, 192, 2, 3)] * 4
    with torch.inference_mode():
        image = torch.rand(1, 1, 48, 80)
        last = student.encoder(image)[-1]
        tokens = student.encoder.model.norm.weight.new_tensor(last.movedim(1, -1).numpy())
    assert tokens.mean(-1).abs().max() < 1e-5  # after the encoder's norm, whose weights are still 1 and 0


@pytest.mark.parametrize(("rows", "columns"), [(14, 14), (3, 40), (1, 1), (20, 9)])
def test_positions_are_interpolated_as_token_grids_are(rows, columns):
    table = torch.randn(14, 14, 5, generator=torch.Generator().manual_seed(0))
    along_y, along_x = (torch.from_numpy(interpolation_weights(14, cells)) for cells in (rows, columns))
    wanted = torch.einsum("ay,bx,yxd->abd", along_y, along_x, table)
    torch.testing.assert_close(resized_positions(table, rows, columns), wanted)
    assert torch.equal(resized_positions(table, 14, 14), table)


@pytest.mark.parametrize("kind", ["safetensors", "pickle", "wrapped pickle"])
def test_published_weights_give_the_published_features(kind, published, tmp_path):
    weights = published.state_dict()
    if kind == "safetensors":
        path = weights_file(tmp_path, weights)
    else:
        path = tmp_path / "mae_tiny.pth.tar"
        more = {"decoder_embed.weight": torch.zeros(2), "mask_token": torch.zeros(1)}
        prefixed = {"model": {f"module.model.{name}": value for name, value in {**weights, **more}.items()}}
        torch.save(prefixed if kind == "wrapped pickle" else weights, path)
    torch.manual_seed(0)
    student = build_student("vit-tiny", channels=1, outputs=1, encoder_weights=path).eval()
    grey = torch.rand(1, 1, 224, 224)
    with torch.inference_mode():
        wanted = published.forward_features(grey.expand(-1, 3, -1, -1))[:, 1:]
        found = student.encoder(grey)[-1].flatten(2).transpose(1, 2)
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)


def test_other_weights_are_refused_and_named(published, tmp_path):
    weights = dict(published.state_dict())
    del weights["blocks.3.norm1.bias"]
    weights["pos_embed"] = torch.zeros(1, 577, 192)
    weights["dist_token"] = torch.zeros(1, 1, 192)
    path = weights_file(tmp_path, weights)
    with pytest.raises(DataError) as told:
        build_student("vit-tiny", channels=1, outputs=1, encoder_weights=path)
    assert "it lacks blocks.3.norm1.bias" in str(told.value)
    assert "pos_embed (1, 577, 192) instead of (1, 197, 192)" in str(told.value)
    assert "it has, unknown, dist_token" in str(told.value)
    with pytest.raises(DataError, match="There is no file"):
        build_student("vit-tiny", channels=1, outputs=1, encoder_weights=tmp_path / "none.pth")


class Harmful:
    def __reduce__(self):
        return (print, ("this code ran",))


def test_a_pickle_that_holds_code_is_refused_unrun(tmp_path, capsys):
    path = tmp_path / "weights.pth"
    torch.save({"model": Harmful()}, path)
    with pytest.raises(DataError, match="more than tensors"):
        build_student("vit-tiny", channels=1, outputs=1, encoder_weights=path)
    assert capsys.readouterr().out == ""
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError):
        build_student("vit-tiny", channels=1, outputs=1, encoder_weights=path)


def card_of(**changes):
    usual = {"architecture": "vit-tiny", "channels": ("grey",), "normalisation": {}, "how": "masked", "heads": HEADS}
    return EncoderCard(**(usual | changes))


def test_an_encoder_of_an_earlier_command_is_what_a_student_begins_with(student, tmp_path):
    kept = save_encoder(tmp_path, student.encoder, card_of())
    assert read_encoder(tmp_path) == kept
    torch.manual_seed(5)
    other = build_student("vit-tiny", channels=1, outputs=3, encoder_weights=tmp_path).eval()
    image = torch.rand(1, 1, 32, 48)
    with torch.inference_mode():
        assert torch.equal(other.encoder(image)[-1], student.encoder(image)[-1])
    torch.manual_seed(5)
    plain = build_student("vit-tiny", channels=1, outputs=3)
    assert torch.equal(other.network.head.weight, plain.network.head.weight)  # nothing else is another


def test_a_folder_of_a_unet_s_encoder_serves_that_unet_alone(tmp_path):
    student = build_student("unet-mobilenetv3", channels=2, outputs=1)
    save_encoder(tmp_path, student.encoder, card_of(architecture="unet-mobilenetv3", channels=("a", "b"), heads=None))
    again = build_student("unet-mobilenetv3", channels=2, outputs=4, encoder_weights=tmp_path)
    for one, other in zip(student.encoder.state_dict().values(), again.encoder.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(ConfigError, match="holds the encoder of unet-mobilenetv3, but the student is vit-tiny"):
        build_student("vit-tiny", channels=2, outputs=1, encoder_weights=tmp_path)
    with pytest.raises(ConfigError, match=r"sees 2 channels \(a, b\), but the student sees 1"):
        build_student("unet-mobilenetv3", channels=1, outputs=1, encoder_weights=tmp_path)


def test_half_an_encoder_and_a_changed_one_are_refused(student, tmp_path):
    with pytest.raises(DataError, match=f"it has no {CARD}"):
        read_encoder(tmp_path)
    save_encoder(tmp_path, student.encoder, card_of())
    data = bytearray((tmp_path / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (tmp_path / WEIGHTS).write_bytes(data)
    with pytest.raises(DataError, match="is not what its card describes"):
        build_student("vit-tiny", channels=1, outputs=1, encoder_weights=tmp_path)
