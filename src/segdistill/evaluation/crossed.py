"""Arms that met the same fields with the same seeds, and the difference between two of them."""

from jaxtyping import Float64
from numpy import ndarray

from segdistill.errors import DataError
from segdistill.evaluation.summary import ScoreTable


def check_same(first: ScoreTable, *others: ScoreTable) -> None:
    """Refuse tables of different fields or units, or of different seeds where there are several.

    Raises:
        DataError: The tables cannot be compared; the fields, units or seeds are named.
    """
    units = sorted({table.unit for table in (first, *others)})
    if len(units) > 1:
        raise DataError(
            f"The arms' scores are given in {' and in '.join(units)}, and cannot be compared. Score all arms with one"
            " pixel size and one tolerance."
        )
    for table in others:
        if table.fields != first.fields:
            strange = sorted(set(table.fields) ^ set(first.fields))
            raise DataError(
                f"The arms were not scored on the same fields; these are missing from one: {', '.join(strange)}."
                " Compare arms on the same test set."
            )
    seeds = {table.seeds for table in (first, *others) if len(table.seeds) > 1}
    if len(seeds) > 1:
        raise DataError(
            f"The arms were trained with different seeds: {' and '.join(map(str, sorted(seeds)))}."
            " Run the same seeds in every arm; a frozen teacher has one."
        )


def differences(
    first: ScoreTable, second: ScoreTable, *, higher_is_better: bool = True
) -> Float64[ndarray, "seed field"]:
    """Return by how much the first arm is better than the second, by seed and field.

    Args:
        first: Scores by seed and field.
        second: Scores of the same fields and seeds. Either may have one seed alone, as a frozen teacher
            has; it then stands against every seed of the other.
        higher_is_better: Whether more is better, as for Dice; not so for distances.

    Returns:
        Positive where the first is better, in the unit of the scores.

    Raises:
        DataError: The arms have other fields, seeds or units.

    >>> import numpy as np
    >>> table = lambda *scores: ScoreTable((0,), ("a", "b"), np.array([scores]))
    >>> differences(table(0.75, 0.5), table(0.5, 0.75))
    array([[ 0.25, -0.25]])
    """
    check_same(first, second)
    return first.values - second.values if higher_is_better else second.values - first.values
