import json

import pytest

from segdistill.errors import ConfigError
from segdistill.export import bench, export
from segdistill.export.timing import Backend, time_backend
from segdistill.networks.model import Model, save_model
from segdistill.settings import Bench, Export


def test_each_way_is_timed_in_a_process_of_its_own_and_kept_as_json(folder, images, tmp_path):
    export(Export(model=folder, out=tmp_path / "exported", formats=("onnx",), check=(images,)), notice=lambda _: None)
    settings = Bench(
        model=folder,
        exported=tmp_path / "exported",
        out=tmp_path / "bench.json",
        side=96,
        tile=96,
        repeats=2,
        threads=1,
    )
    found = bench(settings, notice=lambda _: None)
    assert found.failed == {}
    assert [one.backend for one in found.timed] == ["torch", "onnx"]
    for one in found.timed:
        assert 0 < one.ms_per_megapixel <= one.median_ms_per_megapixel
        assert one.megapixels_per_second == pytest.approx(1e3 / one.ms_per_megapixel)
    kept = json.loads((tmp_path / "bench.json").read_text())
    assert kept["facts"]["image"] == [96, 144]
    assert kept["facts"]["parameters"] > 0
    assert [one["backend"] for one in kept["timed"]] == ["torch", "onnx"]


def test_an_export_of_another_model_is_refused(folder, images, tmp_path, card, student):
    export(Export(model=folder, out=tmp_path / "exported", formats=("onnx",), check=(images,)), notice=lambda _: None)
    own = card(channels=("other",))
    save_model(tmp_path / "model", Model(student(own).train(), own.model_copy(update={"crop": 32})))
    other = tmp_path / "model" / "model.json"
    other.write_text(other.read_text().replace('"weights_sha256": "', '"weights_sha256": "0'))
    with pytest.raises(ConfigError, match="exported from other weights"):
        bench(Bench(model=tmp_path / "model", exported=tmp_path / "exported"), notice=lambda _: None)


def test_time_is_of_the_windows_that_predict_would_compute(folder):
    one = time_backend(Backend("torch", folder), Bench(model=folder, side=64, tile=64, repeats=1), threads=1)
    assert (one.precision, one.threads) == ("float32", 1)
