"""Thresholds tuned on validation images and kept in the model."""

from collections.abc import Iterable, Sequence
from itertools import product

import numpy as np
from jaxtyping import Bool, Float, Int

from segdistill.data.labels import Structure, output_names
from segdistill.evaluation.instances import average_precision, match
from segdistill.evaluation.overlap import dice
from segdistill.inference.instances import DEFAULT_THRESHOLDS, segment

FOREGROUND = (0.3, 0.4, 0.5, 0.6, 0.7)
SEED = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


def tune_thresholds(
    cases: Sequence[tuple[Float[np.ndarray, "o y x"], Int[np.ndarray, "k y x"], Bool[np.ndarray, "y x"]]],
    structures: Sequence[Structure],
) -> dict[str, dict[str, float]]:
    """Return the thresholds that score best on validation images.

    First the foreground threshold by mean Dice; then, for instances, the seed threshold by mean
    AP@0.5 at that foreground.

    Args:
        cases: Probability maps, label planes (one per structure) and the pixels that count.
            One of which no pixel counts says nothing. Without any, the defaults are returned.
        structures: What is segmented.

    Returns:
        Per structure ``foreground``, ``seed`` (probabilities) and ``minimum_size`` (pixels, 0).
    """
    tuned = {structure.name: dict(DEFAULT_THRESHOLDS) for structure in structures}
    cases = [case for case in cases if case[2].any()]
    if not cases:
        return tuned
    names = output_names(structures)
    for plane, structure in enumerate(structures):
        output = names.index(structure.name)
        scores = {
            cut: _mean(dice(maps[output] > cut, planes[plane] > 0, counts=counts) for maps, planes, counts in cases)
            for cut in FOREGROUND
        }
        tuned[structure.name]["foreground"] = _best(scores)
        if structure.instances:
            tuned[structure.name]["seed"] = _best(_seed_scores(cases, structures, plane, tuned))
    return tuned


def _seed_scores(cases: Sequence, structures: Sequence[Structure], plane: int, tuned: dict) -> dict[float, float]:
    structure, output = structures[plane], output_names(structures).index(structures[plane].name)
    scores: dict[float, list[float]] = {cut: [] for cut in SEED}
    for cut, (maps, planes, counts) in product(SEED, cases):
        objects = segment(
            maps[output : output + 2], [structure], {structure.name: {**tuned[structure.name], "seed": cut}}
        )[structure.name]
        scores[cut].append(average_precision(match(objects, planes[plane], counts=counts)))
    return {cut: float(np.mean(values)) for cut, values in scores.items()}


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _best(scores: dict[float, float]) -> float:
    """Return the best threshold; among equals the one nearest to one half."""
    return max(scores, key=lambda cut: (scores[cut], -abs(cut - 0.5)))
