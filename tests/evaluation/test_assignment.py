"""One-to-one assignment: against all assignments and SciPy's dense solution, and AJI+ that rests on it."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.optimize import linear_sum_assignment

from segdistill.evaluation import aji_plus, iou, match
from segdistill.evaluation.assignment import assign

shapes = st.shared(st.tuples(st.integers(1, 6), st.integers(1, 9)), key="shape")
ids = arrays.arrays(np.int32, shapes, elements=st.integers(0, 4))


@st.composite
def graphs(draw):
    """Return pairs of up to 5 and 5 nodes, without repetition, and weights with many ties."""
    pairs = draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), unique=True, min_size=1, max_size=12))
    weights = draw(st.lists(st.integers(1, 6), min_size=len(pairs), max_size=len(pairs)))
    first, second = np.array(pairs).T
    return first, second, np.array(weights, float) / 6


def best(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> float:
    """Return the greatest weight of all ways to choose pairs that share no end."""
    chosen = (list(each) for size in range(len(weight) + 1) for each in combinations(range(len(weight)), size))
    fair = (each for each in chosen if len(set(first[each])) == len(each) == len(set(second[each])))
    return max(float(weight[each].sum()) for each in fair)


@settings(max_examples=60, deadline=None)
@given(graph=graphs())
def test_against_all_assignments(graph):
    found = assign(*graph)
    first, second, weight = graph
    assert len(set(first[found])) == len(found) == len(set(second[found]))
    assert weight[found].sum() == pytest.approx(best(*graph))


def test_a_chain_is_solved_as_a_whole():
    # Greedy takes 0.6 alone of 0.5, 0.6, 0.5; the best are the outer two.
    first, second = np.array([0, 1, 1]), np.array([0, 0, 1])
    assert assign(first, second, np.array([0.5, 0.6, 0.5])).tolist() == [0, 2]


def test_a_large_random_graph_against_the_dense_solution():
    draw = np.random.default_rng(0)
    dense = draw.random((120, 90)) * (draw.random((120, 90)) < 0.05)
    first, second = np.nonzero(dense)
    found = assign(first, second, dense[first, second])
    rows, columns = linear_sum_assignment(dense, maximize=True)
    assert dense[first, second][found].sum() == pytest.approx(dense[rows, columns].sum())


def test_without_pairs_nothing_is_assigned():
    none = np.zeros(0, np.int64)
    assert assign(none, none, np.zeros(0)).tolist() == []


def row(*values: int) -> np.ndarray:
    return np.array([values])


def test_aji_plus_by_hand():
    # Label 1 (4 pixels) meets 5 (3, all inside) and 6 (1 of 3). Label 2 (2 pixels) meets 6 (2 of 3): 5-1 and 6-2.
    # Shared 3 + 2; unions 4 + 3; label 3 (1 pixel) is alone: 5 / 8.
    prediction, label = row(5, 5, 5, 6, 6, 6, 0, 0), row(1, 1, 1, 1, 2, 2, 0, 3)
    assert aji_plus(match(prediction, label)) == pytest.approx(5 / 8)


def test_objects_below_half_are_assigned_too():
    # IoU 2/6 is no match for AP; AJI+ divides the 2 shared pixels by the 6 of the union.
    assert aji_plus(match(row(5, 5, 5, 5, 0, 0), row(0, 0, 1, 1, 1, 1))) == pytest.approx(2 / 6)


def test_no_object_counts_twice():
    # One prediction over two labels: AJI would let both use it. Shared 2, of 4 + 1 (the other label's pixels
    # lie in the prediction, and count again as a label without a partner): 2 / (2 + 2 + 2).
    assert aji_plus(match(row(9, 9, 9, 9), row(1, 1, 2, 2))) == pytest.approx(2 / 6)


def test_the_written_rule_for_empty_images():
    nothing, something = row(0, 0, 0), row(0, 2, 2)
    assert [aji_plus(match(*pair)) for pair in ((nothing, nothing), (something, nothing), (nothing, something))] == [
        1,
        0,
        0,
    ]


@settings(max_examples=50, deadline=None)
@given(prediction=ids, label=ids, order=st.permutations([3, 70_000, 5, 2**32 - 1]))
def test_aji_plus_does_not_know_names_or_sides(prediction, label, order):
    names = np.array([0, *order], np.int64)
    score = aji_plus(match(prediction, label))
    assert aji_plus(match(names[prediction], label)) == pytest.approx(score)
    assert aji_plus(match(label, prediction)) == pytest.approx(score)
    assert score <= iou(prediction > 0, label > 0) + 1e-12  # it cannot share more than the masks do
    assert aji_plus(match(label, label)) == 1
