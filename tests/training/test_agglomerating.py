"""Learning features of several teachers: by hand, laws of cutting a step, what fails, and that it learns."""

import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from segdistill.engine import Foreseeing, Plan, Problem, read_log, train
from segdistill.errors import ConfigError, TrainingStopped
from segdistill.objectives import FEATURE_TERMS, PRINTED, Safety, collapsed_teachers
from segdistill.targets import View, drawn_views
from segdistill.training.agglomerating import sees_losses

CPU = torch.device("cpu")
EVERY_TERM = (*FEATURE_TERMS, "masked_generative")


def step_of(problem, size, step=0):
    """Return loss, gradient and shares of a step that is cut into micro-batches, as the engine goes about it."""
    samples = problem.batch(step, 0, 1)
    batches = [problem.collate(samples[at : at + size], step, CPU) for at in range(0, len(samples), size)]
    totals = added([problem.weights(batch) for batch in batches])
    module = problem.module.train()
    with torch.no_grad():
        seen = added([problem.terms(module, batch, totals) for batch in batches]) if problem.needs_terms else None
    problem.foresee(step, totals, seen)
    module.zero_grad()
    loss = sum(
        problem.combine(module, problem.terms(module, batch, totals), len(batch.image) / len(samples))
        for batch in batches
    )
    loss.backward()
    gradient = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in module.parameters()]
    return loss.detach(), gradient, module.scalars()


def added(parts):
    return {name: torch.stack([part[name] for part in parts]).sum() for name in parts[0]}


def plan(**settings):
    usual = {"steps": 6, "batch_size": 4, "micro_batch": 4, "device": "cpu", "log_every": 1, "ema": 0.5}
    return Plan(**(usual | settings))


def test_it_keeps_the_engines_protocol(stored, agglomerating):
    problem = agglomerating([stored()])
    assert isinstance(problem, Problem)
    assert isinstance(problem, Foreseeing)
    sent = pickle.loads(pickle.dumps(problem))  # as other processes get it
    batch, again = (each.collate(each.batch(1, 0, 1), 1, torch.device("cpu")) for each in (problem, sent))
    torch.testing.assert_close(again.tokens, batch.tokens, rtol=0, atol=0)


def test_the_loss_by_hand(stored, agglomerating):
    # Two teachers, losses 0.4 and 1.0 of two terms each; shares 3 : 1: 0.75 * (0.4 + 0.1) + 0.25 * (1.0 + 0.2).
    problem = agglomerating(
        [stored("a"), stored("b")], terms=("token_mse", "gram"), balancing="fixed", weights={"a": 3.0, "b": 1.0}
    )
    terms = {"a.token_mse": 0.4, "a.gram": 0.1, "b.token_mse": 1.0, "b.gram": 0.2}
    parts = {name: torch.tensor(value) for name, value in terms.items()}
    problem.foresee(0, dict.fromkeys(parts, torch.tensor(5.0)), None)
    assert problem.combine(problem.module, parts, 1.0).item() == pytest.approx(0.675)
    assert problem.module.scalars() == {"alpha_a": 0.75, "alpha_b": 0.25}


def test_what_is_compared_lies_on_the_view_alone(stored, agglomerating, pictures):
    # 40 x 56 pixels at side 32: rows to 23 pixels, three of four rows of tokens; beyond them nothing counts.
    teacher = stored()
    problem = agglomerating([teacher])
    (glance, *_) = samples = problem.batch(0, 0, 1)
    assert glance.picture.cells == (3, 4)
    assert glance.tokens["a"].shape == (6, 4, 4)
    assert glance.counts["a"].tolist() == [[1.0] * 4] * 3 + [[0.0] * 4]
    np.testing.assert_allclose(glance.tokens["a"][:, :3], teacher.tokens(glance.picture.key, (3, 4)))
    batch = problem.collate(samples, 0, CPU)
    assert problem.weights(batch)["a.token_mse"].item() == 4 * 12
    totals = problem.weights(batch)
    before = problem.terms(problem.module, batch, totals)["a.token_mse"]
    spoiled = replace(batch, tokens={"a": batch.tokens["a"] + 99 * (batch.counts["a"] == 0)[:, None]})
    assert_close(problem.terms(problem.module, spoiled, totals)["a.token_mse"], before)


