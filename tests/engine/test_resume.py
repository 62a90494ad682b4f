# ruff: noqa: ARG002  (a problem's methods have the arguments that the loop gives them)
"""Killed, told to stop, out of room: the same command goes on, and ends with the very same weights."""

import os
import random
import shutil
import signal
import time
from pathlib import Path

import engine_child
import pytest
import torch
from engine_toy import Toy, assert_equal, plan
from safetensors.torch import load_file

from segdistill.engine import batch_indices, read_log, train
from segdistill.engine.checkpoint import load_checkpoint
from segdistill.errors import DataError, EnvironmentFault, TrainingStopped

STEPS = engine_child.PLAN["steps"]


def run(children, folder, *arguments, **named):
    """Train in a child process; return its exit status, negative for the signal that killed it."""
    process = children.Process(target=engine_child.run, args=(str(folder), *arguments), kwargs=named)
    process.start()
    process.join(120)
    return process.exitcode


def journal(folder):
    return [int(line) for line in Path(f"{folder}.journal").read_text().split()]


def checkpoint(folder):
    return load_checkpoint(folder, notice=pytest.fail)


def untimed(folder):
    lines = read_log(folder)
    return [{key: value for key, value in line.items() if key not in {"images_per_s", "data_wait"}} for line in lines]


def assert_same_run(folder, reference):
    """Every bit of the state, the best weights and the log, but for the times in it."""
    assert_equal(checkpoint(folder), checkpoint(reference))
    assert_equal(load_file(folder / "best.safetensors"), load_file(reference / "best.safetensors"))
    assert untimed(folder) == untimed(reference)


