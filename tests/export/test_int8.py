import numpy as np
import pytest

from segdistill.data.image import Image
from segdistill.export import openvino_files
from segdistill.export.comparison import Shown
from segdistill.export.formats import FORMATS, Source
from segdistill.export.graph import Graph
from segdistill.inference.windows import View


def shown(seed):
    pixels = np.random.default_rng(seed).integers(0, 50_000, (1, 64, 96)).astype(np.uint16)
    image = Image(pixels, ("channel0",), None, "noise")
    return Shown(View(image, ("channel0",), np.float32([0]), np.float32([50_000])), pixels.astype(np.float32), "")


def test_int8_is_near_the_student_and_normalisation_stays_exact(card, student, tmp_path, monkeypatch):
    own, kind = card(), FORMATS["openvino-int8"]
    module = student(own)
    made_by = kind.write(tmp_path / kind.files[0], Source(Graph(module).eval(), own, [shown(0), shown(1)], tmp_path))
    assert "ranges from 2 windows" in made_by
    exact = FORMATS["onnx"].load(tmp_path / "model.onnx")
    compute = kind.load(tmp_path / kind.files[0])
    pixels = shown(2).pixels[None]
    zero, high = np.float32([0]), np.float32([50_000])
    maps = compute(pixels, zero, high)
    assert 0 < np.abs(maps - exact(pixels, zero, high)).mean() < 0.05  # 8 bits are at work, and are enough
    # An image of other numbers and the same look is the same to the graph: its raw pixels are nowhere in 8 bits.
    np.testing.assert_allclose(compute(pixels / 50, zero, high / 50), maps, atol=0.02)


def test_the_normalisation_and_the_last_sigmoid_are_left_out(exported):
    openvino = pytest.importorskip("openvino")
    model = openvino.Core().read_model(exported / "model.onnx")
    kinds = {each.get_friendly_name(): each.get_type_name() for each in model.get_ordered_ops()}
    found = {kinds[name] for name in openvino_files._outside(model)}
    assert {"Subtract", "Divide", "Sigmoid"} <= found
    assert "Convolution" not in found
