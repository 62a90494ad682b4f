"""Adapters: only what changed is kept, the base must be the same, and the teacher keeps its contract."""

import json
from importlib import resources

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from segdistill.errors import ConfigError, DataError
from segdistill.teachers import TeacherOptions, load_teacher
from segdistill.teachers.sam import SamTeacher
from segdistill.teachers.sam_adapter import AdapterBase, AdapterCard, read_adapter, save_adapter
from segdistill.teachers.sam_build import load_sam
from segdistill.teachers.sam_learner import new_learner
from segdistill.testing import check_teacher

SIZE = 48  # the network was made for 64: position tables are interpolated
CHANNELS = ("blank", "nucleus", "membrane")


def learnt(base, how, outputs, rank=2):
    """A learner whose values training might have left."""
    learner = new_learner(base.model, how, outputs=outputs, rank=rank, seed=0)
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in learner.parameters():
            if value.requires_grad:
                value.add_(0.05 * torch.randn(value.shape, generator=draw))
    return learner


def make(folder, source, how, outputs=("cell", "cell.boundary"), channels=CHANNELS):
    """Write an adapter of the SAM in a folder; return the teacher that it should be again."""
    base = load_sam(f"sam:{source}", channels=CHANNELS, weights=None, device="cpu", options=TeacherOptions(size=SIZE))
    learner = None if how == "none" else learnt(base, how, len(outputs))
    contract = base.contract
    card = AdapterCard(
        how=how,
        base=AdapterBase(
            name=contract.name,
            weights_sha256=contract.weights_sha256,
            licence=contract.licence,
            labels_seen=contract.labels_seen,
        ),
        rank=2 if how == "lora" else None,
        scaling=1.0 if how == "lora" else None,
        targets=(),
        channels=channels,
        outputs=outputs,
        size=SIZE,
        tile=contract.tile,
        pixel_size=None,
        fitted_on=() if how == "none" else ("aa", "bb", "cc"),
        chosen_on=() if how == "none" else ("cc", "dd"),
        validation={},
    )
    save_adapter(folder, learner, card)
    return base if learner is None else SamTeacher(learner.model, contract, learner.ask)


def sizes(folder):
    return sum(path.stat().st_size for path in folder.iterdir())


@pytest.mark.parametrize("how", ["none", "probe", "lora", "full"])
def test_an_adapted_teacher_keeps_its_contract(how, sam_folder, tmp_path):
    make(tmp_path / "a", sam_folder, how)
    teacher = load_teacher(f"adapter:{tmp_path / 'a'}")
    assert teacher.contract.size == SIZE
    assert teacher.contract.channels == CHANNELS
    check_teacher(teacher)


@pytest.mark.parametrize("how", ["probe", "lora", "full"])
@pytest.mark.parametrize("outputs", [("cell",), ("a", "b", "c", "d", "e")])
def test_loaded_it_says_what_it_said_when_it_was_fitted(how, outputs, sam_folder, tmp_path, picture):
    before = make(tmp_path / "a", sam_folder, how, outputs).maps(picture)
    teacher = load_teacher(f"adapter:{tmp_path / 'a'}")
    assert teacher.contract.outputs == outputs
    np.testing.assert_allclose(teacher.maps(picture), before, atol=1e-5)
    assert not any(".down." in name or ".up." in name for name, _ in teacher.model.named_parameters())  # merged


def test_nothing_that_did_not_change_is_kept(sam_folder, tmp_path):
    for how in ("none", "probe", "lora", "full"):
        make(tmp_path / how, sam_folder, how)
    assert load_file(tmp_path / "none" / "adapter.safetensors") == {}
    assert not any("k_proj" in name or "qkv.layer" in name for name in load_file(tmp_path / "lora/adapter.safetensors"))
    assert sizes(tmp_path / "lora") < 0.5 * sizes(tmp_path / "full") < 0.6 * sizes(sam_folder)


def test_its_labels_are_counted_each_once(sam_folder, tmp_path):
    make(tmp_path / "a", sam_folder, "lora")
    contract = load_teacher(f"adapter:{tmp_path / 'a'}").contract
    assert contract.labels_seen == 4
    assert "adapted (lora) on 3 labelled images and chosen on 2" in contract.note
    assert contract.prompting == "tuned"
    make(tmp_path / "none", sam_folder, "none")
    contract = load_teacher(f"adapter:{tmp_path / 'none'}").contract
    assert (contract.labels_seen, contract.prompting) == (0, "grid")


def test_its_hash_is_of_both_files(sam_folder, tmp_path):
    for how in ("lora", "full"):
        make(tmp_path / how, sam_folder, how)
    one, other = (load_teacher(f"adapter:{tmp_path / how}").contract.weights_sha256 for how in ("lora", "full"))
    assert one != other
    assert one.partition("+")[0] == other.partition("+")[0]


