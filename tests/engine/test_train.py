# ruff: noqa: ARG002, ARG005  (a problem's methods have the arguments that the loop gives them)
"""What the loop computes: by hand, and by laws."""

import json

import pytest
import torch
from engine_toy import Toy, plan, values
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn
from torch.testing import assert_close

from segdistill.engine import Plan, Problem, read_log, train
from segdistill.engine.checkpoint import load_checkpoint
from segdistill.errors import ConfigError, EnvironmentFault


class OneWeight:
    """Loss 3 w, whatever the sample says."""

    def __init__(self):
        self.module = nn.Linear(1, 1, bias=False)
        nn.init.ones_(self.module.weight)

    def parameter_groups(self):
        return [{"params": self.module.parameters(), "weight_decay": 0.5}]

    def batch(self, step, rank, world):
        return [3.0]

    def collate(self, samples, step, device):
        return torch.tensor(samples, device=device).reshape(-1, 1)

    def weights(self, batch):
        return {"linear": torch.tensor(1.0)}

    def terms(self, module, batch, totals):
        return {"linear": module(batch).sum() / totals["linear"]}

    def combine(self, module, terms, share):
        return terms["linear"]

    def names(self, samples):
        return [str(sample) for sample in samples]

    def validate(self, module, step):
        return {}


def final(folder):
    """The last weights, not averaged."""
    return load_checkpoint(folder, notice=pytest.fail)["module"]


def test_one_step_of_one_weight_by_hand(tmp_path, notices):
    # AdamW, first step: w - lr * decay * w - lr * sign(gradient) = 1 - 0.1 * 0.5 - 0.1. No average: the weight itself.
    problem = OneWeight()
    one = Plan(steps=1, batch_size=1, micro_batch=1, learning_rate=0.1, warmup=0.0, ema=0.0, device="cpu", log_every=1)
    outcome = train(problem, tmp_path, one, notice=notices.append)
    assert problem.module.weight.item() == pytest.approx(0.85)
    assert (outcome.steps, outcome.best_step, outcome.best_score) == (1, 1, None)
    first, second = read_log(tmp_path)
    assert (first["loss"], first["terms"], first["learning_rate"]) == (3.0, {"linear": 3.0}, 0.1)
    assert second == {"step": 1, "validation": {}}


def test_the_average_after_one_step_by_hand(tmp_path, notices):
    # The weight goes from 1 to 0.85; of the average min(0.9, 1 / 10) stays: 0.1 * 1 + 0.9 * 0.85.
    problem = OneWeight()
    one = Plan(steps=1, batch_size=1, micro_batch=1, learning_rate=0.1, warmup=0.0, ema=0.9, device="cpu")
    train(problem, tmp_path, one, notice=notices.append)
    assert problem.module.weight.item() == pytest.approx(0.865)


def test_two_steps_and_clipping_by_hand(tmp_path, notices):
    # AdamW hides the size of a gradient, so look at its first moment: m1 = 0.1 g, m2 = 0.9 m1 + 0.1 g = 0.19 g,
    # where g = 3, or 0.5 when the norm is clipped to that. Were the first gradient kept, the second would be 2 g.
    for clip, expected in [(None, 0.57), (0.5, 0.095)]:
        settings = {"steps": 2, "batch_size": 1, "micro_batch": 1, "device": "cpu", "clip": clip}
        train(OneWeight(), tmp_path / str(clip), Plan(**settings), notice=notices.append)
        state = load_checkpoint(tmp_path / str(clip), notice=pytest.fail)["optimizer"]["state"][0]
        assert state["exp_avg"].item() == pytest.approx(expected)


def test_the_toy_is_a_problem_and_learns(tmp_path, notices):
    problem = Toy()
    assert isinstance(problem, Problem)
    train(
        problem,
        tmp_path,
        plan(steps=40, ema=0.0, log_every=4, validate_every=None, checkpoint_every=40),
        notice=notices.append,
    )
    losses = [line["terms"]["square"] for line in read_log(tmp_path) if "terms" in line]
    assert sum(losses[-3:]) < 0.5 * sum(losses[:3])


@pytest.mark.parametrize("micro_batch", [1, 2, 3, 8])
def test_the_split_of_a_batch_changes_nothing(tmp_path, notices, micro_batch):
    # Pixels weigh unevenly and a third of the images knows the second term: a mean of means would differ.
    results = []
    for size in (8, micro_batch):
        problem = Toy(batch=8)
        folder = tmp_path / f"{len(results)}"
        train(problem, folder, plan(batch_size=8, micro_batch=size, log_every=1), notice=notices.append)
        results.append((final(folder), [line["loss"] for line in read_log(folder) if "loss" in line]))
    assert_close(results[1][0], results[0][0], rtol=1e-4, atol=1e-6)
    assert results[1][1] == pytest.approx(results[0][1], rel=1e-5)


