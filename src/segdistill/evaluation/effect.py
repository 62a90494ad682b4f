"""How large a paired difference is beside its spread over fields."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import optimize, special, stats

from segdistill.evaluation.statistics import Interval, check_level

_QUANTILES = 2000
"""Of a spread, over which is averaged."""


@dataclass(frozen=True)
class Effect:
    """Cohen's d_z: a mean difference in standard deviations of the differences."""

    value: float
    """The mean over the standard deviation (n − 1) over units. No unit; its sign is the difference's."""

    interval: Interval
    """Right where differences are normal, however few."""


def effect_size(by_unit: Float[np.ndarray, "unit"], *, level: float = 0.95) -> Effect | None:
    """Return Cohen's d_z of paired differences.

    It is chosen because it measures what the test tests and the account claims, a mean difference, and
    because its interval is right for normal differences however few. It answers "how regularly", not
    "how much": differences of half a point on every field make it large. It grows with the number of
    seeds that each field's difference is averaged over, so compare it only between studies with equally
    many. The number of fields that are better is shown beside it, which no outlier can move far.

    Args:
        by_unit: One difference per field (or patient), its mean over seeds.
        level: Confidence of the interval, above 0 and below 1.

    Returns:
        None for one unit, or where all differences are equal: nothing to measure by.

    Raises:
        ConfigError: The level is out of range.

    Source:
        Lakens 2013, Calculating and reporting effect sizes, Frontiers in Psychology 4:863, equation 6;
        interval: Cumming and Finch 2001, Educational and Psychological Measurement 61(4).

    >>> effect_size(np.array([0.1, 0.2, 0.3])).value  # 0.2 / 0.1
    2.0...
    """
    check_level(level)
    n = by_unit.size
    spread = float(by_unit.std(ddof=1)) if n > 1 else 0.0
    if spread <= 1e-12 * float(np.abs(by_unit).max(initial=0.0)):
        return None
    value = float(by_unit.mean()) / spread
    spreads = np.sqrt(stats.chi2.ppf((np.arange(_QUANTILES) + 0.5) / _QUANTILES, n - 1) / (n - 1))
    places = abs(value) * np.sqrt(n) * spreads
    low, high = (_noncentrality(places, share) / np.sqrt(n) for share in ((1 + level) / 2, (1 - level) / 2))
    return Effect(value, Interval(low, high, level) if value >= 0 else Interval(-high, -low, level))


def _noncentrality(places: Float[np.ndarray, "quantile"], share: float) -> float:
    """Return the noncentrality with which a noncentral t variable is at most t with this probability.

    Given its spread s, such a variable is below t with probability Φ(t s − noncentrality); this is averaged
    over the quantiles of s. To three digits, for any t; library routines do not end where t is large.

    Args:
        places: t s, for every quantile of s, rising.
        share: The probability.
    """
    ends = float(places[0]) - 9.0, float(places[-1]) + 9.0
    return optimize.root_scalar(lambda centre: special.ndtr(places - centre).mean() - share, bracket=ends).root
