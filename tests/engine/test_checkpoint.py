import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from segdistill.engine.best import Best, read_best, read_best_values, write_best
from segdistill.engine.checkpoint import load_checkpoint, save_checkpoint
from segdistill.errors import DataError


def content(step):
    return {"step": step, "module": {"w": torch.arange(6.0).reshape(2, 3) + step}, "scaler": None, "lr": [0.1, 0.2]}


def test_a_folder_without_checkpoint_has_none(tmp_path, notices):
    assert load_checkpoint(tmp_path / "new", notice=notices.append) is None
    assert notices == []


def test_what_is_saved_is_loaded_and_the_one_before_is_kept(tmp_path, notices):
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, content(step))
    loaded = load_checkpoint(tmp_path, notice=notices.append)
    assert_close(loaded["module"], content(3)["module"], rtol=0, atol=0)
    assert (loaded["step"], loaded["lr"], loaded["scaler"]) == (3, [0.1, 0.2], None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["newest.ckpt", "previous.ckpt"]
    assert torch.load(tmp_path / "previous.ckpt", weights_only=True)["step"] == 2
    assert notices == []


def test_a_run_killed_between_the_two_renames_has_the_previous_one(tmp_path, notices):
    save_checkpoint(tmp_path, content(1))
    (tmp_path / "newest.ckpt").rename(tmp_path / "previous.ckpt")
    (tmp_path / "newest.ckpt.partial").write_bytes(b"half")
    assert load_checkpoint(tmp_path, notice=notices.append)["step"] == 1


@settings(max_examples=40)
@given(place=st.floats(0, 1, exclude_max=True), how=st.sampled_from(["flip", "cut", "empty"]))
def test_a_damaged_newest_gives_way_to_the_previous(tmp_path_factory, place, how):
    folder, notices = tmp_path_factory.mktemp("run"), []
    save_checkpoint(folder, content(1))
    save_checkpoint(folder, content(2))
    newest = folder / "newest.ckpt"
    data = bytearray(newest.read_bytes())
    at = int(place * len(data))
    if how == "flip":
        data[at] ^= 0x10
    newest.write_bytes({"flip": data, "cut": data[:at], "empty": b""}[how])
    assert load_checkpoint(folder, notice=notices.append)["step"] == 1
    assert ["newest.ckpt is damaged" in notices[0], len(notices)] == [True, 1]
    save_checkpoint(folder, content(3))  # must not push the good one out in favour of the damaged one
    newest.write_bytes(b"damaged again")
    assert load_checkpoint(folder, notice=notices.append)["step"] == 1


def test_nothing_whole_is_refused_and_left_alone(tmp_path, notices):
    save_checkpoint(tmp_path, content(1))
    (tmp_path / "newest.ckpt").write_bytes(b"x")
    with pytest.raises(DataError, match=r"newest\.ckpt: no checkpoint here is whole.*delete them"):
        load_checkpoint(tmp_path, notice=notices.append)
    assert (tmp_path / "newest.ckpt").read_bytes() == b"x"


def test_another_format_is_refused(tmp_path, notices):
    save_checkpoint(tmp_path, {**content(1), "format": 2})
    with pytest.raises(DataError, match="format 2, but this version reads format 1"):
        load_checkpoint(tmp_path, notice=notices.append)


class Hostile:
    def __reduce__(self):
        return (pytest.fail, ("code of a checkpoint was run",))


@pytest.mark.parametrize("hashed", [True, False])
def test_code_in_a_checkpoint_is_never_run(tmp_path, notices, hashed):
    if hashed:
        save_checkpoint(tmp_path, {"x": Hostile()})
    else:
        (tmp_path / "newest.ckpt").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(DataError):
        load_checkpoint(tmp_path, notice=notices.append)


@pytest.mark.parametrize("score", [0.1 + 0.2, -1e-300, None])
def test_best_weights_know_their_step_and_score(tmp_path, notices, score):
    weights = {"a.b": torch.randn(2, 3), "n": torch.tensor(4)}
    write_best(tmp_path, weights, Best(7, score))
    assert read_best(tmp_path, notice=notices.append) == Best(7, score)
    assert_close(read_best_values(tmp_path), weights, rtol=0, atol=0)
    assert notices == []


def test_best_weights_that_cannot_be_read_are_left_out_and_said(tmp_path, notices):
    assert read_best(tmp_path, notice=notices.append) is None
    write_best(tmp_path, {"a": torch.zeros(300)}, Best(1, 0.5))
    path = tmp_path / "best.safetensors"
    path.write_bytes(path.read_bytes()[:600])
    assert read_best(tmp_path, notice=notices.append) is None
    assert ["best.safetensors" in notices[0], len(notices)] == [True, 1]
