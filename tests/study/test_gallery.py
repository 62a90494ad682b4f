"""Which fields are shown."""

from collections import Counter

import pytest

from segdistill.study.gallery import FEW, ranked


def test_few_fields_are_shown_all_and_one_more_are_not():
    for count in range(1, FEW + 1):
        assert sorted(place for _, place in ranked([0.5 + 0.01 * place for place in range(count)])) == [*range(count)]
    assert len(ranked([0.5 + 0.01 * place for place in range(FEW + 1)])) < FEW
    ranks = Counter(rank for rank, _ in ranked([place / 100 for place in range(FEW)]))
    assert ranks == {"best": 3, "median": 3, "worst": 6, "between": 4}


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 12, 28])
def test_best_first_worst_last_and_no_field_twice(count):
    scores = [0.1 + 0.8 * ((7 * place) % count) / count for place in range(count)]
    chosen = ranked(scores)
    places = [place for _, place in chosen]
    assert len(set(places)) == len(places)
    assert scores[places[0]] == max(scores)
    assert scores[places[-1]] == min(scores)
    assert [scores[place] for place in places] == sorted((scores[place] for place in places), reverse=True)


def test_many_fields_show_three_best_three_median_and_six_worst():
    chosen = ranked([place / 100 for place in range(28)])
    assert Counter(rank for rank, _ in chosen) == {"best": 3, "median": 3, "worst": 6}
    assert [place for rank, place in chosen if rank == "median"] == [15, 14, 13]
    assert [place for rank, place in chosen if rank == "worst"] == [5, 4, 3, 2, 1, 0]