@pytest.fixture(scope="module")
def reference(children, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    assert run(children, folder) == 0
    assert journal(folder) == list(range(STEPS))
    return folder


def random_kill(draw, done):
    """Choose a place that a run which has ``done`` steps behind it comes to, most likely within a step."""
    step = draw.randrange(done, min(done + 9, STEPS))
    every = engine_child.PLAN["validate_every"]
    places = [("terms", step), ("terms", step), ("prefetch", step), ("validate", (done // every + 1) * every)]
    return draw.choice([*places, ("fsync", draw.randrange(2, 9)), ("replace", draw.randrange(2, 6))])


def kill_until_done(children, folder, draw):
    """Train, killed at random again and again; return how often."""
    done = kills = 0
    while run(children, folder, *random_kill(draw, done)) == -signal.SIGKILL:
        kills += 1
        content = load_checkpoint(folder, notice=pytest.fail)  # whole, whenever the process died
        step = content["step"] if content else 0
        assert done <= step < STEPS
        done = step
    return kills


def test_twenty_kills_at_random_change_no_bit(children, reference, tmp_path):
    draw = random.Random(11)
    kills = runs = 0
    while kills < 20:
        runs += 1
        folder = tmp_path / f"{runs}"
        here = kill_until_done(children, folder, draw)
        kills += here
        if here:
            assert len(journal(folder)) > STEPS  # steps were done again, not lost
        assert set(journal(folder)) == set(range(STEPS))
        assert not list(folder.glob("*.partial"))
        assert_same_run(folder, reference)


@pytest.mark.parametrize("at", [7, 12])
def test_a_kill_within_a_step_and_between_checkpoints(children, reference, tmp_path, at):
    folder = tmp_path / "run"
    assert run(children, folder, "terms", at) == -signal.SIGKILL
    kept = checkpoint(folder)["step"]
    assert kept == at // 5 * 5
    assert run(children, folder) == 0
    assert journal(folder) == [*range(at + 1), *range(kept, STEPS)]
    assert_same_run(folder, reference)


def test_a_parent_kills_a_child_whenever(children, reference, tmp_path):
    folder = tmp_path / "run"
    process = children.Process(target=engine_child.run, args=(str(folder),))
    process.start()
    written = Path(f"{folder}.journal")
    while not written.exists() or len(journal(folder)) < 9:
        time.sleep(0.001)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert run(children, folder) == 0
    assert len(journal(folder)) > STEPS
    assert_same_run(folder, reference)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_step_and_leaves_a_checkpoint(children, reference, tmp_path, number):
    folder = tmp_path / "run"
    assert run(children, folder, "terms", 7, number) == TrainingStopped.status
    assert "the same command goes on" in Path(f"{folder}.message").read_text()
    assert checkpoint(folder)["step"] == 8
    assert run(children, folder) == 0
    assert journal(folder) == list(range(STEPS))  # nothing done twice
    assert_same_run(folder, reference)


def test_a_full_disk_leaves_the_old_checkpoint(children, tmp_path):
    folder = tmp_path / "run"
    assert run(children, folder, "terms", 12, ballast=50_000) == -signal.SIGKILL
    before = {path.name: path.read_bytes() for path in folder.glob("*.ckpt")}
    assert run(children, folder, limit=150_000, ballast=50_000) == 3
    message = Path(f"{folder}.message").read_text()
    assert "no room to write" in message
    assert "newest.ckpt" in message
    assert {path.name: path.read_bytes() for path in folder.glob("*.ckpt")} == before
    assert not list(folder.glob("*.partial"))
    assert run(children, folder, ballast=50_000) == 0
    assert run(children, tmp_path / "other", ballast=50_000) == 0
    assert_same_run(folder, tmp_path / "other")


def free_bytes(monkeypatch, free):
    usage = shutil.disk_usage(".")._replace(free=free)

    def disk_usage(path):
        return usage

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)


def test_a_disk_that_will_be_too_full_is_refused_before_the_first_step(tmp_path, notices, monkeypatch):
    free_bytes(monkeypatch, 3000)
    problem = Toy()
    weights = 4 * sum(value.numel() for value in problem.module.state_dict().values())
    with pytest.raises(EnvironmentFault, match=f"needs {14 * weights:,} bytes .* but 3,000 are free"):
        train(problem, tmp_path, plan(), notice=notices.append)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock"]


def test_a_full_disk_does_not_keep_a_finished_run_from_being_read(tmp_path, notices, monkeypatch):
    outcome = train(Toy(), tmp_path, plan(), notice=notices.append)
    free_bytes(monkeypatch, 0)
    assert train(Toy(), tmp_path, plan(), notice=notices.append) == outcome
    assert notices[-1] == f"{tmp_path}: all 8 steps were done before."


def test_a_stop_in_this_process_restores_the_handlers(tmp_path, notices):
    class Stopping(Toy):
        def validate(self, module, step):
            signal.raise_signal(signal.SIGTERM)
            return super().validate(module, step)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(TrainingStopped, match="after step 5 of 8"):
        train(Stopping(), tmp_path / "a", plan(log_every=1), notice=notices.append)
    assert signal.getsignal(signal.SIGTERM) == before
    assert read_log(tmp_path / "a")[-1]["step"] == 5
    train(Toy(), tmp_path / "a", plan(log_every=1), notice=notices.append)
    assert f"{tmp_path / 'a'}: going on after step 5 of 8." in notices
    train(Toy(), tmp_path / "b", plan(log_every=1), notice=notices.append)
    assert_same_run(tmp_path / "a", tmp_path / "b")


def test_a_signal_in_the_last_step_comes_too_late(tmp_path, notices):
    class Late(Toy):
        def collate(self, samples, step, device):
            if step == 7:
                signal.raise_signal(signal.SIGTERM)
            return super().collate(samples, step, device)

    assert train(Late(), tmp_path, plan(), notice=notices.append).steps == 8


def test_weights_of_a_run_without_checkpoint_are_not_taken_for_this_one(tmp_path, notices):
    # The first run, with other settings, saw a high score and died before its first checkpoint.
    class Lucky(Toy):
        def validate(self, module, step):
            return {"score": 99.0}

    class Dying(Lucky):
        def batch(self, step, rank, world):
            if step == 3:
                raise DataError("field_3.tif is truncated") from OSError("unexpected end")
            return super().batch(step, rank, world)

    early = {"checkpoint_every": 100, "validate_every": 2, "log_every": 1}
    with pytest.raises(DataError, match="truncated") as caught:
        train(Dying(), tmp_path, plan(learning_rate=0.1, **early), notice=notices.append)
    assert isinstance(caught.value.__cause__, OSError)
    assert (tmp_path / "best.safetensors").exists()
    (tmp_path / "newest.ckpt.partial").write_bytes(b"half")
    outcome = train(Toy(), tmp_path, plan(**early), notice=notices.append)
    assert outcome.best_score < 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.safetensors", "lock", "log.jsonl", "newest.ckpt"]
    assert [line["step"] for line in read_log(tmp_path) if "loss" in line] == list(range(1, 9))


def test_a_damaged_newest_checkpoint_costs_time_only(tmp_path, notices):
    class Stopping(Toy):
        def collate(self, samples, step, device):
            if step == 6:
                raise KeyboardInterrupt
            return super().collate(samples, step, device)

    with pytest.raises(KeyboardInterrupt):
        train(Stopping(), tmp_path / "a", plan(checkpoint_every=2), notice=notices.append)
    newest = tmp_path / "a" / "newest.ckpt"
    newest.write_bytes(newest.read_bytes()[:-1000])
    train(Toy(), tmp_path / "a", plan(checkpoint_every=2), notice=notices.append)
    assert any("newest.ckpt is damaged: using previous.ckpt" in text for text in notices)
    assert any("going on after step 4 of 8" in text for text in notices)
    train(Toy(), tmp_path / "b", plan(checkpoint_every=2), notice=notices.append)
    assert_same_run(tmp_path / "a", tmp_path / "b")


def test_the_order_of_samples_is_that_of_the_uninterrupted_run(tmp_path, notices):
    # What a resumed run asks for is what batch_indices says for the remaining steps, no more and no less.
    asked = []

    class Asking(Toy):
        def batch(self, step, rank, world):
            samples = super().batch(step, rank, world)
            asked.append((step, [index for index, _ in samples]))
            return samples

    class Stopping(Asking):
        def validate(self, module, step):
            os.kill(os.getpid(), signal.SIGTERM)
            return {}

    with pytest.raises(TrainingStopped):
        train(Stopping(), tmp_path, plan(), notice=notices.append)
    asked.clear()
    train(Asking(), tmp_path, plan(), notice=notices.append)
    assert asked == [(step, batch_indices(step, batch=6, length=10, seed=3).tolist()) for step in range(5, 8)]
    assert torch.load(tmp_path / "newest.ckpt", weights_only=True)["step"] == 8
