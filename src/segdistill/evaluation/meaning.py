"""What the numbers in files of labels and of predictions mean, so that the two can be compared."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int, Int32

from segdistill.data.label_kinds import infer_kind
from segdistill.data.labels import KINDS, Kind, LabelSet, Structure, planes, read_labels, shown_values, structures_of
from segdistill.data.outlines import is_outlines
from segdistill.errors import ConfigError, DataError, UnknownName
from segdistill.evaluation.pairing import IN_ONE_FOLDER, Pairing

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

    whole: LabelSet | None = None
    """What label files mean, where one of their structures is compared. None: they show what is compared."""

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
        if side == "label" and self.whole is not None:
            return planes(array, self.whole, source=str(path))[[self.whole.structures.index(self.compared.name)]]
        kind = "instances" if is_outlines(path) else self.label if side == "label" else self.prediction
        if kind == "instances" and self.compared.kind == "binary":
            return (array > 0).astype(np.int32)[None]
        return planes(array, self.compared, source=str(path))


def find_meaning(pairing: Pairing, *, structure: str, label_kind: str | None, prediction_kind: str | None) -> Meaning:
    """Return what labels and predictions mean.

    Files that cannot be read are passed over: whoever scores them says so. Outlines are instances, or
    binary where that is asked for: then those of a file are taken together.

    Args:
        pairing: What will be compared. Its names of values are those of classes and bits; with its part, predictions
            are masks or objects of that one.
        structure: Name of what is labelled; classes and bits without names are called after it and their number.
        label_kind: instances, binary, classes or bits. None infers it from up to 50 labels.
        prediction_kind: The same. None: that of the labels, unless labels are binary: then it is
            inferred, because instances can be compared with a mask when taken together. So it is of a part.

    Raises:
        ConfigError: A kind cannot be inferred, or the two cannot be compared; or labels are classes or bits, and
            predictions, whose kind is not given, look like masks or objects of one structure.
        UnknownName: There is no such kind.
    """
    labels = [pair.label for pair in pairing.pairs]
    predictions = [pair.prediction for pair in pairing.pairs if pair.prediction is not None]
    notes = []
    label = _known(label_kind) or _drawn(labels) or infer_kind(_sample(labels))
    if label_kind is None:
        notes.append(f"{structure}: labels are taken for {label}, which --label-kind can change.")
    whole = _named(structure, label, pairing)
    prediction = _known(prediction_kind) or _drawn(predictions)
    if prediction is None and (pairing.part or label == "binary"):
        prediction = _beside_masks(predictions, label)
    elif prediction is None:
        _refuse_one_structure(structure, label, labels, predictions)
        prediction = label
    _refuse_drawn(label, labels)
    _refuse_drawn(prediction, predictions)
    if whole is not None and pairing.part:
        notes += _notes_on_part(pairing.part, label, prediction)
        return Meaning(LabelSet(pairing.part, "binary", (pairing.part,)), label, prediction, tuple(notes), whole)
    if {label, prediction} == {"instances", "binary"}:
        notes.append(
            f"{structure}: labels are {label}, predictions {prediction}, so objects are taken together and scored by"
            " pixels alone."
        )
    compared = _compared(structure, label, prediction, [*labels, *predictions], whole)
    return Meaning(compared, label, prediction, tuple(notes))


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


def _named(structure: str, label: Kind, pairing: Pairing) -> LabelSet | None:
    """Return what the named values of labels mean; None: they have no names."""
    names = pairing.value_names
    if names is None:
        return None
    if label not in {"classes", "bits"}:
        raise ConfigError(
            f"{structure}: names are given for the values {shown_values(tuple(names))}, but labels are {label}, which"
            " have none. Say --label-kind classes or --label-kind bits if that is what they are, or drop --value-names."
        )
    return LabelSet("labels", label, tuple(names.values()), tuple(names))


def _notes_on_part(part: str, label: Kind, prediction: Kind) -> list[str]:
    """Return what to tell of predictions of one structure; refuse what shows several."""
    if prediction not in {"instances", "binary"}:
        raise ConfigError(
            f"{part}: predictions of one structure are a mask or objects, but their kind is {prediction}. Say"
            " --prediction-kind binary or instances, or name a folder in which the files show all structures."
        )
    if prediction == "binary":
        return []
    return [
        f"{part}: labels are {label}, predictions instances, so objects are taken together and scored by pixels alone."
    ]


def _refuse_one_structure(structure: str, label: Kind, labels: Sequence[Path], predictions: Sequence[Path]) -> None:
    """Refuse predictions that would be scored as classes or bits, but look like masks or objects of one structure."""
    if label not in {"classes", "bits"}:
        return
    values, found = _found(labels), _found(predictions)
    if values and len(found) == 1 and values != found:
        looks = f"nothing but {shown_values(sorted(found))} besides 0, as a mask of one structure does"
    elif len(found) > 1 and _looks_like_objects(predictions) and not _looks_like_objects(labels):
        looks = f"{len(found):,} values besides 0 that look like numbered objects of one structure"
    else:
        return
    raise ConfigError(
        f"{structure}: labels are {label} and hold {shown_values(sorted(values))}, but predictions hold {looks},"
        f" and it is not said of which. {IN_ONE_FOLDER}. If predictions are {label} all the same, say"
        f" --prediction-kind {label}."
    )


def _looks_like_objects(files: Sequence[Path]) -> bool:
    try:
        return infer_kind(_sample(files)) == "instances"
    except ConfigError:  # nothing can be told
        return False


def _beside_masks(predictions: Sequence[Path], label: Kind) -> Kind:
    """Return the kind of predictions where labels are binary, or one of their values is compared."""
    try:
        return infer_kind(_sample(predictions))
    except ConfigError as error:
        raise ConfigError(
            f"Labels are {label}, but predictions hold several values, and it cannot be seen whether they are objects."
            " If they are, say --prediction-kind instances; otherwise threshold them when you save them."
        ) from error


def _compared(structure: str, label: Kind, prediction: Kind, files: Sequence[Path], named: LabelSet | None) -> LabelSet:
    if {label, prediction} <= {"instances", "binary"}:
        return LabelSet(structure, label if label == prediction else "binary", (structure,))
    if label != prediction:
        raise ConfigError(
            f"Labels are {label} and predictions {prediction}: these cannot be compared. Give both the same"
            f" meaning, and say which with --label-kind and --prediction-kind. {IN_ONE_FOLDER}."
        )
    if named is not None:
        return named
    values = _values(label, files)
    if not values:
        raise ConfigError(f"Labels and predictions are {label}, but all of them hold nothing but 0. Check the folders.")
    return LabelSet(structure, label, tuple(f"{structure}_{value}" for value in values), values)


def _values(kind: Kind, files: Sequence[Path]) -> tuple[int, ...]:
    """Return the classes, or the bits, that occur in any file."""
    found = _found(files)
    if kind == "classes":
        return tuple(sorted(found))
    every = int(np.bitwise_or.reduce([*found, 0]))
    return tuple(1 << bit for bit in range(every.bit_length()) if every >> bit & 1)


def _found(files: Sequence[Path]) -> set[int]:
    """Return all numbers that occur in any file, but for 0."""
    return {value for array in _readable(files) for value in np.unique(array).tolist()} - {0}


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
