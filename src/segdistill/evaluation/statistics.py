"""Means, spreads and intervals of scores by seed and field."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from segdistill.errors import ConfigError, ShapeError

_AT_ONCE = 2**22
"""Numbers held at once while resampling: 32 MB."""


@dataclass(frozen=True)
class Interval:
    """Where a number lies, with some confidence."""

    low: float
    """Lower end."""

    high: float
    """Upper end."""

    level: float
    """Confidence, 0 to 1."""


def mean_sd(values: Float[np.ndarray, "seed field"]) -> tuple[float, float | None]:
    """Return the mean over fields and seeds, and the standard deviation of the mean over seeds.

    Args:
        values: One score per seed and field; at least one.

    Returns:
        The mean, and the sample standard deviation (n − 1) over seeds of the mean over fields;
        None where there is one seed.

    >>> mean_sd(np.array([[0.4, 0.6], [0.6, 0.8]]))
    (0.6, 0.141...)
    """
    per_seed = values.mean(axis=1)
    return float(per_seed.mean()), float(per_seed.std(ddof=1)) if len(per_seed) > 1 else None


def resampled_means(
    arms: Sequence[Float[np.ndarray, "_ field"]], *, resamples: int = 2000, seed: int = 0
) -> Float[np.ndarray, "arm resample"]:
    """Return the arms' means over seeds and fields, both drawn again with replacement.

    Seeds and fields are crossed: every seed met every field. So each resample draws seeds, and
    fields, once, and all arms are averaged over the same ones.

    Args:
        arms: Scores by seed and field. All have the same fields in one order, and the same seeds,
            or one seed where there was nothing to repeat, as for a frozen teacher.
        resamples: How many times, ≥ 1.
        seed: Of the drawing.

    Raises:
        ShapeError: The arms differ in their number of fields, or of seeds above one.
        ConfigError: There is nothing to resample.

    Source:
        Owen 2007, The pigeonhole bootstrap, Annals of Applied Statistics 1(2).
    """
    if not arms or resamples < 1 or any(not arm.size for arm in arms):
        raise ConfigError("There are no scores, or no resamples were asked for. Give both.")
    fields, seeds = {arm.shape[1] for arm in arms}, {arm.shape[0] for arm in arms} - {1}
    if len(fields) > 1 or len(seeds) > 1:
        raise ShapeError(
            f"The arms have scores of shapes {[arm.shape for arm in arms]} (seeds, fields). They must share their"
            " fields, and their seeds unless there is only one."
        )
    n_fields, n_seeds = fields.pop(), max(seeds, default=1)
    generator = np.random.default_rng(seed)
    at_once = max(1, _AT_ONCE // n_fields)
    parts = [_draw(arms, generator, n_seeds, min(at_once, resamples - done)) for done in range(0, resamples, at_once)]
    return np.concatenate(parts, axis=1)


def bootstrap_interval(
    values: Float[np.ndarray, "seed field"], *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval | None:
    """Return the interval of the mean over fields and seeds, by two-way bootstrap.

    Of few seeds or fields it is too narrow, because a handful of draws shows less spread than there is: where
    seeds make all the spread, it holds the truth in some 76 of 100 studies of three seeds, 83 of five and 91
    of ten (simulated). The noise of single pairs of seed and field, which it counts up to three times, works
    the other way.

    Args:
        values: One score per seed and field, or differences of two arms'.
        level: Confidence, above 0 and below 1.
        resamples: How many times to draw, ≥ 1.
        seed: Of the drawing.

    Returns:
        The interval between percentiles; None where there is one field, from which nothing can be
        said of others. With one seed it speaks of fields only.

    Raises:
        ConfigError: The level is out of range, or there is nothing to resample.

    >>> bootstrap_interval(np.full((3, 4), 0.5))
    Interval(low=0.5, high=0.5, level=0.95)
    """
    if values.shape[1] < 2:
        return None
    return percentile_interval(resampled_means([values], resamples=resamples, seed=seed)[0], level=level)


def percentile_interval(samples: Float[np.ndarray, "n"], *, level: float) -> Interval:
    """Return the interval that holds the middle of some samples.

    Args:
        samples: At least one.
        level: The share of them between the ends, above 0 and below 1.

    Raises:
        ConfigError: The level is out of range.
    """
    check_level(level)
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level)


def check_level(level: float) -> None:
    """Refuse a confidence that is no share.

    Raises:
        ConfigError: The level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ConfigError(f"The confidence level is {level}. Choose one between 0 and 1, such as 0.95.")


def _draw(
    arms: Sequence[Float[np.ndarray, "_ field"]], generator: np.random.Generator, n_seeds: int, resamples: int
) -> Float[np.ndarray, "arm resample"]:
    n_fields = arms[0].shape[1]
    by_seed = generator.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=resamples) / n_seeds
    by_field = generator.multinomial(n_fields, np.full(n_fields, 1 / n_fields), size=resamples) / n_fields
    alone = np.ones((resamples, 1))
    return np.stack([(((alone if len(arm) == 1 else by_seed) @ arm) * by_field).sum(axis=1) for arm in arms])
