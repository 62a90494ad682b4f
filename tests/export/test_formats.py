"""Each format says what the student says, at any size, from raw pixels."""

import numpy as np
import pytest
import torch

from segdistill.data.normalisation import normalise
from segdistill.export.torch_files import load_torchscript
from segdistill.networks import BUILTIN

SHAPES = ((1, 71, 133), (2, 160, 33))
CHANNELS = ("nucleus", "membrane")


def differences(compute, student, *, channels=2):
    """The largest differences of probabilities at sizes with which the graph was not made; raw pixels, 16 bits."""
    generator = np.random.default_rng(0)
    found = []
    for batch, height, width in SHAPES:
        raw = generator.integers(0, 50_000, (batch, channels, height, width)).astype(np.uint16)
        low, high = (np.linspace(*ends, channels).astype(np.float32) for ends in ((100, 2_000), (30_000, 48_000)))
        seen = np.stack([normalise(image, low, high) for image in raw])
        with torch.inference_mode():
            wanted = torch.sigmoid(student(torch.from_numpy(seen))).numpy()
        maps = compute(raw.astype(np.float32), low, high)
        assert maps.shape == wanted.shape
        found.append(float(np.abs(maps - wanted).max()))
    return found


@pytest.mark.parametrize("name", sorted(BUILTIN))
def test_every_named_student_becomes_onnx(name, card, student, written):
    own = card(name, CHANNELS)
    module = student(own)
    compute, made_by = written("onnx", own, module)
    assert max(differences(compute, module)) < 1e-4
    assert "opset 18" in made_by
    assert ("one recorded pass" in made_by) == (name == "unet-swin-tiny")


@pytest.mark.parametrize("name", ["openvino-fp32", "torch-export", "torchscript", "bioimageio"])
def test_every_other_format_of_the_tiny_student(name, card, student, written):
    own = card("unet-tiny", ("a", "b", "c"))
    module = student(own)
    compute, _ = written(name, own, module)
    assert max(differences(compute, module, channels=3)) < 1e-4


def test_a_channel_without_any_range_becomes_nothing(card, student, written):
    own = card("unet-tiny", CHANNELS)
    module = student(own)
    compute, _ = written("onnx", own, module)
    raw = np.full((1, 2, 40, 56), 7, np.float32)
    low = np.float32([7, 7])
    maps = compute(raw, low, low)
    with torch.inference_mode():
        np.testing.assert_allclose(maps, torch.sigmoid(module(torch.zeros(1, 2, 40, 56))).numpy(), atol=1e-5)


def test_torchscript_alone_takes_the_percentiles_of_what_it_is_given(card, student, written, tmp_path):
    own = card("unet-tiny", CHANNELS)
    compute, _ = written("torchscript", own, student(own))
    image = np.random.default_rng(3).normal(500, 90, (1, 2, 40, 57)).astype(np.float32)
    low, high = (np.percentile(image[0], q, axis=(1, 2)).astype(np.float32) for q in (0.1, 99.9))
    alone = load_torchscript(tmp_path / "model.torchscript")(torch.from_numpy(image))
    np.testing.assert_allclose(alone.detach().numpy(), compute(image, low, high), atol=1e-4)
