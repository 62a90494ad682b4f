"""How often intervals by two-way bootstrap hold the truth."""

import numpy as np
import pytest

from segdistill.evaluation import bootstrap_interval


@pytest.mark.parametrize(
    ("seeds", "fields", "spread", "low", "high"),
    [
        (1, 20, (0, 1, 1), 0.88, 0.97),  # fields alone
        (5, 20, (0.2, 1, 1), 0.90, 0.99),  # the usual study: fields differ more than seeds
        (3, 20, (1, 0, 0), 0.66, 0.86),  # too narrow where three seeds are all there is, as the docstring says
    ],
)
def test_coverage(seeds, fields, spread, low, high):
    draw = np.random.default_rng(0)
    held = 0
    for number in range(200):
        by_seed, by_field = spread[0] * draw.normal(size=(seeds, 1)), spread[1] * draw.normal(size=fields)
        values = by_seed + by_field + spread[2] * draw.normal(size=(seeds, fields))
        interval = bootstrap_interval(values, resamples=400, seed=number)
        held += interval.low <= 0 <= interval.high
    assert low <= held / 200 <= high
