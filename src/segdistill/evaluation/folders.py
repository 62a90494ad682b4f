"""Scoring files against files: what ``segdistill predict``, or any other tool, left in a folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int32, Shaped

from segdistill.data.belonging import refuse_elsewhere
from segdistill.data.case import shown
from segdistill.data.labels import read_labels
from segdistill.data.outlines import read_uncounted
from segdistill.errors import ConfigError, DataError
from segdistill.evaluation.calibration import Reliability, count_reliability
from segdistill.evaluation.lengths import TOLERANCE_PIXELS, Lengths
from segdistill.evaluation.maps import Map
from segdistill.evaluation.meaning import Meaning, find_meaning
from segdistill.evaluation.metrics import OF_MASKS
from segdistill.evaluation.pairing import Pair, Pairing
from segdistill.evaluation.scores import score_case
from segdistill.evaluation.summary import Record

PIXEL_LENGTHS = Lengths(TOLERANCE_PIXELS, {})
"""Lengths in pixels, in every field."""


@dataclass(frozen=True)
class FolderScores:
    """Everything that comparing two folders says."""

    rows: tuple[Record, ...]
    """Every score, one field per label. A prediction that is missing or cannot be used has the worst."""

    missing: tuple[str, ...] = ()
    """Names of labels without a prediction."""

    failed: Mapping[str, str] = field(default_factory=dict)
    """Name of a label whose prediction cannot be used, to the reason."""

    unscored: Mapping[str, str] = field(default_factory=dict)
    """Name of a label that cannot be used itself, to the reason: it has no scores."""

    alone: tuple[str, ...] = ()
    """Names of predictions without a label."""

    notes: tuple[str, ...] = ()
    """What was inferred, and what looks odd."""

    without_map: Mapping[str, str] = field(default_factory=dict)
    """Name of a label whose probability map is missing or cannot be used, where maps were given, to the reason."""

    reliability: Mapping[str, Reliability] = field(default_factory=dict)
    """By structure, of the pixels of all fields whose map can be used; empty where no maps were given."""


def score_folders(
    pairing: Pairing,
    *,
    structure: str,
    label_kind: str | None = None,
    prediction_kind: str | None = None,
    arm: str = "prediction",
    metrics: Sequence[str] = OF_MASKS,
    lengths: Lengths = PIXEL_LENGTHS,
    maps: Mapping[str, Map] | None = None,
) -> FolderScores:
    """Return the scores of every pair.

    Args:
        pairing: See ``pair_up``.
        structure: What is labelled. Classes and bits without names are called after it and their number.
        label_kind: What the numbers in label files mean: instances, binary, classes or bits. None
            infers it.
        prediction_kind: The same of the predictions. None: that of the labels; see ``find_meaning``.
        arm: Who made the predictions, for the rows.
        metrics: Names of scores, of ``METRICS``; those of objects are given for instances only.
        lengths: In what lengths are told; see ``find_lengths``.
        maps: Probability maps by the labels' names; see ``find_maps``. None: there are none.

    Raises:
        ConfigError: The kinds cannot be inferred or compared, or what was asked for has no score.
        UnknownName: There is no such kind or score.
        DataError: No label can be used.
    """
    meaning = find_meaning(pairing, structure=structure, label_kind=label_kind, prediction_kind=prediction_kind)
    rows: list[Record] = []
    failed: dict[str, str] = {}
    unscored: dict[str, str] = {}
    without_map: dict[str, str] = {}
    reliability: dict[str, Reliability] = {}
    several = {"label": False, "prediction": False}
    for pair in pairing.pairs:
        try:
            label = read_label(pair, meaning)
            counts = counted(pair, label.shape[1:])
        except DataError as error:
            unscored[pair.name] = str(error)
            continue
        prediction = read_prediction(pair, meaning, label.shape[1:], failed)
        several["label"] |= _several(label)
        several["prediction"] |= _several(prediction)
        probability = None
        if maps is not None:
            try:
                probability = _probability(maps[pair.name], pair, label, counts, meaning, reliability)
            except DataError as error:
                without_map[pair.name] = str(error)
        scores = score_case(
            prediction,
            label,
            meaning.structures,
            counts=counts,
            metrics=metrics,
            ruler=lengths.ruler(pair.label),
            probability=probability,
        )
        rows += [Record(**row, arm=arm, seed=0, field=pair.name) for row in scores]
    if not rows and len(unscored) < len(pairing.pairs):
        raise ConfigError(
            f"{structure}: labels are {meaning.label} and predictions {meaning.prediction}, so none of these scores"
            f" can be given: {', '.join(metrics)}. Ask for others, or for none to have them all."
        )
    if not rows:
        raise DataError(f"None of the {len(unscored)} labels can be used. {shown(unscored.values(), most=3)}")
    missing = tuple(pair.name for pair in pairing.pairs if pair.prediction is None and pair.name not in unscored)
    notes = (*pairing.notes, *meaning.notes, *_oddities(meaning, several))
    return FolderScores(tuple(rows), missing, failed, unscored, pairing.alone, notes, without_map, reliability)


def read_label(pair: Pair, meaning: Meaning) -> Int32[np.ndarray, "k y x"]:
    """Return the planes of a label.

    Raises:
        DataError: It cannot be used.
    """
    label = meaning.read(pair.label, "label", pair.size)
    if pair.image is not None and pair.size is not None and label.shape[1:] != pair.size:
        own, other = (" × ".join(map(str, shape)) for shape in (label.shape[1:], pair.size))
        raise DataError(
            f"{pair.label} has {own} pixels (y × x), but its image {pair.image} has {other}. They must be of one size;"
            " nothing is resized here."
        )
    return label


def read_prediction(
    pair: Pair, meaning: Meaning, shape: tuple[int, ...], failed: dict[str, str]
) -> Int32[np.ndarray, "k y x"] | None:
    """Return the planes of a prediction; None where there is none, or it cannot be used, which is noted."""
    if pair.prediction is None:
        return None
    try:
        refuse_elsewhere(pair.prediction, [pair.label])
        prediction = meaning.read(pair.prediction, "prediction", shape)
        _refuse_other_shape(pair.prediction.as_posix(), prediction.shape[1:], pair, shape)
        _refuse_crowds(pair.prediction, shape)
    except DataError as error:
        failed[pair.name] = str(error)
        return None
    return prediction


def _probability(
    found: Map,
    pair: Pair,
    label: Int32[np.ndarray, "k y x"],
    counts: Bool[np.ndarray, "y x"] | None,
    meaning: Meaning,
    reliability: dict[str, Reliability],
) -> Shaped[np.ndarray, "k y x"]:
    """Return the probability map of a field, after adding its pixels to the table of each structure.

    Raises:
        DataError: There is none, or it cannot be used; then nothing is added.
    """
    maps = found.read(meaning.structures)
    _refuse_other_shape(str(found.path), maps.shape[1:], pair, label.shape[1:])
    own = [count_reliability(each, plane > 0, counts=counts) for each, plane in zip(maps, label, strict=True)]
    for structure, each in zip(meaning.structures, own, strict=True):
        reliability[structure.name] = reliability[structure.name] + each if structure.name in reliability else each
    return maps


def _refuse_crowds(prediction: Path, shape: tuple[int, ...]) -> None:
    """Refuse a prediction that would decide by itself where it is scored."""
    if read_uncounted(prediction, (shape[0], shape[1])).any():
        raise DataError(
            f"{prediction} marks crowds (iscrowd). What counts for nothing is for the labels to say: take them out of"
            " the predictions."
        )


def counted(pair: Pair, shape: tuple[int, ...]) -> Bool[np.ndarray, "y x"] | None:
    """Return which pixels of a field count; None: all.

    Raises:
        DataError: A mask cannot be used, or nothing counts.
    """
    counts = ~read_uncounted(pair.label, (shape[0], shape[1]))
    for path, excludes in ((pair.ignore, True), (pair.field_of_view, False)):
        if path is not None:
            mask = read_labels(path, shape=shape)
            _refuse_other_shape(path.as_posix(), mask.shape, pair, shape)
            counts &= (mask == 0) if excludes else (mask != 0)
    if counts.all():
        return None
    if not counts.any():
        raise DataError(f"No pixel of {pair.label} counts, so it has no score. Take it out of the labels.")
    return counts


def _refuse_other_shape(name: str, found: tuple[int, ...], pair: Pair, wanted: tuple[int, ...]) -> None:
    if found != wanted:
        own, other = (" × ".join(map(str, shape)) for shape in (found, wanted))
        raise DataError(
            f"{name} has {own} pixels (y × x), but the label {pair.label} has {other}."
            " They must be of one size; nothing is resized here."
        )


def _several(array: Int32[np.ndarray, "k y x"] | None) -> bool:
    """Return whether several different objects occur."""
    objects = array[array > 0] if array is not None else np.zeros(0)
    return bool(objects.size) and bool(objects.min() != objects.max())


def _oddities(meaning: Meaning, several: Mapping[str, bool]) -> list[str]:
    if meaning.compared.kind == "instances" and several["label"] and not several["prediction"]:
        return [
            f"{meaning.compared.name}: no prediction tells two objects apart, so scores of objects (ap50, pq, ...) say"
            " little. If predictions are masks, use --prediction-kind binary."
        ]
    return []