@pytest.mark.parametrize("terms", [("token_mse", name) for name in EVERY_TERM if name != "token_mse"])
def test_cutting_a_step_changes_neither_loss_nor_gradient_with_any_term(stored, agglomerating, terms):
    problem = agglomerating([stored("a"), stored("b", width=5, names=["field0", "field3"])], terms=terms)
    whole, gradient, _ = step_of(problem, 4)
    cut, other, _ = step_of(problem, 1)
    assert_close(cut, whole, rtol=1e-4, atol=1e-6)
    assert_close(other, gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize(
    ("balancing", "options"),
    [
        ("uniform", {}),
        ("fixed", {"weights": {"a": 2.0, "b": 1.0, "c": 1.0}}),
        ("dropping", {"seed": 5}),
        ("mlp", {}),
        ("mlp", {"safety": PRINTED}),
        ("attention", {}),
    ],
)
def test_shares_and_gradient_do_not_depend_on_how_a_step_is_cut(stored, agglomerating, balancing, options, size):
    teachers = [stored("a"), stored("b", width=5, standard="none", gain=3.0), stored("c", width=4, names=["field1"])]
    problem = agglomerating(teachers, balancing=balancing, **options)
    if balancing == "mlp":  # scores are 0 to begin with: as after some training
        torch.nn.init.normal_(problem.whole.learned.scores.outer.weight, std=3.0)
    for step in range(3):
        whole, gradient, shares = step_of(problem, 4, step)
        cut, other, parted = step_of(problem, size, step)
        assert parted == pytest.approx(shares, rel=1e-4, abs=1e-6)
        assert_close(cut, whole, rtol=1e-4, atol=1e-6)
        assert_close(other, gradient, rtol=1e-3, atol=1e-4)


def test_only_balancings_that_look_at_losses_cost_a_pass(stored, agglomerating):
    teachers = [stored("a"), stored("b")]
    costly = {
        name: sees_losses(agglomerating(teachers, balancing=name).whole.balancing)
        for name in ("uniform", "dropping", "mlp", "attention")
    }
    assert costly == {"uniform": False, "dropping": True, "mlp": True, "attention": False}


def test_a_teacher_that_said_nothing_of_a_view_loses_its_own_term_there(stored, agglomerating, pictures):
    silent = stored("b", width=5, fails_on=("field0", "field1"))
    problem = agglomerating([stored("a"), silent], training=pictures("field0", "field2"), batch=2)
    found = {}
    for glance in problem.batch(0, 0, 1):
        found[glance.picture.name] = {label: counts.sum() for label, counts in glance.counts.items()}
    assert found == {"field0": {"a": 12, "b": 0}, "field2": {"a": 12, "b": 12}}
    loss, gradient, shares = step_of(problem, 2)
    assert torch.isfinite(loss)
    assert all(torch.isfinite(each).all() for each in gradient)
    assert shares == {"alpha_a": 0.5, "alpha_b": 0.5}
    alone = agglomerating([stored("a"), silent], training=pictures("field0", "field2"), batch=1)
    steps = [step_of(alone, 1, step)[2] for step in range(2)]
    assert {"alpha_a": 1.0, "alpha_b": 0.0} in steps  # a step of the one view: the other has it all


def test_views_that_nobody_spoke_of_are_left_out_and_a_store_of_other_images_is_refused(
    stored, agglomerating, pictures
):
    some = stored("a", names=["field0", "field1"])
    assert {each.name for each in agglomerating([some]).training} == {"field0", "field1"}
    with pytest.raises(ConfigError, match=r"says nothing of any of the 1 training views: it was filled with other"):
        agglomerating([stored("b"), some], training=pictures("field4"))


def test_every_view_is_learnt_with_what_was_said_of_it(stored, agglomerating, pictures):
    views = (View(), *drawn_views(3, seed=1)[1:])
    teacher = stored("a", views=views)
    problem = agglomerating([teacher], training=pictures(views=views), batch=15)
    glances = problem.batch(0, 0, 1)
    assert {(each.picture.name, each.picture.key.view) for each in glances} == {
        (f"field{number}", view) for number in range(5) for view in range(3)
    }
    for each in glances:
        height, width = each.picture.cells
        wanted = teacher.tokens(each.picture.key, each.picture.cells)
        np.testing.assert_allclose(each.tokens["a"][:, :height, :width], wanted)


def test_weight_decay_is_for_matrices_of_encoder_and_heads(stored, agglomerating):
    problem = agglomerating([stored("a"), stored("b")], balancing="mlp")
    decayed, free = problem.parameter_groups()
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.01, 0.0)
    learned = {id(p) for p in problem.whole.learned.parameters()}
    assert learned <= {id(p) for p in free["params"]}
    assert len(decayed["params"]) + len(free["params"]) == len(list(problem.module.parameters()))


