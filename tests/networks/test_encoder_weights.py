import socket

import pytest
import safetensors.torch
import timm
import torch

from segdistill.errors import ConfigError, DataError
from segdistill.networks import build_student

NAMES = {  # student: timm's name
    "unet-resnet18": "resnet18",
    "unet-efficientnet-b0": "efficientnet_b0",
    "unet-mobilenetv3": "mobilenetv3_small_100",
    "unet-swin-tiny": "swin_tiny_patch4_window7_224",
    "unet-convnext_atto": "convnext_atto",
}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def published(encoder, folder):
    """Write a file as timm publishes it: the whole classifier, for three channels."""
    torch.manual_seed(7)
    whole = timm.create_model(encoder).eval()
    path = folder / f"{encoder}.safetensors"
    safetensors.torch.save_file({k: v.contiguous() for k, v in whole.state_dict().items()}, path)
    return whole, path


def features(student, image):
    return [level for level in student.encoder(image)[1:] if level.shape[1]]


@pytest.mark.parametrize(
    ("name", "channels"), [*((name, 1) for name in sorted(NAMES)), ("unet-resnet18", 3), ("unet-convnext_atto", 6)]
)
def test_a_grey_picture_has_the_features_of_the_published_network(name, channels, tmp_path):
    whole, path = published(NAMES[name], tmp_path)
    torch.manual_seed(0)
    student = build_student(name, channels=channels, outputs=1, encoder_weights=path).eval()
    grey = torch.rand(1, 1, 224, 224)
    torch.manual_seed(9)
    with torch.inference_mode():
        reference = timm.create_model(NAMES[name], features_only=True).eval()
        names = dict.fromkeys(reference.state_dict())
        flat = {key.replace(".", "_"): value for key, value in whole.state_dict().items()}
        reference.load_state_dict({key: flat[key.replace(".", "_")] for key in names})
        expected = reference(grey.expand(-1, 3, -1, -1))
        found = features(student, grey.expand(-1, channels, -1, -1))
    if getattr(reference, "output_fmt", None) == "NHWC":
        expected = [level.permute(0, 3, 1, 2) for level in expected]
    assert [tuple(level.shape) for level in found] == [tuple(level.shape) for level in expected]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_two_channels_take_red_and_green_times_three_halves(tmp_path):
    whole, path = published("resnet18", tmp_path)
    student = build_student("unet-resnet18", channels=2, outputs=1, encoder_weights=path)
    torch.testing.assert_close(student.encoder.model.conv1.weight, whole.conv1.weight[:, :2] * 1.5)


def test_the_rest_of_the_student_is_as_without_encoder_weights(tmp_path):
    _, path = published("mobilenetv3_small_100", tmp_path)
    heads = []
    for weights in (None, path):
        torch.manual_seed(3)
        student = build_student("unet-mobilenetv3", channels=1, outputs=2, encoder_weights=weights)
        heads.append((student.network.segmentation_head.state_dict(), torch.rand(2)))
    torch.testing.assert_close(heads[0], heads[1])


def test_missing_weights_are_named(tmp_path):
    whole, path = published("resnet18", tmp_path)
    state = whole.state_dict()
    del state["layer3.0.conv2.weight"], state["bn1.bias"]
    safetensors.torch.save_file(state, path)
    with pytest.raises(
        DataError, match=r"lacks 2 of the \d+ weights of timm's resnet18: bn1.bias, layer3.0.conv2.weight"
    ):
        build_student("unet-resnet18", channels=1, outputs=1, encoder_weights=path)


def test_weights_of_another_encoder_are_refused(tmp_path):
    _, path = published("resnet10t", tmp_path)
    with pytest.raises(DataError, match="timm's resnet18"):
        build_student("unet-resnet18", channels=1, outputs=1, encoder_weights=path)


def test_weights_of_another_shape_are_named(tmp_path):
    whole, path = published("resnet18", tmp_path)
    state = whole.state_dict()
    state["conv1.weight"] = state["conv1.weight"][:, :1].contiguous()
    safetensors.torch.save_file(state, path)
    with pytest.raises(DataError, match=r"conv1.weight \(64, 1, 7, 7\) instead of \(64, 3, 7, 7\)"):
        build_student("unet-resnet18", channels=1, outputs=1, encoder_weights=path)


def test_a_student_without_timm_encoder_refuses_them(tmp_path):
    with pytest.raises(ConfigError, match="has no timm encoder"):
        build_student("unet-tiny", channels=1, outputs=1, encoder_weights=tmp_path / "x.safetensors")


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"There is no file .*x\.safetensors"):
        build_student("unet-mobilenetv3", channels=1, outputs=1, encoder_weights=tmp_path / "x.safetensors")
