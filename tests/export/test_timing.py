import json

import pytest

from segdistill.errors import ConfigError
from segdistill.export import bench
from segdistill.export.timing import Backend, time_backend
from segdistill.networks.model import Model, save_model
from segdistill.settings import Bench

SMALL = {"side": 96, "tile": 96, "repeats": 2, "threads": 1}


def test_a_way_is_timed_in_a_process_of_its_own_and_kept_as_json(folder, tmp_path):
    found = bench(Bench(model=folder, out=tmp_path / "bench.json", **SMALL), notice=lambda _: None)
    assert found.failed == {}
    [one] = found.timed
    assert (one.backend, one.precision, one.threads) == ("torch", "float32", 1)
    kept = json.loads((tmp_path / "bench.json").read_text())
    assert kept["facts"]["image"] == [96, 144]
    assert kept["facts"]["parameters"] > 0
    assert kept["timed"][0]["backend"] == "torch"


def test_an_export_of_another_model_is_refused(exported, tmp_path, card, student):
    own = card(channels=("other",))
    save_model(tmp_path / "model", Model(student(own).train(), own.model_copy(update={"crop": 32})))
    other = tmp_path / "model" / "model.json"
    other.write_text(other.read_text().replace('"weights_sha256": "', '"weights_sha256": "0'))
    with pytest.raises(ConfigError, match="exported from other weights"):
        bench(Bench(model=tmp_path / "model", exported=exported), notice=lambda _: None)


@pytest.mark.parametrize("name", ["torch", "onnx", "openvino-fp32"])
def test_times_are_of_windows_and_in_their_units(name, folder, exported):
    way = Backend(name, folder if name == "torch" else exported)
    one = time_backend(way, Bench(model=folder, **SMALL), threads=1)
    assert 0 < one.ms_per_megapixel <= one.median_ms_per_megapixel
    assert one.megapixels_per_second == pytest.approx(1e3 / one.ms_per_megapixel)