def test_it_learns_what_both_teachers_say(stored, agglomerating, pictures, tmp_path):
    teachers = [stored("a"), stored("b", width=9, gain=30.0)]
    held_out = pictures("field4", side=64)
    seen = pictures("field0", "field1", "field2", "field3", side=64)
    problem = agglomerating(teachers, training=seen, validation=held_out, balancing="attention")
    problem.module.eval()
    before = problem.matches()
    settings = plan(steps=60, learning_rate=1e-2, validate_every=20, ema=0.8)
    outcome = train(problem, tmp_path / "fit", settings, notice=lambda _: None)
    after = problem.matches()
    for label in ("a", "b"):
        assert after[label].cosine > before[label].cosine
        assert after[label].error < 0.8 < before[label].error
    assert outcome.best_score == pytest.approx(np.mean([match.cosine for match in after.values()]), abs=1e-5)
    lines = read_log(tmp_path / "fit")
    shares = [line["weights"] for line in lines if "weights" in line]
    assert len(shares) == 60
    assert all(sum(each.values()) == pytest.approx(1) for each in shares)
    assert {"cosine.a", "error.b", "score"} <= set(next(line["validation"] for line in lines if "validation" in line))


@pytest.mark.parametrize(("safety", "lost"), [(PRINTED, ["hard"]), (Safety(floor=0.5, entropy=1.0), [])])
def test_as_printed_it_drifts_to_the_easiest_teacher_and_the_lost_one_is_named(
    stored, agglomerating, tmp_path, safety, lost
):
    # One teacher says brightness, the other noise of its own scale that nothing can say: loss near 1 for ever.
    easy = stored("easy")
    hard = stored("hard", width=5)
    noise = replace(hard.standard, scale=hard.standard.scale / 3)
    problem = agglomerating([easy, replace(hard, standard=noise)], balancing="attention", safety=safety)
    problem.parameter_groups = lambda: [
        {**group, "lr": 0.3} if number else {**group, "lr": 1e-4}
        for number, group in enumerate(_only_balancing_is_fast(problem))
    ]
    train(problem, tmp_path / "fit", plan(steps=80, validate_every=None), notice=lambda _: None)
    history = np.array(
        [[line["weights"][f"alpha_{name}"] for name in ("easy", "hard")] for line in read_log(tmp_path / "fit")]
    )
    assert [found.teacher for found in collapsed_teachers(history, ["easy", "hard"])] == lost
    assert math.isclose(history[0].sum(), 1, rel_tol=1e-5)


def _only_balancing_is_fast(problem):
    learned = list(problem.whole.learned.parameters())
    own = {id(each) for each in learned}
    return [
        {"params": [each for each in problem.module.parameters() if id(each) not in own], "weight_decay": 0.0},
        {"params": learned, "weight_decay": 0.0},
    ]


def test_a_token_that_is_no_number_stops_it_and_names_the_field(stored, agglomerating, pictures, tmp_path):
    seen = pictures("field2")
    seen[0].pixels[0, 3, 4] = np.nan
    problem = agglomerating([stored()], training=seen)
    with pytest.raises(TrainingStopped, match="field2"):
        train(problem, tmp_path / "fit", plan(), notice=lambda _: None)
    assert (tmp_path / "fit" / "newest.ckpt").is_file()
