"""What the numbers in files of labels and of predictions mean, so that the two can be compared."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int, Int32

from segdistill.data.label_kinds import infer_kind
from segdistill.data.labels import KINDS, Kind, LabelSet, Structure, planes, read_labels, structures_of
from segdistill.data.outlines import is_outlines
from segdistill.errors import ConfigError, DataError, UnknownName
from segdistill.evaluation.pairing import Pair

Side = Literal["label", "prediction"]

_SAMPLE = 50
"""So many files are read to tell their kind."""


@dataclass(frozen=True)
class Meaning:
    """How labels and predictions become planes of the same structures."""

    compared: LabelSet
    """What both are turned into."""

    label: Kind
    """Of the label files."""

    prediction: Kind
    """Of the prediction files."""

    notes: tuple[str, ...] = ()
    """What was inferred."""

    @property
    def structures(self) -> tuple[Structure, ...]:
        """What is scored."""
        return structures_of([self.compared])

    def read(self, path: Path, side: Side, size: tuple[int, ...] | None) -> Int32[np.ndarray, "k y x"]:
        """Return the planes of a file.

        Args:
            path: A label image or outlines.
            side: What it is.
            size: Pixels along y and x, which outlines need; see ``read_labels``.

        Raises:
            DataError: The file cannot be read or holds numbers of another meaning.
        """
        array = read_labels(path, shape=size)
        kind = "instances" if is_outlines(path) else self.label if side == "label" else self.prediction
        if kind == "instances" and self.compared.kind == "binary":
            return (array > 0).astype(np.int32)[None]
        return planes(array, self.compared, source=str(path))


def find_meaning(
    pairs: Sequence[Pair], *, structure: str, label_kind: str | None, prediction_kind: str | None
) -> Meaning:
    """Return what labels and predictions mean.

    Files that cannot be read are passed over: whoever scores them says so. Outlines are instances, or
    binary where that is asked for: then those of a file are taken together.

    Args:
        pairs: What will be compared.
        structure: Name of what is labelled; classes and bits are called after it and their number.
        label_kind: instances, binary, classes or bits. None infers it from up to 50 labels.
        prediction_kind: The same. None: that of the labels, unless labels are binary: then it is
            inferred, because instances can be compared with a mask when taken together.

    Raises:
        ConfigError: A kind cannot be inferred, or the two cannot be compared.
        UnknownName: There is no such kind.
    """
    labels = [pair.label for pair in pairs]
    predictions = [pair.prediction for pair in pairs if pair.prediction is not None]
    notes = []
    label = _known(label_kind) or _drawn(labels) or infer_kind(_sample(labels))
    if label_kind is None:
        notes.append(f"{structure}: labels are taken for {label}, which --label-kind can change.")
    prediction = _known(prediction_kind) or _drawn(predictions)
    prediction = prediction or (_beside_masks(predictions) if label == "binary" else label)
    _refuse_drawn(label, labels)
    _refuse_drawn(prediction, predictions)
    if {label, prediction} == {"instances", "binary"}:
        notes.append(
            f"{structure}: labels are {label}, predictions {prediction}, so objects are taken together and scored by"
            " pixels alone."
        )
    return Meaning(_compared(structure, label, prediction, [*labels, *predictions]), label, prediction, tuple(notes))


def _known(kind: str | None) -> Kind | None:
    for known in KINDS:
        if kind == known:
            return known
    if kind is not None:
        raise UnknownName("label kind", kind, KINDS)
    return None


def _drawn(files: Sequence[Path]) -> Kind | None:
    """Return the kind of outlines, if there are any."""
    return "instances" if any(map(is_outlines, files)) else None


def _refuse_drawn(kind: Kind, files: Sequence[Path]) -> None:
    drawn = list(filter(is_outlines, files))
    if drawn and kind in {"classes", "bits"}:
        raise ConfigError(
            f"{len(drawn)} of {len(files)} files, such as {drawn[0]}, are outlines of objects, which are instances or"
            f" binary, but the kind is {kind}. Score each structure by itself."
        )


def _beside_masks(predictions: Sequence[Path]) -> Kind:
    """Return the kind of predictions where labels are binary."""
    try:
        return infer_kind(_sample(predictions))
    except ConfigError as error:
        raise ConfigError(
            "Labels are binary, but predictions hold several values, and it cannot be seen whether they are objects."
            " If they are, say --prediction-kind instances; otherwise threshold them when you save them."
        ) from error


def _compared(structure: str, label: Kind, prediction: Kind, files: Sequence[Path]) -> LabelSet:
    if {label, prediction} <= {"instances", "binary"}:
        return LabelSet(structure, label if label == prediction else "binary", (structure,))
    if label != prediction:
        raise ConfigError(
            f"Labels are {label} and predictions {prediction}: these cannot be compared. Give both the same"
            " meaning, and say which with --label-kind and --prediction-kind."
        )
    values = _values(label, files)
    if not values:
        raise ConfigError(f"Labels and predictions are {label}, but all of them hold nothing but 0. Check the folders.")
    return LabelSet(structure, label, tuple(f"{structure}_{value}" for value in values), values)


def _values(kind: Kind, files: Sequence[Path]) -> tuple[int, ...]:
    """Return the classes, or the bits, that occur in any file."""
    found = {value for array in _readable(files) for value in np.unique(array).tolist()} - {0}
    if kind == "classes":
        return tuple(sorted(found))
    every = int(np.bitwise_or.reduce([*found, 0]))
    return tuple(1 << bit for bit in range(every.bit_length()) if every >> bit & 1)


def _sample(files: Sequence[Path]) -> Iterator[Int[np.ndarray, "_ _"]]:
    """Yield the arrays of some files from all over a list, or of all where those show nothing."""
    chosen = np.linspace(0, len(files) - 1, min(len(files), _SAMPLE)).round().astype(int).tolist() if files else []
    something = False
    for array in _readable([files[index] for index in chosen]):
        something |= bool(array.any())
        yield array
    if not something:
        yield from _readable([path for index, path in enumerate(files) if index not in set(chosen)])


def _readable(files: Sequence[Path]) -> Iterator[Int[np.ndarray, "_ _"]]:
    for path in files:
        if is_outlines(path):
            continue  # their kind is known
        try:
            yield read_labels(path)
        except DataError:  # told, with the reason, by whoever scores the file
            continue
