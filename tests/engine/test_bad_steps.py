"""Losses that are not finite, and memory that runs out."""

import numpy as np
import pytest
import torch
from engine_toy import Toy, assert_equal, plan, values
from torch.testing import assert_close

from segdistill.engine import read_log, train
from segdistill.engine.checkpoint import load_checkpoint
from segdistill.errors import TrainingStopped


def checkpoint(folder):
    return load_checkpoint(folder, notice=pytest.fail)


class Poisoned(Toy):
    """From some step on, one image of each batch holds a NaN."""

    def __init__(self, steps, slot=4, **net):
        super().__init__(**net)
        self.steps, self.slot, self.poisoned = steps, slot, []

    def collate(self, samples, step, device):
        batch = super().collate(samples, step, device)
        for place, (index, slot) in enumerate(samples):
            if step in self.steps and slot == self.slot:
                batch[0][place, 0, 1, 2] = torch.nan
                self.poisoned.append(f"field_{index}.tif")
        return batch


def test_nan_stops_the_run_with_the_last_good_weights_and_the_files(tmp_path, notices):
    problem = Poisoned(range(5, 99), norm=False)
    bad = plan(steps=20, micro_batch=2, checkpoint_every=100, validate_every=None, log_every=1)
    with pytest.raises(TrainingStopped) as caught:
        train(problem, tmp_path / "a", bad, notice=notices.append)
    message = str(caught.value)
    assert "step 8/20" in message
    assert "square nan" in message
    assert "bad step 3 in a row" in message
    # Slot 4 shares its micro-batch with slot 5: these two files and no others are named.
    pair = [f"field_{index}.tif" for index, slot in problem.batch(7, 0, 1) if slot in (4, 5)]
    assert [name for name in sorted({f"field_{i}.tif" for i in range(10)}) if name in message] == sorted(pair)
    assert [text.split(":")[0] for text in notices] == ["step 6/20", "step 7/20"]
    # What is on disk are the weights after step 5, as a run that never saw the NaN has them.
    kept = checkpoint(tmp_path / "a")
    assert (kept["step"], kept["bad"]) == (5, 0)

    class Stopped(Toy):
        def batch(self, step, rank, world):
            if step == 5:
                raise InterruptedError
            return super().batch(step, rank, world)

    five = plan(steps=20, micro_batch=2, checkpoint_every=5, validate_every=None)
    with pytest.raises(InterruptedError):
        train(Stopped(), tmp_path / "b", five, notice=notices.append)
    other = checkpoint(tmp_path / "b")
    for content in (kept, other):
        del content["optimizer"]["param_groups"]  # its learning rate is that of the step that was tried last
    assert_equal(kept, other)
    losses = {line["step"]: line["loss"] for line in read_log(tmp_path / "a")}
    assert [losses[step] is None for step in range(4, 9)] == [False, False, True, True, True]


def test_very_many_files_are_counted_not_listed(tmp_path, notices):
    problem = Poisoned(range(99))
    problem.names = lambda samples: [f"{number}.tif" for number in (*range(25), 0, 1)] if samples else []
    with pytest.raises(TrainingStopped, match=r"18\.tif, 19\.tif and 5 more\."):
        train(problem, tmp_path, plan(), notice=notices.append)


def test_the_same_command_stops_at_the_same_step_again(tmp_path, notices):
    messages = []
    for _ in range(2):
        with pytest.raises(TrainingStopped) as caught:
            train(Poisoned(range(5, 99)), tmp_path, plan(steps=20, log_every=1), notice=notices.append)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert [line["step"] for line in read_log(tmp_path) if "loss" in line] == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("norm", [False, True])
def test_a_single_bad_step_changes_nothing_and_the_run_goes_on(tmp_path, notices, norm):
    problem = Poisoned([3, 4, 6], norm=norm)
    seen = {}
    original = problem.batch

    def batch(step, rank, world):
        return original(step, rank, world)

    class Snooping(Poisoned):
        def weights(self, batch):
            seen[len(seen)] = values(self.module)
            return super().weights(batch)

    problem = Snooping([3, 4, 6], norm=norm)
    problem.batch = batch
    outcome = train(problem, tmp_path, plan(), notice=notices.append)
    assert_close(seen[3], seen[5], rtol=0, atol=0)  # running statistics too
    assert not torch.equal(seen[5]["s"], seen[6]["s"])
    assert outcome.steps == 8
    assert all(value.isfinite().all() for value in values(problem.module).values())
    assert sum("no weight was changed" in text for text in notices) == 3


def test_a_gradient_that_is_not_finite_is_bad_though_the_loss_is(tmp_path, notices):
    class Root(Toy):
        def terms(self, module, batch, totals):
            terms = super().terms(module, batch, totals)
            return {name: term + (module.s[0] * 0).abs().sqrt() for name, term in terms.items()}  # slope 0 * inf

    problem = Root()
    before = values(problem.module)
    with pytest.raises(TrainingStopped, match="its gradient is not finite") as caught:
        train(problem, tmp_path, plan(stop_after_bad=2), notice=notices.append)
    assert_close(checkpoint(tmp_path)["module"], before, rtol=0, atol=0)
    assert all(f"field_{index}.tif" in str(caught.value) for index, _ in problem.batch(1, 0, 1))


