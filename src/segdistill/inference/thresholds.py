"""Thresholds tuned on validation images and kept in the model."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from segdistill.data.labels import Structure, output_names
from segdistill.evaluation.instances import average_precision, match
from segdistill.evaluation.overlap import dice
from segdistill.inference.instances import DEFAULT_THRESHOLDS, segment

FOREGROUND = (0.3, 0.4, 0.5, 0.6, 0.7)
SEED = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SMOOTHING = (0.0, 1.0, 2.0, 3.0, 5.0)
"""Standard deviations, pixels."""

MINIMUM_SIZE = (0.0, 0.05, 0.1, 0.2)
"""Shares of the median size of labelled objects."""

Case = tuple[Float[np.ndarray, "o y x"], Int[np.ndarray, "k y x"], Bool[np.ndarray, "y x"], Bool[np.ndarray, " k"]]
"""Probability maps, label planes (one per structure), the pixels that count, and which structures are labelled."""

_One = tuple[Float[np.ndarray, "_ y x"], Int[np.ndarray, "y x"], Bool[np.ndarray, "y x"]]
"""The same of one structure."""


def tune_thresholds(cases: Sequence[Case], structures: Sequence[Structure]) -> dict[str, dict[str, float]]:
    """Return the thresholds that score best on validation images.

    First the foreground threshold by mean Dice; then, for instances, by mean AP@0.5 and one after the
    other: the smoothing of what seeds are found in, the seed threshold, and the least size.

    Args:
        cases: Of which no pixel counts, one says nothing; of structures that nobody labelled in it neither. Where
            nothing is said of a structure, its defaults are returned.
        structures: What is segmented.

    Returns:
        Per structure ``foreground``, ``seed`` (probabilities), ``smoothing`` and ``minimum_size`` (pixels).
    """
    tuned = {structure.name: dict(DEFAULT_THRESHOLDS) for structure in structures}
    for structure, own in _by_structure(cases, structures):
        scores = {
            cut: _mean(dice(maps[0] > cut, plane > 0, counts=counts) for maps, plane, counts in own)
            for cut in FOREGROUND
        }
        tuned[structure.name]["foreground"] = _best(scores)
    return _with_objects(cases, structures, tuned)


def tune_objects(cases: Sequence[Case], structures: Sequence[Structure]) -> dict[str, dict[str, float]]:
    """Return the thresholds by which objects are told apart best; foreground stays where probability is one half.

    For teachers: their maps are taken at their word, but how a watershed cuts them is no part of that.
    The arguments are those of ``tune_thresholds``.
    """
    return _with_objects(cases, structures, {structure.name: dict(DEFAULT_THRESHOLDS) for structure in structures})


def _with_objects(
    cases: Sequence[Case], structures: Sequence[Structure], tuned: Mapping[str, dict[str, float]]
) -> dict[str, dict[str, float]]:
    found = dict(tuned)
    for structure, own in _by_structure(cases, structures):
        if structure.instances:
            found[structure.name] = _tuned_seeds(own, structure, tuned[structure.name])
    return found


def _by_structure(cases: Sequence[Case], structures: Sequence[Structure]) -> Iterator[tuple[Structure, Sequence[_One]]]:
    """Yield each structure with its own maps and labels, where it is labelled and any pixel counts."""
    names = output_names(structures)
    for plane, structure in enumerate(structures):
        output = names.index(structure.name)
        own = [
            (maps[output : output + 2], planes[plane], counts)
            for maps, planes, counts, known in cases
            if known[plane] and counts.any()
        ]
        if own:
            yield structure, own


def _tuned_seeds(cases: Sequence[_One], structure: Structure, found: Mapping[str, float]) -> dict[str, float]:
    """Return what objects are told apart by; each is chosen with the others as they are so far."""
    chosen = {**found, "seed": 0.7}  # where smoothing is judged; then the seed threshold itself
    sizes = np.concatenate([_sizes(plane) for _, plane, _ in cases])
    median = float(np.median(sizes)) if len(sizes) else 0.0
    for name, values, usual in (
        ("smoothing", SMOOTHING, 0.0),
        ("seed", SEED, 0.5),
        ("minimum_size", sorted({float(round(share * median)) for share in MINIMUM_SIZE}), 0.0),
    ):
        scores = {value: _precision(cases, structure, {**chosen, name: value}) for value in values}
        chosen[name] = _best(scores, usual)
    return chosen


def _precision(cases: Sequence[_One], structure: Structure, cut: Mapping[str, float]) -> float:
    """Return the mean AP@0.5."""
    return _mean(
        average_precision(
            match(segment(maps, [structure], {structure.name: cut})[structure.name], plane, counts=counts)
        )
        for maps, plane, counts in cases
    )


def _sizes(plane: Int[np.ndarray, "y x"]) -> Int[np.ndarray, " n"]:
    """Return the sizes of the objects of a label plane, pixels."""
    return np.unique(plane[plane > 0], return_counts=True)[1]


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _best(scores: Mapping[float, float], usual: float = 0.5) -> float:
    """Return the best value; among equals the one nearest to the usual one."""
    return max(scores, key=lambda value: (scores[value], -abs(value - usual)))
