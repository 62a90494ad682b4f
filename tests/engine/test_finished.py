"""A finished run that was made small is read back as before."""

import pytest
import torch
from engine_toy import Toy, assert_equal, plan
from safetensors.torch import load_file

from segdistill.engine import settle, train
from segdistill.engine.lock import held
from segdistill.errors import ConfigError, DataError, EnvironmentFault


def sizes(folder):
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def values(problem):
    return {name: value.clone() for name, value in problem.module.state_dict().items()}


def test_what_is_settled_is_small_and_read_back_as_before(tmp_path, notices):
    first, again = Toy(norm=True), Toy(norm=True, seed=7)
    outcome = train(first, tmp_path, plan(checkpoint_every=2), notice=notices.append)
    before, best = sizes(tmp_path), load_file(outcome.weights)
    settle(tmp_path)
    after = sizes(tmp_path)
    assert "previous.ckpt" in before
    assert "previous.ckpt" not in after
    assert set(before) - set(after) == {"previous.ckpt"}
    kept = torch.load(tmp_path / "newest.ckpt", weights_only=True)
    assert {"optimizer", "module"}.isdisjoint(kept)
    assert after["newest.ckpt"] < before["newest.ckpt"]
    assert train(again, tmp_path, plan(checkpoint_every=2), notice=notices.append) == outcome
    assert_equal(load_file(outcome.weights), best)
    assert_equal(values(again), values(first))
    assert any("all 8 steps were done before" in text for text in notices)


def test_settling_twice_changes_nothing(tmp_path, notices):
    train(Toy(), tmp_path, plan(), notice=notices.append)
    settle(tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    settle(tmp_path)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_the_averaged_weights_stand_in_for_damaged_best_ones(tmp_path, notices):
    train(Toy(), tmp_path, plan(), notice=notices.append)
    settle(tmp_path)
    average = torch.load(tmp_path / "newest.ckpt", weights_only=True)["average"]
    (tmp_path / "best.safetensors").write_bytes(b"damaged")
    problem = Toy(seed=7)
    train(problem, tmp_path, plan(), notice=notices.append)
    assert_equal(values(problem), average)


def test_another_plan_or_network_is_refused_as_before(tmp_path, notices):
    train(Toy(), tmp_path, plan(), notice=notices.append)
    settle(tmp_path)
    with pytest.raises(ConfigError, match="begun with other settings"):
        train(Toy(), tmp_path, plan(steps=9), notice=notices.append)
    with pytest.raises(ConfigError, match="another network"):
        train(Toy(norm=True), tmp_path, plan(), notice=notices.append)


def test_a_damaged_run_or_one_in_use_is_left_as_it_is(tmp_path, notices):
    train(Toy(), tmp_path / "run", plan(checkpoint_every=2), notice=notices.append)
    with held(tmp_path / "run"), pytest.raises(EnvironmentFault, match="Another run is using"):
        settle(tmp_path / "run")
    (tmp_path / "run" / "previous.ckpt").unlink()
    (tmp_path / "run" / "newest.ckpt").write_bytes(b"x")
    with pytest.raises(DataError, match="no checkpoint here is whole"):
        settle(tmp_path / "run")
    assert (tmp_path / "run" / "newest.ckpt").read_bytes() == b"x"
