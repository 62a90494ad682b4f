"""The paired permutation test: would the differences look the same with their signs drawn at random?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from segdistill.errors import ConfigError, DataError

MOST_EXACT = 20
"""Up to so many units every pattern of signs is counted; of more, patterns are drawn."""

_AT_ONCE = 2**22
"""Signs held at once while drawing: 32 MB."""


@dataclass(frozen=True)
class SignFlips:
    """What the test found."""

    p: float
    """Two-sided p value, above 0 and at most 1."""

    smallest: float
    """The smallest p value that the units that differ, or so many draws, can give."""

    units: int
    """Units tested, those without a difference among them."""

    exact: bool
    """Whether every pattern was counted; otherwise patterns were drawn."""


def sign_flip_test(by_unit: Float[np.ndarray, "unit"], *, draws: int = 99_999, seed: int = 0) -> SignFlips | None:
    """Test whether paired differences are centred on zero.

    If two arms are alike, each unit's difference is as likely to have one sign as the other. So the mean
    difference is compared with those of all 2ⁿ patterns of signs, or of patterns drawn at random where
    there are more than ``MOST_EXACT`` units that differ; the drawn ones have the observed one added, so
    that p is never 0 and the test never too eager.

    Args:
        by_unit: One difference per field (or patient), its mean over seeds. Crops of a field are not
            units: they share its stain and its light, and would make p too small. The test therefore
            speaks of other fields, with the seeds as they are; intervals over seeds and fields speak of
            other seeds too.
        draws: Patterns to draw where not all are counted, ≥ 1.
        seed: Of the drawing.

    Returns:
        None for one unit, with which nothing can be tested. Of n units that differ, p is at least
        2 / 2ⁿ: with five or fewer it cannot be below 0.05.

    Raises:
        DataError: A difference is not finite, or there is none.
        ConfigError: No patterns were asked for.

    Source:
        Fisher 1935, The design of experiments, section 21; Ernst 2004, Permutation methods, Statistical
        Science 19(4); Phipson and Smyth 2010, Permutation p-values should never be zero, Statistical
        Applications in Genetics and Molecular Biology 9(1).

    >>> sign_flip_test(np.array([0.1, 0.2, 0.3]))  # 2 of 8 patterns are as far from zero: + + + and − − −
    SignFlips(p=0.25, smallest=0.25, units=3, exact=True)
    """
    if not by_unit.size or not np.isfinite(by_unit).all():
        raise DataError(f"The differences {by_unit} are none, or not finite. Give one finite number per unit.")
    if draws < 1:
        raise ConfigError(f"{draws} patterns of signs are to be drawn. Draw at least one.")
    if by_unit.size == 1:
        return None
    differing = by_unit[by_unit != 0]
    # A sum may differ from its like by rounding alone, which must not decide a tie.
    least = abs(differing.sum()) - 1e-12 * np.abs(differing).sum()
    if differing.size > MOST_EXACT:
        as_far = _drawn_as_far(differing, least, draws, np.random.default_rng(seed))
        return SignFlips((1 + as_far) / (1 + draws), 1 / (1 + draws), by_unit.size, exact=False)
    sums = np.zeros(1)
    for difference in differing:
        sums = np.concatenate([sums + difference, sums - difference])
    p = float((np.abs(sums) >= least).mean())
    return SignFlips(p, smallest_p(differing.size), by_unit.size, exact=True)


def smallest_p(units: int) -> float:
    """Return the smallest p value that a two-sided test of so many paired units can give at all.

    >>> smallest_p(5), smallest_p(6)
    (0.0625, 0.03125)
    """
    return min(1.0, 2 / 2**units)


def _drawn_as_far(
    differing: Float[np.ndarray, "unit"], least: float, draws: int, generator: np.random.Generator
) -> int:
    at_once = max(1, _AT_ONCE // differing.size)
    as_far = 0
    for done in range(0, draws, at_once):
        flipped = generator.integers(0, 2, (min(at_once, draws - done), differing.size), dtype=np.int8)
        sums = differing.sum() - 2 * (flipped @ differing)
        as_far += int((np.abs(sums) >= least).sum())
    return as_far
