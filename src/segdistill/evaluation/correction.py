"""Many tests at once: Holm's correction."""

from collections.abc import Sequence

import numpy as np

from segdistill.errors import ConfigError


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p values corrected for their number.

    Calling everything with a corrected p of at most 0.05 a difference is wrong anywhere in the family in
    at most one family of twenty, however the tests depend on each other.

    Args:
        p_values: Of one family: every test from which a reader could pick the best. 0 to 1.

    Returns:
        In the same order; never below the p value itself, and at most 1. Empty for no tests.

    Raises:
        ConfigError: A p value is not between 0 and 1.

    Source:
        Holm 1979, A simple sequentially rejective multiple test procedure, Scandinavian Journal of
        Statistics 6(2).

    >>> holm([0.01, 0.04, 0.03])  # 3 × 0.01; 2 × 0.03; 1 × 0.04, but never below the one before
    (0.03, 0.06, 0.06)
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ConfigError(f"The p values {list(p_values)} do not all lie between 0 and 1.")
    order = np.argsort(p, kind="stable")
    steps = np.minimum(1.0, p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(steps) if len(p) else steps
    return tuple(corrected.tolist())
