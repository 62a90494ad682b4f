"""From rows to tables and means: fields are the unit, and nothing drops out."""

import math

import numpy as np
import pytest

from segdistill.errors import ConfigError, DataError, ShapeError
from segdistill.evaluation import bootstrap_interval, mean_sd, score_tables, summarise
from segdistill.evaluation.statistics import percentile_interval, resampled_means


def record(value: float, *, field: str = "a", seed: int = 0, arm: str = "student", empty: str = "") -> dict:
    return {
        "arm": arm,
        "seed": seed,
        "field": field,
        "structure": "cell",
        "metric": "dice",
        "value": value,
        "empty": empty,
    }


def test_crops_of_one_field_are_averaged_first():
    # Field a has three crops, field b one: (mean(0.1, 0.2, 0.3) + 0.8) / 2, not the mean of four.
    rows = [record(0.1), record(0.2), record(0.3), record(0.8, field="b")]
    table = score_tables(rows)["student", "cell", "dice"]
    np.testing.assert_allclose(table.values, [[0.2, 0.8]])
    assert summarise(table).mean == pytest.approx(0.5)


def test_mean_and_spread_over_seeds():
    # Means over fields are 0.5, 0.6, 0.7 by seed: mean 0.6, sd 0.1.
    rows = [record(0.4 + 0.1 * s + 0.2 * (f == "b"), field=f, seed=s) for s in range(3) for f in "ab"]
    summary = summarise(score_tables(rows)["student", "cell", "dice"])
    assert (summary.mean, summary.sd) == pytest.approx((0.6, 0.1))
    assert [(each.field, each.mean, each.sd) for each in summary.fields] == [
        ("a", pytest.approx(0.5), pytest.approx(0.1)),
        ("b", pytest.approx(0.7), pytest.approx(0.1)),
    ]


def test_one_seed_has_no_spread():
    assert mean_sd(np.array([[0.2, 0.4]])) == (pytest.approx(0.3), None)


def test_the_order_of_rows_does_not_matter():
    rows = [record(s / 10 + (f == "b") / 3, field=f, seed=s) for s in range(3) for f in "ab"]
    one, other = (score_tables(each)["student", "cell", "dice"] for each in (rows, rows[::-1]))
    assert (one.seeds, one.fields) == (other.seeds, other.fields)
    np.testing.assert_array_equal(one.values, other.values)


def test_an_incomplete_set_is_refused():
    # R41: delete a score and the mean of the others is not given in its place.
    rows = [record(0.5, field=f, seed=s) for s in range(2) for f in "abc"]
    with pytest.raises(DataError, match=r"1 of 6 .* 'b' under seed 1"):
        score_tables([row for row in rows if (row["field"], row["seed"]) != ("b", 1)])


def test_arms_are_kept_apart():
    tables = score_tables([record(0.5), record(0.25, arm="baseline", field="b")])
    assert {key[0]: table.fields for key, table in tables.items()} == {"student": ("a",), "baseline": ("b",)}


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_score_that_is_no_number_is_refused(value):
    with pytest.raises(DataError, match="'a'"):
        score_tables([record(value)])


def test_empty_images_are_counted_beside_the_mean():
    rows = [record(1.0, empty="both"), record(0.0, field="b", empty="missing"), record(0.5, field="c")]
    assert summarise(score_tables(rows)["student", "cell", "dice"]).empties == {"both": 1, "missing": 1}


def test_the_interval_holds_the_mean_and_repeats():
    values = np.random.default_rng(0).random((4, 12))
    interval = bootstrap_interval(values)
    assert interval is not None
    assert interval.low < values.mean() < interval.high
    assert bootstrap_interval(values) == interval
    assert bootstrap_interval(values, seed=1) != interval


def test_the_interval_knows_of_seeds_and_of_fields():
    # Variation of one kind only: over fields its standard error is 1/sqrt(n) of the spread, and so over seeds.
    rng = np.random.default_rng(0)
    effect = rng.normal(size=40)
    for values in (np.tile(effect, (40, 1)), np.tile(effect[:, None], (1, 40))):
        interval = bootstrap_interval(values, resamples=4000)
        assert interval is not None
        expected = 2 * 1.96 * effect.std() / math.sqrt(40)
        assert interval.high - interval.low == pytest.approx(expected, rel=0.1)


def test_both_spreads_add():
    rng = np.random.default_rng(0)
    fields, seeds = rng.normal(size=(1, 40)), rng.normal(size=(30, 1))
    means = resampled_means([fields + seeds], resamples=4000)[0]
    assert means.var() == pytest.approx(fields.var() / 40 + seeds.var() / 30, rel=0.1)


def test_arms_are_resampled_together():
    # An arm and the same arm plus a constant differ by the constant in every resample.
    values = np.random.default_rng(0).random((3, 7))
    above, below = resampled_means([values + 0.25, values], resamples=50)
    np.testing.assert_allclose(above - below, 0.25)


def test_resampling_in_pieces_keeps_the_spread(monkeypatch):
    values = np.random.default_rng(0).random((3, 7))
    monkeypatch.setattr("segdistill.evaluation.statistics._AT_ONCE", 70)
    means = resampled_means([values], resamples=2005)
    assert means.shape == (1, 2005)
    assert means.mean() == pytest.approx(values.mean(), abs=0.02)


def test_one_field_says_nothing_of_others():
    assert bootstrap_interval(np.random.default_rng(0).random((5, 1))) is None


def test_refusals():
    ones = np.ones((3, 4))
    with pytest.raises(ShapeError, match="share"):
        resampled_means([ones, np.ones((3, 5))])
    with pytest.raises(ShapeError, match="share"):
        resampled_means([ones, np.ones((2, 4))])
    with pytest.raises(ConfigError, match="no scores"):
        resampled_means([np.ones((0, 4))])
    with pytest.raises(ConfigError, match="level"):
        percentile_interval(ones[0], level=95.0)


def test_lengths_of_different_units_are_never_averaged():
    rows = [record(3.0) | {"unit": "px"}, record(1.5, field="b") | {"unit": "µm"}]
    with pytest.raises(DataError, match="px and in µm"):
        score_tables(rows)


def test_rows_from_before_there_were_units_are_shares():
    old, new = record(0.5), record(0.25, field="b") | {"unit": "0 to 1"}
    table = score_tables([old, new])["student", "cell", "dice"]
    assert table.unit == summarise(table).unit == "0 to 1"
    assert score_tables([record(3.0) | {"unit": "px"}])["student", "cell", "dice"].unit == "px"
