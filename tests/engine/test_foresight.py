# ruff: noqa: ARG002  (a problem's methods have the arguments that the loop gives them)
"""A problem that is told what the whole step comes to: whatever it makes of it, cutting the step changes nothing."""

import pytest
import torch
from engine_toy import Toy, assert_equal, plan, values
from torch.testing import assert_close

from segdistill.engine import Foreseeing, Problem, read_log, train


def weighed(terms, seen):
    """Each term counts as what it comes to, far above the other: no part of a step gives the shares of the whole."""
    shares = torch.softmax(20 * torch.stack(list(seen.values())), dim=0)
    return sum(share * term for share, term in zip(shares, terms.values(), strict=True))


class Knowing(Toy):
    """Weighs its terms by what they come to in the whole step."""

    needs_terms = True

    def __init__(self, **options):
        super().__init__(**options)
        self.told = []
        self.passes = 0

    def terms(self, module, batch, totals):
        self.passes += 1
        return super().terms(module, batch, totals)

    def foresee(self, step, totals, terms):
        self.told.append((step, totals, terms))

    def combine(self, module, terms, share):
        _, _, seen = self.told[-1]
        return weighed(terms, seen)


class Indifferent(Knowing):
    """Is told what the step comes to, and does as the plain problem does."""

    def combine(self, module, terms, share):
        return Toy.combine(self, module, terms, share)


class Incurious(Indifferent):
    """Needs to know the totals alone."""

    needs_terms = False


def learnt(problem, folder, **settings):
    # No warm-up: the first step counts. A learning rate that stays small: AdamW enlarges rounding.
    train(problem, folder, plan(learning_rate=1e-3, validate_every=None, **settings), notice=lambda _: None)
    return values(problem.module)


def test_it_is_an_addition_to_a_problem():
    assert isinstance(Knowing(), Problem)
    assert isinstance(Knowing(), Foreseeing)
    assert not isinstance(Toy(), Foreseeing)


@pytest.mark.parametrize("micro_batch", [1, 2, 4])
def test_cutting_a_step_changes_neither_what_is_told_nor_what_is_learnt(micro_batch, tmp_path):
    whole, cut = Knowing(), Knowing()
    one, other = learnt(whole, tmp_path / "whole"), learnt(cut, tmp_path / "cut", micro_batch=micro_batch)
    for name, value in one.items():
        assert_close(other[name], value, atol=1e-5, rtol=1e-4)
    assert [step for step, _, _ in cut.told] == list(range(8))
    for (_, totals, terms), (_, others, seen) in zip(whole.told, cut.told, strict=True):
        assert_close(others, totals)
        assert_close(seen, terms)
        assert not any(term.requires_grad for term in terms.values())


def test_a_part_alone_would_have_said_something_else(tmp_path):
    # The law above can fail: with the shares of each part by itself the weights differ.
    class Parted(Knowing):
        def combine(self, module, terms, share):
            return weighed(terms, {name: term.detach() for name, term in terms.items()})

    one = learnt(Parted(), tmp_path / "whole")
    other = learnt(Parted(), tmp_path / "cut", micro_batch=2)
    assert max((one[name] - other[name]).abs().max() for name in one if one[name].numel()) > 1e-4


def test_what_is_told_is_what_the_log_says(tmp_path):
    problem = Knowing()
    learnt(problem, tmp_path, log_every=1)
    logged = [line["terms"] for line in read_log(tmp_path)]
    assert len(logged) == 8
    for line, (_, _, told) in zip(logged, problem.told, strict=True):
        assert line == pytest.approx({name: term.item() for name, term in told.items()}, rel=1e-5)


def test_the_first_look_leaves_no_trace(tmp_path):
    # Running statistics and dropout are to the bit those of a problem that is told nothing.
    usual = {"norm": True, "dropout": 0.3}
    plain = learnt(Toy(**usual), tmp_path / "plain", micro_batch=3)
    told = learnt(Indifferent(**usual), tmp_path / "told", micro_batch=3)
    assert_equal(told, plain)
    assert int(plain["body.1.num_batches_tracked"]) == 16  # two parts in each of eight steps


def test_who_needs_only_totals_pays_for_no_pass(tmp_path):
    knowing, incurious = Indifferent(), Incurious()
    learnt(knowing, tmp_path / "knowing", micro_batch=3)
    learnt(incurious, tmp_path / "incurious", micro_batch=3)
    assert (knowing.passes, incurious.passes) == (32, 16)
    assert all(terms is None for _, _, terms in incurious.told)
    assert all(set(totals) == {"square", "absolute"} for _, totals, _ in incurious.told)


def test_when_memory_runs_out_in_the_first_look_it_is_looked_again_in_halves(tmp_path):
    class Cramped(Knowing):
        def terms(self, module, batch, totals):
            if len(batch[0]) > 3:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().terms(module, batch, totals)

    told = []
    cramped = Cramped()
    train(
        cramped,
        tmp_path / "cramped",
        plan(learning_rate=1e-3, validate_every=None),
        notice=told.append,
    )
    free = learnt(Knowing(), tmp_path / "free")
    assert any("going on with 3" in line for line in told)
    for name, value in values(cramped.module).items():
        assert_close(value, free[name], atol=1e-5, rtol=1e-4)
