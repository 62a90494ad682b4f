import errno
import json
import os
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch

from segdistill.errors import DataError, EnvironmentFault, UnknownName
from segdistill.files import sha256_file
from segdistill.networks import Model, ModelCard, build_student, load_model, save_model
from segdistill.networks import model as model_module


def tiny(seed=0, **changes):
    values = {
        "architecture": "unet-tiny",
        "channels": ("nucleus", "membrane"),
        "normalisation": {"rule": "percentile"},
        "structures": ({"name": "cell", "instances": True},),
        "crop": 64,
        "pixel_size": 0.5,
    }
    torch.manual_seed(seed)
    return Model(build_student("unet-tiny", channels=2, outputs=2), ModelCard.model_validate({**values, **changes}))


@pytest.fixture
def saved(tmp_path):
    save_model(tmp_path / "model", tiny())
    return tmp_path / "model"


def scores(model):
    return model.module(torch.linspace(0, 1, 2 * 13 * 21).reshape(1, 2, 13, 21))


def change_card(folder, **changes):
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def change_weights(folder, change):
    """Replace the weights by changed ones, and the card's hash with theirs."""
    path = folder / "model.safetensors"
    state = safetensors.torch.load_file(path)
    change(state)
    safetensors.torch.save_file(state, path)
    change_card(folder, weights_sha256=sha256_file(path))


def test_a_model_comes_back_with_equal_scores_and_card(saved):
    original, loaded = tiny(), load_model(saved)
    assert torch.equal(scores(loaded), scores(original))
    assert loaded.card == original.card.model_copy(update={"weights_sha256": sha256_file(saved / "model.safetensors")})
    assert not loaded.module.training
    assert sorted(path.name for path in saved.iterdir()) == ["README.md", "model.json", "model.safetensors"]


def test_batch_statistics_are_kept(tmp_path):
    student = build_student("unet-mobilenetv3", channels=2, outputs=2)
    student(torch.rand(2, 2, 64, 96))  # in training: moves the running mean
    original = Model(student.eval(), tiny().card.model_copy(update={"architecture": "unet-mobilenetv3"}))
    save_model(tmp_path, original)
    assert torch.equal(scores(load_model(tmp_path)), scores(original))


def test_the_same_model_makes_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        save_model(tmp_path / name, tiny())
    assert (tmp_path / "a/model.json").read_bytes() == (tmp_path / "b/model.json").read_bytes()


def test_loading_does_not_move_the_callers_generator(saved):
    torch.manual_seed(4)
    expected = torch.rand(2)
    torch.manual_seed(4)
    load_model(saved)
    assert torch.equal(torch.rand(2), expected)


def test_writing_that_stops_between_weights_and_card_is_refused(saved, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(model_module, "write_json", stop)
    with pytest.raises(KeyboardInterrupt):
        save_model(saved, tiny(seed=1))
    with pytest.raises(DataError, match=r"do not belong together.*writing was interrupted"):
        load_model(saved)


def test_a_full_disk_leaves_the_old_model(saved, monkeypatch):
    def full(self, data):
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    before = scores(load_model(saved))
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(EnvironmentFault, match="no room"):
        save_model(saved, tiny(seed=1))
    monkeypatch.undo()
    assert torch.equal(scores(load_model(saved)), before)
    assert not list(saved.glob("*.partial"))


def test_a_partial_file_of_a_killed_writer_does_not_matter(saved):
    (saved / "model.safetensors.partial").write_bytes(b"half")
    load_model(saved)


def test_weights_that_do_not_fit_the_card_are_not_saved(tmp_path):
    model = tiny(structures=({"name": "cell", "instances": False},))
    with pytest.raises(DataError, match=r"another shape network\.head\.bias \(2,\) instead of \(1,\)"):
        save_model(tmp_path / "model", model)
    assert not (tmp_path / "model").exists()


def test_missing_and_superfluous_weights_are_listed(saved):
    def change(state):
        state["network.tail.bias"] = state.pop("network.head.bias")

    change_weights(saved, change)
    with pytest.raises(DataError, match=r"lacks network\.head\.bias; it has, superfluous, network\.tail\.bias"):
        load_model(saved)


def test_one_changed_byte_is_refused(saved):
    path = saved / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="do not belong together"):
        load_model(saved)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_a_cut_file_is_refused(saved, share):
    path = saved / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(DataError, match="not a whole safetensors file"):
        load_model(saved)


def test_weights_without_card_or_card_without_weights_are_refused(saved):
    (saved / "model.safetensors").rename(saved / "weights.safetensors")
    with pytest.raises(DataError, match=r"There is no file .*model\.safetensors"):
        load_model(saved)
    (saved / "model.json").unlink()
    with pytest.raises(DataError, match="is not a model"):
        load_model(saved)


def test_an_unknown_architecture_is_refused_with_the_nearest(saved):
    change_card(saved, architecture="unet-tinny")
    with pytest.raises(UnknownName, match="Did you mean 'unet-tiny'"):
        load_model(saved)


def test_a_file_of_another_version_is_refused(saved):
    change_card(saved, format=7)
    with pytest.raises(DataError, match="format 7"):
        load_model(saved)


class Payload:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("name", ["model.pt", "model.PTH", "model.ckpt"])
def test_a_pickle_is_refused_unopened_and_the_converter_shown(tmp_path, name):
    marker, path = tmp_path / "ran", tmp_path / name
    path.write_bytes(pickle.dumps(Payload(marker)))
    with pytest.raises(DataError, match=r"refused unopened.*weights_only=True"):
        load_model(path)
    assert not marker.exists()


def test_a_pickle_under_the_name_of_weights_does_not_run(saved):
    marker = saved / "ran"
    (saved / "model.safetensors").write_bytes(pickle.dumps(Payload(marker)))
    with pytest.raises(DataError, match="not a whole safetensors file"):
        load_model(saved)
    assert not marker.exists()


def test_a_file_in_place_of_a_folder_is_refused(saved):
    with pytest.raises(DataError, match="Give the folder of a model"):
        load_model(saved / "model.json")