@settings(max_examples=8)
@given(batch=st.integers(1, 7), size=st.integers(1, 7), seed=st.integers(0, 9))
def test_the_first_loss_is_that_of_the_whole_batch(tmp_path_factory, batch, size, seed):
    # The loop's loss equals the loss computed here from the whole batch, without the loop.
    problem = Toy(batch=batch, seed=seed)
    whole = problem.collate(problem.batch(0, 0, 1), 0, torch.device("cpu"))
    with torch.no_grad():
        terms = problem.terms(problem.module, whole, problem.weights(whole))
        expected = problem.combine(problem.module, terms, 1.0).item()
    folder = tmp_path_factory.mktemp("run")
    train(problem, folder, plan(steps=1, batch_size=batch, micro_batch=size), notice=lambda text: None)
    first = read_log(folder)[0]
    assert first["loss"] == pytest.approx(expected, rel=1e-4)
    assert first["terms"] == pytest.approx({name: term.item() for name, term in terms.items()}, rel=1e-4)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path, notices):
    runs = {}
    for name, seed in [("a", 3), ("b", 3), ("c", 4)]:
        train(Toy(dropout=0.5, seed=seed), tmp_path / name, plan(seed=seed), notice=notices.append)
        torch.rand(5)  # whatever else draws random numbers does not matter
        runs[name] = final(tmp_path / name)
    assert_close(runs["a"], runs["b"], rtol=0, atol=0)
    assert not torch.equal(runs["a"]["s"], runs["c"]["s"])


def test_the_log_tells_every_step_and_the_learnt_weights(tmp_path, notices):
    train(Toy(), tmp_path, plan(steps=7, log_every=3, validate_every=4, warmup=0.0), notice=notices.append)
    lines = read_log(tmp_path)
    assert [(line["step"], "loss" in line) for line in lines] == [
        (3, True),
        (4, False),
        (6, True),
        (7, True),
        (7, False),
    ]
    keys = {"step", "loss", "terms", "weights", "learning_rate", "images_per_s", "data_wait"}
    assert lines[0].keys() == keys
    assert lines[0]["weights"].keys() == {"s_square", "s_absolute"}
    assert 0 <= lines[0]["data_wait"] <= 1
    assert lines[0]["images_per_s"] > 0
    assert lines[0]["learning_rate"] == pytest.approx(0.02 * 0.8117, rel=1e-3)  # (1 + cos(2 pi / 7)) / 2
    assert lines[1]["validation"].keys() == {"score", "at"}


def test_the_best_average_is_kept_and_given_back(tmp_path, notices):
    class Peak(Toy):
        seen: dict

        def validate(self, module, step):
            self.seen = {**getattr(self, "seen", {}), step: values(module)}
            assert not module.training
            assert not torch.is_grad_enabled()
            return {"score": {2: 0.1, 4: 0.9, 6: 0.9, 8: float("nan")}[step]}

    problem = Peak(norm=True, dropout=0.3)
    outcome = train(problem, tmp_path, plan(validate_every=2), notice=notices.append)
    assert (outcome.best_step, outcome.best_score) == (4, 0.9)
    assert_close(values(problem.module), problem.seen[4], rtol=0, atol=0)
    assert_close(load_file(outcome.weights), problem.seen[4], rtol=0, atol=0)
    assert not problem.module.training
    assert any("score 0.9, the best so far" in text for text in notices)


def test_validation_sees_the_average_and_training_goes_on_from_the_weights(tmp_path, notices):
    results = {}
    for every in (1, None):
        problem = Toy(norm=True, dropout=0.5)
        train(problem, tmp_path / str(every), plan(validate_every=every), notice=notices.append)
        results[every] = final(tmp_path / str(every))
    assert_close(results[1], results[None], rtol=0, atol=0)


def test_without_validation_the_last_average_is_the_best(tmp_path, notices):
    problem = Toy()
    outcome = train(problem, tmp_path, plan(validate_every=None), notice=notices.append)
    assert (outcome.best_step, outcome.best_score) == (8, None)
    average = load_checkpoint(tmp_path, notice=pytest.fail)["average"]
    assert_close(values(problem.module), average, rtol=0, atol=0)
    assert not torch.equal(average["s"], final(tmp_path)["s"])


