"""How large a difference would have to be for this much data to show it."""

import numpy as np
from jaxtyping import Float
from scipy import stats

from segdistill.errors import ConfigError
from segdistill.evaluation.statistics import check_level


def detectable_difference(
    differences: Float[np.ndarray, "seed field"], *, power: float = 0.8, level: float = 0.95
) -> float | None:
    """Return the minimal detectable effect: the smallest true difference that would mostly be found.

    A mean over seeds and fields moves for two reasons: other fields would have been taken, and other
    seeds would have trained other students. Neither variance alone is enough: with many fields and three
    seeds, the seeds decide. So each way of averaging gives its standard error (of the fields' means over
    seeds, and of the seeds' means over fields), each is multiplied, and the squares are added. The noise
    of single students on single fields enters twice, as in the two-way bootstrap: an error towards
    caution. The multiples are those of the two witnesses of a claim: t of the fields, as in the paired
    test; normal ones of the seeds, as in the interval, which does not widen for few seeds. By simulation a
    claim then has a power of 0.77 to 0.85 from 2 to 5 seeds and 8 to 28 fields. With one seed the seeds' part is
    unknown and left out; the number then speaks of fields alone and is too small.

    It depends on the spread of the differences, not on their mean: unlike "observed power" it says
    something that the p value does not. It is an estimate, a rough one from few fields or seeds.

    Args:
        differences: Of two arms, by seed and field.
        power: How often such a difference should be found, above 0.5 and below 1.
        level: Confidence of the two-sided claim, above 0 and below 1.

    Returns:
        In the unit of the differences. None with one field, from which nothing can be said of others.

    Raises:
        ConfigError: Power or level is out of range.

    Source:
        Bloom 1995, Minimum detectable effects, Evaluation Review 19(5): t of the level plus t of the power,
        times the standard error. Crossed units: Clark 1973, The language-as-fixed-effect fallacy, Journal
        of Verbal Learning and Verbal Behavior 12(4); Westfall, Kenny and Judd 2014, Journal of Experimental
        Psychology: General 143(5). Adding squares of half-widths: Zou and Donner 2008, Statistics in
        Medicine 27(10). Against observed power: Hoenig and Heisey 2001, American Statistician 55(1).

    >>> round(detectable_difference(np.array([[0.0, 0.1, 0.2]])), 3)  # 0.1 / √3 · (4.303 + 1.061)
    0.31
    """
    check_level(level)
    if not 0.5 < power < 1:
        raise ConfigError(f"The power is {power}. Choose one above 0.5 and below 1, such as 0.8.")
    seeds, fields = differences.shape
    if fields < 2:
        return None
    by_field = stats.t(fields - 1)
    half_widths = [(by_field.ppf((1 + level) / 2) + by_field.ppf(power)) * _standard_error(differences.mean(axis=0))]
    if seeds > 1:
        multiple = stats.norm.ppf((1 + level) / 2) + stats.norm.ppf(power)
        half_widths.append(multiple * _standard_error(differences.mean(axis=1)))
    return float(np.hypot.reduce(half_widths))


def _standard_error(means: Float[np.ndarray, "n"]) -> float:
    return float(means.std(ddof=1) / np.sqrt(len(means)))