def test_it_takes_the_users_names_of_its_channels(sam_folder, tmp_path):
    make(tmp_path / "a", sam_folder, "probe")
    teacher = load_teacher(f"adapter:{tmp_path / 'a'}", channels=("DAPI", "actin"))
    assert teacher.contract.channels == ("blank", "DAPI", "actin")
    with pytest.raises(ConfigError, match=r"tuned on 2 channels \(nucleus, membrane\), but was given 1"):
        load_teacher(f"adapter:{tmp_path / 'a'}", channels=("DAPI",))


def test_its_channels_are_its_own_and_not_those_of_its_base(tmp_path):
    tuned = resources.files("segdistill.teachers") / "embedded" / "sam-tiny-tissue.safetensors"
    other = ("blank", "membrane", "nucleus")
    make(tmp_path / "a", tuned, "probe", channels=other)
    assert load_teacher(f"adapter:{tmp_path / 'a'}").contract.channels == other
    with pytest.raises(ConfigError, match=r"order membrane, nucleus, but was given nucleus, membrane"):
        load_teacher(f"adapter:{tmp_path / 'a'}", channels=("nucleus", "membrane"))


def test_the_same_weights_elsewhere_may_be_named(sam_folder, tmp_path, picture):
    make(tmp_path / "a", sam_folder, "lora")
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in sam_folder.iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    here = load_teacher(f"adapter:{tmp_path / 'a'}").maps(picture)
    there = load_teacher(f"adapter:{tmp_path / 'a'}", weights=moved).maps(picture)
    np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize("how", ["none", "probe", "lora", "full"])
def test_another_base_is_refused_with_both_hashes(how, sam_folder, make_sam, tmp_path):
    make(tmp_path / "a", sam_folder, how)
    other = tmp_path / "other"
    other.mkdir()
    model = make_sam(seed=7)
    save_file({key: value.clone() for key, value in model.state_dict().items()}, other / "model.safetensors")
    (other / "config.json").write_text(json.dumps(model.config.to_dict()))
    ours = read_adapter(tmp_path / "a").base.weights_sha256
    theirs = load_sam(f"sam:{other}", channels=CHANNELS, weights=None, device="cpu").contract.weights_sha256
    with pytest.raises(DataError, match=rf"{ours[:12]}.*{theirs[:12]}.*--teacher-weights"):
        load_teacher(f"adapter:{tmp_path / 'a'}", weights=other)


def test_what_is_damaged_or_no_adapter_is_refused(sam_folder, tmp_path):
    with pytest.raises(ConfigError, match="no folder"):
        load_teacher(f"adapter:{tmp_path / 'nowhere'}")
    with pytest.raises(DataError, match=r"no whole adapter: it has no adapter\.json"):
        load_teacher(f"adapter:{sam_folder}")
    make(tmp_path / "a", sam_folder, "lora")
    weights, card = tmp_path / "a" / "adapter.safetensors", tmp_path / "a" / "adapter.json"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-4] + b"\0\1\2\3")
    with pytest.raises(DataError, match="is not what its card describes"):
        load_teacher(f"adapter:{tmp_path / 'a'}")
    weights.write_bytes(whole)
    card.write_text(card.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(DataError, match="no card of format 1"):
        load_teacher(f"adapter:{tmp_path / 'a'}")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"prompting": "grid"}, "prompting grid"),
        ({"options": TeacherOptions(size=64)}, "size 64"),
    ],
)
def test_options_that_it_cannot_follow_are_refused(asked, words, sam_folder, tmp_path):
    make(tmp_path / "a", sam_folder, "lora")
    with pytest.raises(ConfigError, match=f"takes no {words}: it answers as it was fitted"):
        load_teacher(f"adapter:{tmp_path / 'a'}", **asked)


def test_half_precision_is_cast_after_merging(sam_folder, tmp_path, picture):
    make(tmp_path / "a", sam_folder, "lora")
    half = load_teacher(f"adapter:{tmp_path / 'a'}", options=TeacherOptions(precision="bfloat16"))
    assert half.contract.precision == "bfloat16"
    assert half.model.dtype == torch.bfloat16
    assert float(np.abs(half.maps(picture) - load_teacher(f"adapter:{tmp_path / 'a'}").maps(picture)).mean()) < 0.05


def test_only_a_sam_has_adapters(tmp_path):
    with pytest.raises(ConfigError, match=r"'blurred:2' takes no adapter: it is no SAM"):
        load_sam("blurred:2", channels=CHANNELS, weights=None, device="cpu", purpose="adapter")
