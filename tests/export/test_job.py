import json
import shutil

import numpy as np
import pytest

from segdistill.errors import ConfigError, DataError, EnvironmentFault, UnknownName
from segdistill.export import export, job
from segdistill.inference import Options, predict, predict_files
from segdistill.inference.export_card import Equality, read_export
from segdistill.settings import Export, validated


def ignore(_):
    pass


def test_the_card_says_how_equal_each_format_is_and_names_every_file(exported):
    card = read_export(exported)
    assert sorted(path.name for path in exported.iterdir() if not path.name.startswith(".")) == [
        "export.json",
        "model.onnx",
        "openvino.bin",
        "openvino.xml",
        "settings.json",
    ]
    assert {name for kind in card.formats.values() for name in kind.files} == {
        "model.onnx",
        "openvino.xml",
        "openvino.bin",
    }
    for kind in card.formats.values():
        assert kind.equality.difference < 1e-4
        assert kind.equality.dice["cell"] > 0.999
        assert 0.001 < kind.equality.foreground["cell"] < 0.99
        assert (kind.equality.images, kind.equality.megapixels) == (2, (75 * 110 + 64 * 140) / 1e6)
    assert len(card.compared_on) == 2


def test_what_is_there_is_kept_what_was_lost_is_made_again_and_more_may_be_asked_for(folder, images, tmp_path):
    settings = Export(model=folder, out=tmp_path / "out", formats=("torchscript",), check=(images,))
    assert export(settings, notice=ignore).made == ("torchscript",)
    assert export(settings, notice=ignore).made == ()
    (tmp_path / "out" / "model.torchscript").write_bytes(b"damaged")
    both = settings.model_copy(update={"formats": ("torchscript", "torch-export")})
    done = export(both, notice=ignore)
    assert done.made == ("torchscript", "torch-export")
    assert list(done.card.formats) == ["torchscript", "torch-export"]
    with pytest.raises(ConfigError, match="has only torch-export, torchscript, for other programs"):
        predict(tmp_path / "out", np.zeros((20, 30), np.uint8))


def test_a_damaged_file_is_refused(exported, tmp_path):
    shutil.copytree(exported, tmp_path / "copy")
    (tmp_path / "copy" / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"model\.onnx is another file than .*export\.json names"):
        predict(tmp_path / "copy", np.zeros((20, 30), np.uint8), options=Options(backend="onnx"))
    (tmp_path / "copy" / "openvino.bin").unlink()
    with pytest.raises(DataError, match=r"openvino\.bin is missing, but .*export\.json names"):
        predict(tmp_path / "copy", np.zeros((20, 30), np.uint8), options=Options(backend="openvino-fp32"))


def test_other_images_are_refused_in_the_same_folder(exported, folder, images):
    with pytest.raises(ConfigError, match=r"compared_on: 2 images, \w+ there, 1 images, \w+ here"):
        export(Export(model=folder, out=exported, check=(images / "0.png",)), notice=ignore)


def test_masks_are_those_of_the_student(exported, folder, images):
    for name in ("0.png", "1.png"):
        wanted = predict(folder, images / name, options=Options(device="cpu", tile=96))
        for backend in ("onnx", "openvino-fp32"):
            found = predict(exported, images / name, options=Options(tile=96, backend=backend))
            assert np.count_nonzero((found["cell"] > 0) != (wanted["cell"] > 0)) <= 1  # rounding at a threshold
            assert abs(int(found["cell"].max()) - int(wanted["cell"].max())) <= 1


def test_the_fastest_backend_is_named_and_kept_for_a_folder_of_masks(exported, images, tmp_path):
    lines = []
    predict_files(exported, [images / "0.png"], tmp_path / "out", options=Options(), notice=lines.append)
    assert lines[0].startswith("Backend o")
    assert "onnx" in lines[0]
    assert "openvino-fp32" in lines[0]
    chosen = json.loads((tmp_path / "out" / "settings.json").read_text())["backend"]
    record = json.loads((tmp_path / "out" / "predictions.jsonl").read_text())
    assert record["device"] == f"cpu, {chosen}"
    again = []
    summary = predict_files(exported, [images], tmp_path / "out", options=Options(), notice=again.append)
    assert (summary.skipped, summary.done) == (("0",), ("1",))
    assert not any("fastest" in line for line in again)
    other = ({"onnx", "openvino-fp32"} - {chosen}).pop()
    with pytest.raises(ConfigError, match=f"backend: {chosen} there, {other} here"):
        predict_files(exported, [images], tmp_path / "out", options=Options(backend=other))


def test_a_backend_that_is_not_there_is_refused_by_name(exported, folder):
    image = np.zeros((20, 30), np.uint8)
    with pytest.raises(UnknownName, match="openvino-int8"):
        predict(exported, image, options=Options(backend="openvino-int8"))
    with pytest.raises(ConfigError, match="--backend onnx runs an exported model"):
        predict(folder, image, options=Options(device="cpu", backend="onnx"))
    with pytest.raises(EnvironmentFault, match="an exported model runs on the CPU"):
        predict(exported, image, options=Options(device="cuda"))


def test_a_format_that_loses_too_much_is_removed_and_told_with_numbers(folder, images, tmp_path, monkeypatch):
    def worse(*_):
        return Equality(
            difference=0.2,
            dice={"cell": 0.998},
            average_precision={"cell": 0.9449},
            foreground={"cell": 0.3},
            images=2,
            megapixels=0.01,
        )

    monkeypatch.setattr(job, "compare", worse)
    done = export(Export(model=folder, out=tmp_path / "out", formats=("torchscript",), check=(images,)), notice=ignore)
    assert done.made == ()
    assert done.failed["torchscript"].startswith(
        "torchscript is not kept: against the student it loses 5.51 points, and at most 0.5 are allowed"
        " (Dice of cell 0.9980, AP@0.5 of cell 0.9449; probabilities differ by up to 0.2)."
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".lock", "settings.json"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"formats": ["openvino-int8"], "check": ["images"]}, r"--calibration FOLDER, or leave it out of --formats"),
        ({"formats": ["onnx"]}, r"with --check FOLDER"),
        ({"formats": ["onxx"], "check": ["images"]}, r"formats\.0: must be 'onnx'"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_anything_is_read(values, words):
    with pytest.raises(ConfigError, match=words):
        validated(Export, {"model": "model", "out": "out", **values})
