"""How well features are said: by hand, blind to a constant, and of each teacher what it spoke of."""

import numpy as np
import pytest

from segdistill.training.feature_account import Match, match_of, match_pictures, mean_cosine
from segdistill.training.linear_account import match_linearly


def test_a_match_by_hand():
    # Cosines of (3, 4) with (3, 4), (4, -3) and (-3, -4): 1, 0, -1. Errors 0, 1 + 49, 36 + 64 of squares 3 x 25.
    wanted = np.array([[3.0, 4.0]] * 3)
    said = np.array([[3.0, 4.0], [4.0, -3.0], [-3.0, -4.0]])
    found = match_of([(said[:1], wanted[:1]), (said[1:], wanted[1:])])
    assert (found.cosine, found.error, found.tokens) == (pytest.approx(0), 150 / 75, 3)
    assert match_of([]) is None


def test_tokens_of_zeros_are_no_error():
    nothing = np.zeros((2, 3))
    assert match_of([(nothing, nothing)]) == Match(0.0, 0.0, 2)
    assert match_of([(nothing + 1, nothing)]) == Match(0.0, 1.0, 2)


@pytest.mark.parametrize("standard", ["none", "channel", "phi-s"])
def test_the_mean_said_of_everything_has_an_error_of_one(stored, pictures, standard):
    # In whatever unit is learnt, the account is in the teacher's own, less its mean.
    teacher, seen = stored(width=6, gain=9.0, standard=standard), pictures()
    constant = teacher.standard(teacher.mean.astype(np.float32))
    found = match_pictures([teacher], seen, lambda picture: {"a": np.tile(constant, (*picture.cells, 1))})["a"]
    assert found.error == pytest.approx(1, abs=1e-4)
    assert abs(found.cosine) < 0.2
    (right,) = match_pictures(
        [teacher], seen, lambda each: {"a": np.moveaxis(teacher.tokens(each.key, each.cells), 0, -1)}
    ).values()
    assert (right.cosine, right.error) == (pytest.approx(1, abs=1e-4), pytest.approx(0, abs=1e-6))


def test_a_teacher_is_compared_where_it_spoke(stored, pictures):
    every, some = stored("a"), stored("b", width=5, names=["field0", "field2"])
    none = stored("c", width=4, names=["field4"])
    seen = pictures("field0", "field1", "field2")
    said = match_pictures(
        [every, some, none], seen, lambda picture: {label: np.ones((*picture.cells, width)) for label, width in
                                                    (("a", 6), ("b", 5))},
    )  # fmt: skip
    assert set(said) == {"a", "b"}
    assert said["a"].tokens == 3 * said["b"].tokens // 2
    assert mean_cosine(said) == pytest.approx((said["a"].cosine + said["b"].cosine) / 2)


def test_the_best_linear_map_finds_what_stands_in_an_encoder(stored, pictures, agglomerating):
    # Mean brightness of squares: a random encoder of plain convolutions keeps most of it.
    teacher = stored("a", width=6)
    problem = agglomerating([teacher])
    problem.module.eval()
    training = pictures("field0", "field1", "field2", "field3", side=64)
    held_out = pictures("field4", side=64)
    found = match_linearly(problem.whole.encoder, [teacher], training, held_out)["a"]
    assert found.cosine > 0.3
    assert found.error < 0.9 < problem_match(problem, held_out).error
    assert match_linearly(problem.whole.encoder, [stored("b", names=["field4"])], training, held_out) == {}


def problem_match(problem, held_out):
    problem.validation = held_out
    return problem.matches()["a"]