def test_a_learning_rate_that_explodes_stops_the_run(tmp_path, notices):
    with pytest.raises(TrainingStopped, match="learning rate below 1e\\+30"):
        train(Toy(), tmp_path, plan(learning_rate=1e30, warmup=0.0), notice=notices.append)
    assert all(value.isfinite().all() for value in checkpoint(tmp_path)["module"].values())


def test_a_learning_rate_of_a_thousand_stops_the_run_with_the_last_good_weights_and_the_files(tmp_path, notices):
    # The loss becomes infinite here, not NaN: step 1 moves the log-variances s by 1000, and exp(1000) is no float.
    problem = Toy()
    high = plan(learning_rate=1e3, warmup=0.0, log_every=1)
    with pytest.raises(TrainingStopped, match="learning rate below 1000") as caught:
        train(problem, tmp_path, high, notice=notices.append)
    message = str(caught.value)
    assert "step 4/8: the loss (inf" in message
    assert "bad step 3 in a row" in message
    assert all(f"field_{index}.tif" in message for index, _ in problem.batch(3, 0, 1))
    kept = checkpoint(tmp_path)
    assert (kept["step"], kept["bad"]) == (1, 0)
    assert all(value.isfinite().all() for value in kept["module"].values())
    assert [line["loss"] is None for line in read_log(tmp_path) if "loss" in line] == [False, True, True, True]


class Narrow(Toy):
    """Memory for a few samples at once; the rest fails as a GPU or the host would."""

    def __init__(self, fits, error, place="terms", only=None, **net):
        super().__init__(batch=8, **net)
        self.fits, self.error, self.place, self.only, self.sizes = fits, error, place, only, []

    def _check(self, place, size):
        if place == self.place and size > self.fits and (self.only is None or len(self.sizes) == self.only):
            self.sizes.append(size)
            raise self.error

    def collate(self, samples, step, device):
        self._check("collate", len(samples))
        return super().collate(samples, step, device)

    def weights(self, batch):
        self._check("weights", len(batch[0]))
        return super().weights(batch)

    def terms(self, module, batch, totals):
        terms = super().terms(module, batch, totals)
        self._check("terms", len(batch[0]))
        self.sizes.append(len(batch[0]))
        return terms


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("collate", MemoryError("Unable to allocate 9 GiB")),
        ("weights", torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")),
        ("terms", RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes")),
    ],
)
def test_out_of_memory_halves_the_micro_batch_and_not_the_loss(tmp_path, notices, place, error):
    wide = plan(batch_size=8, micro_batch=8, validate_every=None)
    problem = Narrow(3, error, place)
    train(problem, tmp_path / "a", wide, notice=notices.append)
    assert [text.split(";")[0] for text in notices if "Memory" in text] == [
        "Memory ran out with 8 samples at a time",
        "Memory ran out with 4 samples at a time",
    ]
    assert problem.sizes[-4:] == [2, 2, 2, 2]  # and it does not try the large one again
    train(Toy(batch=8), tmp_path / "b", wide, notice=notices.append)
    assert_close(checkpoint(tmp_path / "a")["module"], checkpoint(tmp_path / "b")["module"], rtol=1e-4, atol=1e-6)


def test_a_step_that_ran_out_of_memory_half_way_is_begun_anew(tmp_path, notices):
    # The second micro-batch of the first step fails, when gradient and running statistics hold the first already.
    problem = Narrow(2, MemoryError(), only=1, norm=True)
    four = plan(batch_size=8, micro_batch=4, validate_every=None, steps=2)
    train(problem, tmp_path / "a", four, notice=notices.append)
    assert problem.sizes == [4, 4, 2, 2, 2, 2, 2, 2, 2, 2]
    two = plan(batch_size=8, micro_batch=2, validate_every=None, steps=2)
    train(Toy(batch=8, norm=True), tmp_path / "b", two, notice=notices.append)
    assert_close(checkpoint(tmp_path / "a")["module"], checkpoint(tmp_path / "b")["module"], rtol=0, atol=0)


def test_one_sample_that_does_not_fit_stops_the_run(tmp_path, notices):
    with pytest.raises(TrainingStopped, match=r"one sample at a time.*smaller crops"):
        train(Narrow(0, MemoryError("9 GiB")), tmp_path, plan(batch_size=8), notice=notices.append)


def test_an_ordinary_error_is_not_taken_for_memory(tmp_path, notices):
    with pytest.raises(RuntimeError, match="a bug"):
        train(Narrow(0, RuntimeError("a bug")), tmp_path, plan(batch_size=8), notice=notices.append)
    assert notices == []


def test_a_third_term_without_any_weight_is_zero_and_harmless(tmp_path, notices):
    problem = Toy()
    problem.masks = np.zeros_like(problem.masks)  # no pixel counts at all
    train(problem, tmp_path, plan(), notice=notices.append)
    assert {line["terms"]["square"] for line in read_log(tmp_path) if "terms" in line} == {0.0}