def test_a_finished_folder_is_read_back_without_a_step(tmp_path, notices):
    class Untouchable(Toy):
        def batch(self, step, rank, world):
            pytest.fail("a step was prepared")

    first = Toy(norm=True)
    outcome = train(first, tmp_path, plan(), notice=notices.append)
    log = (tmp_path / "log.jsonl").read_bytes()
    again = Untouchable(norm=True)
    assert train(again, tmp_path, plan(), notice=notices.append) == outcome
    assert_close(values(again.module), values(first.module), rtol=0, atol=0)
    assert (tmp_path / "log.jsonl").read_bytes() == log


@pytest.mark.parametrize("damage", ["removed", "cut"])
def test_a_finished_folder_without_its_best_weights_gives_the_last(tmp_path, notices, damage):
    outcome = train(Toy(), tmp_path, plan(), notice=notices.append)
    data = outcome.weights.read_bytes()
    outcome.weights.unlink() if damage == "removed" else outcome.weights.write_bytes(data[:-50])
    again = train(Toy(), tmp_path, plan(), notice=notices.append)
    assert (again.best_step, again.best_score) == (8, None)


def test_frozen_parts_are_not_in_the_checkpoint_and_do_not_move(tmp_path, notices):
    problem = Toy()
    problem.module.body[0].requires_grad_(False)
    before = values(problem.module)
    outcome = train(problem, tmp_path, plan(), notice=notices.append)
    assert "body.0.weight" not in load_file(outcome.weights)
    after = values(problem.module)
    assert torch.equal(before["body.0.weight"], after["body.0.weight"])
    assert not torch.equal(before["body.4.weight"], after["body.4.weight"])


def test_other_settings_are_refused_and_named(tmp_path, notices):
    train(Toy(), tmp_path, plan(), notice=notices.append)
    with pytest.raises(ConfigError, match=r"learning_rate was 0.02 and is now 0.5, seed was 3 and is now 4"):
        train(Toy(), tmp_path, plan(learning_rate=0.5, seed=4, log_every=2), notice=notices.append)


def test_another_network_is_refused(tmp_path, notices):
    train(Toy(), tmp_path, plan(), notice=notices.append)
    with pytest.raises(ConfigError, match=r"holds another network.*body\.1\.bias is missing"):
        train(Toy(norm=True), tmp_path, plan(), notice=notices.append)


def test_other_parameter_groups_are_refused(tmp_path, notices):
    train(Toy(), tmp_path, plan(), notice=notices.append)
    problem = Toy()
    problem.parameter_groups = lambda: [{"params": problem.module.parameters()}]
    with pytest.raises(ConfigError, match="other parameter groups"):
        train(problem, tmp_path, plan(), notice=notices.append)


def test_terms_that_were_not_weighed_are_refused(tmp_path, notices):
    problem = Toy()
    problem.weights = lambda batch: {"square": batch[2].sum()}
    problem.terms = lambda module, batch, totals: {"round": module(batch[0]).sum()}
    with pytest.raises(ConfigError, match=r"\['square'\].*\['round'\]"):
        train(problem, tmp_path, plan(), notice=notices.append)


def test_a_problem_without_samples_is_refused(tmp_path, notices):
    problem = Toy()
    problem.batch = lambda step, rank, world: []
    with pytest.raises(ConfigError, match="no sample for step 0"):
        train(problem, tmp_path, plan(), notice=notices.append)


def test_a_second_run_in_the_same_folder_is_refused(tmp_path, notices):
    class Nested(Toy):
        def validate(self, module, step):
            with pytest.raises(EnvironmentFault, match="Another run is using"):
                train(Toy(), tmp_path, plan(), notice=notices.append)
            return {"score": 1.0}

    assert train(Nested(), tmp_path, plan(), notice=notices.append).best_score == 1.0


def test_bfloat16_on_the_cpu(tmp_path, notices):
    problem = Toy()
    seen = []
    problem.module.body[0].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    train(problem, tmp_path, plan(precision="bf16-mixed", validate_every=None), notice=notices.append)
    train(Toy(), tmp_path / "32", plan(validate_every=None), notice=notices.append)
    assert set(seen) == {torch.bfloat16}
    assert {value.dtype for value in final(tmp_path).values()} == {torch.float32}
    assert_close(final(tmp_path), final(tmp_path / "32"), rtol=0.05, atol=0.02)
    assert not torch.equal(final(tmp_path)["s"], final(tmp_path / "32")["s"])


def test_no_bare_nan_in_any_line(tmp_path, notices):
    class Odd(Toy):
        def validate(self, module, step):
            return {"score": float("nan"), "other": float("inf")}

    outcome = train(Odd(), tmp_path, plan(), notice=notices.append)
    for line in (tmp_path / "log.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)
    assert outcome.best_score is None
