"""Shares of several teachers: by hand, the collapse that is provable, and what holds against it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from segdistill.errors import ConfigError, UnknownName
from segdistill.objectives import BALANCINGS, PRINTED, SAFE, Safety, build_balancing, kept_shares
from segdistill.objectives.balancing import KeyScores, LearnedBalancing, LossScores, entropy

TEACHERS = ("easy", "hard", "odd")
every = pytest.mark.parametrize("name", BALANCINGS)
learnt = pytest.mark.parametrize("name", ["mlp", "attention"])


def scalars(*values, names=TEACHERS):
    return dict(zip(names, torch.tensor(values, dtype=torch.float64), strict=False))


def build(name, **options):
    weights = {"easy": 1.0, "hard": 2.0, "odd": 5.0} if name == "fixed" else None
    torch.manual_seed(0)
    balancing = build_balancing(name, TEACHERS, weights=weights, **options)
    return balancing.double() if isinstance(balancing, nn.Module) else balancing


class GivenScores(nn.Module):
    """Scores that are parameters themselves, to look at their gradient."""

    def __init__(self, *values):
        super().__init__()
        self.values = nn.Parameter(torch.tensor(values, dtype=torch.float64))

    def forward(self, losses):  # noqa: ARG002
        return self.values


# by hand


def test_uniform_and_fixed_by_hand():
    losses = scalars(1.0, 2.0, 6.0)
    assert build("uniform")(losses, losses, 1.0, 0).item() == pytest.approx(3)
    # 1/8, 2/8 and 5/8.
    assert build("fixed")(losses, losses, 1.0, 0).item() == pytest.approx((1 + 4 + 30) / 8)
    assert build("fixed").weights["odd"] == 5


def test_learnt_shares_by_hand():
    # Scores ln 1, ln 2, ln 5: 1/8, 2/8, 5/8; half of each, and a sixth.
    scores = GivenScores(0.0, math.log(2), math.log(5))
    losses = scalars(1.0, 2.0, 6.0)
    printed = LearnedBalancing(TEACHERS, scores)
    assert printed(losses, losses, 1.0, 0).item() == pytest.approx(35 / 8)
    safe = LearnedBalancing(TEACHERS, scores, Safety(floor=0.5, entropy=2.0))
    shares = [1 / 16 + 1 / 6, 2 / 16 + 1 / 6, 5 / 16 + 1 / 6]
    reward = -2 * sum(share * math.log(share) for share in shares)
    expected = shares[0] + 2 * shares[1] + 6 * shares[2] - reward
    assert safe(losses, losses, 1.0, 0).item() == pytest.approx(expected)
    assert list(safe.scalars().values()) == pytest.approx(shares)


def test_mlp_scores_by_hand():
    scores = LossScores(2, hidden=1)
    with torch.no_grad():
        scores.inner.weight.copy_(torch.tensor([[1.0, -1.0]]))
        scores.inner.bias.fill_(1.0)
        scores.outer.weight.copy_(torch.tensor([[2.0], [4.0]]))
        scores.outer.bias.copy_(torch.tensor([0.0, 1.0]))
    # sigmoid(3 - 4 + 1) = 1/2: a row per teacher.
    assert scores(torch.tensor([3.0, 4.0])).tolist() == [1, 3]


def test_attention_scores_by_hand():
    scores = KeyScores(2, width=4)
    with torch.no_grad():
        scores.query.copy_(torch.tensor([1.0, 2.0, 0.0, 0.0]))
        scores.keys.copy_(torch.tensor([[2.0, 0.0, 7.0, 0.0], [0.0, 3.0, 0.0, 7.0]]))
    assert scores(torch.zeros(2)).tolist() == [1, 3]  # 2 / 2 and 6 / 2


def test_kept_shares_by_hand():
    losses = torch.tensor([[3.0, 1.0, 2.0], [1.0, 1.0, 9.0]])
    draws = torch.tensor([[0.0, 0.49, 0.5], [0.1, 0.2, 0.3]])
    assert kept_shares(losses, draws).tolist() == [[0.5, 0, 0.5], [0, 0, 1]]
    assert kept_shares(losses, draws, probability=0.0)[0].tolist() == pytest.approx([1 / 3] * 3)


# laws


@every
@given(losses=st.lists(st.floats(0, 9), min_size=3, max_size=3), step=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_shares_are_a_distribution(name, losses, step):
    balancing = build(name)
    balancing(scalars(*losses), scalars(*losses), 1.0, step)
    shares = list(balancing.scalars().values())
    assert sum(shares) == pytest.approx(1)
    assert min(shares) >= 0


@every
@given(parts=st.lists(st.tuples(*[st.floats(0, 5)] * 3), min_size=1, max_size=4), step=st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_micro_batches_add_up_to_the_step(name, parts, step):
    # Terms are parts of the step's losses; what is decided depends on the whole alone.
    balancing = build(name)
    whole = scalars(*(sum(column) for column in zip(*parts, strict=True)))
    added = sum(balancing(scalars(*part), whole, 1 / len(parts), step) for part in parts)
    assert_close(added, balancing(whole, whole, 1.0, step))


@every
def test_gradient_reaches_the_terms_and_not_what_was_seen(name):
    balancing = build(name)
    terms, seen = scalars(1.0, 2.0, 6.0), scalars(1.0, 2.0, 6.0)
    for each in (*terms.values(), *seen.values()):
        each.requires_grad_()
    balancing(terms, seen, 1.0, 0).backward()
    shares = balancing.scalars()
    assert [terms[each].grad.item() for each in TEACHERS] == pytest.approx([shares[f"alpha_{t}"] for t in TEACHERS])
    assert all(each.grad is None for each in seen.values())


@every
def test_a_teacher_that_said_nothing_has_no_share_and_the_others_have_all(name):
    balancing = build(name)
    terms = scalars(1.0, 0.0, 6.0)
    loss = balancing(terms, {"easy": terms["easy"], "odd": terms["odd"]}, 1.0, 3)
    shares = balancing.scalars()
    assert shares["alpha_hard"] == 0
    assert shares["alpha_easy"] + shares["alpha_odd"] == pytest.approx(1)
    assert loss.isfinite()


@learnt
@pytest.mark.parametrize("safety", [PRINTED, SAFE], ids=["printed", "safe"])
def test_silence_teaches_no_shares(name, safety):
    # A silent teacher has a loss of 0: taken as such it would be the easiest of all, and win.
    balancing = build(name, safety=safety)
    terms = scalars(1.0, 0.0, 6.0)
    balancing(terms, {"easy": terms["easy"], "odd": terms["odd"]}, 1.0, 0).backward()
    gradients = [each.grad for each in balancing.parameters() if each.grad is not None]
    assert all(each.isfinite().all() for each in gradients)
    own = balancing.scores.keys.grad if name == "attention" else balancing.scores.outer.bias.grad[:, None]
    assert own[1].abs().max() == 0
    assert own[0].abs().max() > 0


def test_dropping_keeps_the_worst_and_draws_by_the_step():
    balancing = build("dropping", seed=3)
    losses = scalars(1.0, 9.0, 6.0)
    seen = set()
    for step in range(60):
        balancing(losses, losses, 1.0, step)
        shares = tuple(balancing.scalars().values())
        assert shares[1] > 0
        seen.add(shares)
    assert len(seen) == 4  # each of the two others kept or dropped
    balancing(losses, losses, 1.0, 7)
    again = build("dropping", seed=3)
    again(losses, losses, 1.0, 7)
    assert again.scalars() == balancing.scalars()


# the collapse


@given(
    scores=st.lists(st.floats(-3, 3), min_size=3, max_size=3), losses=st.lists(st.floats(0, 5), min_size=3, max_size=3)
)
@settings(max_examples=30, deadline=None)
def test_as_printed_the_gradient_favours_the_easiest(scores, losses):
    # dL/d(score_i) = alpha_i (loss_i - L), by autograd: negative, so growing, for losses below the mean.
    given_scores = GivenScores(*scores)
    balancing = LearnedBalancing(TEACHERS, given_scores, PRINTED)
    loss = balancing(scalars(*losses), scalars(*losses), 1.0, 0)
    loss.backward()
    shares = torch.softmax(given_scores.values.detach(), dim=0)
    assert_close(given_scores.values.grad, shares * (torch.tensor(losses, dtype=torch.float64) - loss.detach()))


def learn(balancing, *, steps=400):
    """Let a student of two numbers learn from two teachers who want different things; one cannot be matched well."""
    student = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    wanted = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    unmatched = torch.tensor([0.1, 1.0], dtype=torch.float64)  # what no student can reach
    optimiser = torch.optim.Adam([student, *balancing.parameters()], lr=0.05)
    history = []
    for step in range(steps):
        optimiser.zero_grad()
        losses = dict(zip(("easy", "hard"), ((student - wanted) ** 2).mean(dim=1) + unmatched, strict=True))
        balancing(losses, {name: value.detach() for name, value in losses.items()}, 1.0, step).backward()
        optimiser.step()
        history.append(list(balancing.scalars().values()))
    return student.detach(), history


def two(name, safety):
    torch.manual_seed(0)
    balancing = build_balancing(name, ("easy", "hard"), safety=safety)
    assert isinstance(balancing, LearnedBalancing)
    return balancing.double()


@learnt
def test_as_printed_the_hard_teacher_is_lost(name):
    student, history = learn(two(name, PRINTED))
    assert history[0] == pytest.approx([0.5, 0.5])
    assert history[-1][1] < 0.02
    assert_close(student, torch.tensor([1.0, 0.0], dtype=torch.float64), atol=0.02, rtol=0)


@learnt
def test_the_safe_form_keeps_both(name):
    student, history = learn(two(name, SAFE))
    assert min(row[1] for row in history) >= SAFE.floor / 2
    # So the student goes on learning from it: its best answer is the mean of what is wanted, weighed by the shares.
    assert student.tolist() == pytest.approx(history[-1], abs=0.02)
    assert student[1] > 0.2


@learnt
def test_the_reward_alone_spreads_as_far_as_the_losses_differ(name):
    # min over alpha of sum(alpha loss) - reward * entropy is at softmax(-loss / reward).
    student, history = learn(two(name, Safety(entropy=0.7)))
    wanted = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    losses = ((student - wanted) ** 2).mean(dim=1) + torch.tensor([0.1, 1.0], dtype=torch.float64)
    assert history[-1] == pytest.approx(torch.softmax(-losses / 0.7, dim=0).tolist(), abs=0.02)


def test_entropy_is_finite_where_a_share_is_zero():
    shares = torch.tensor([1.0, 0.0], requires_grad=True)
    entropy(shares).backward()
    assert shares.grad.isfinite().all()


# what is refused


def test_options_that_a_balancing_has_not_are_refused():
    with pytest.raises(UnknownName, match=r"Did you mean 'attention'"):
        build_balancing("attentio", TEACHERS)
    with pytest.raises(ConfigError, match="floor and a reward are for learnt shares"):
        build_balancing("uniform", TEACHERS, safety=SAFE)
    with pytest.raises(ConfigError, match=r"weights of easy, and the teachers are easy, hard, odd"):
        build_balancing("fixed", TEACHERS, weights={"easy": 1.0})
    with pytest.raises(ConfigError, match=r"Balancing fixed was given weights of no teacher"):
        build_balancing("fixed", TEACHERS)
    with pytest.raises(ConfigError, match=r"none with another balancing"):
        build_balancing("mlp", TEACHERS, weights={"easy": 1.0, "hard": 1.0, "odd": 1.0})
    with pytest.raises(ConfigError, match="names of their own"):
        build_balancing("uniform", ["a", "a"])
    with pytest.raises(ConfigError, match=r"must be above 0"):
        build_balancing("fixed", ["a", "b"], weights={"a": 1.0, "b": 0.0})


@pytest.mark.parametrize("wrong", [{"floor": 1.1}, {"floor": -0.1}, {"entropy": -1.0}, {"entropy": math.inf}])
def test_impossible_safety_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"floor is .* and entropy"):
        Safety(**wrong)


@every
def test_teachers_that_it_does_not_know_are_refused(name):
    balancing = build(name)
    losses = scalars(1.0, 2.0, 3.0)
    with pytest.raises(ConfigError, match=r"but got the terms easy, hard\."):
        balancing({"easy": losses["easy"], "hard": losses["hard"]}, losses, 1.0, 0)
    with pytest.raises(ConfigError, match=r"but got losses of none"):
        balancing(losses, {}, 1.0, 0)
