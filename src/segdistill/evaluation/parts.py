"""Which structures are scored one after another, because their masks lie apart."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from segdistill.data.case import shown
from segdistill.errors import ConfigError, nearest
from segdistill.evaluation.predicted import is_predicted
from segdistill.evaluation.sides import coco_of, folders_in


def find_parts(
    predictions: Path,
    *,
    structures: Sequence[str] = (),
    value_names: Mapping[int, str] | None = None,
    prediction_kind: str | None = None,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the structures to pair up one after another, and remarks; ``("",)`` where all are in the same files.

    Args:
        predictions: See ``pair_up``.
        structures: What the user chose. Empty: all there are.
        value_names: Structure by class number or bit value of the labels, which are then in one folder for all;
            predictions have a sub-folder for each, as ``segdistill predict`` writes them, or are classes or bits as
            the labels are. One structure alone needs no sub-folder. None: labels lie as predictions do.
        prediction_kind: What the user says of predictions; classes and bits are all in the same files.

    Raises:
        ConfigError: A name is given twice or a chosen structure has none, or predictions lack the folder of one.

    >>> find_parts(Path("masks"), structures=["cell", "nucleus"])
    (('cell', 'nucleus'), ())
    >>> find_parts(Path("mask.tif"), value_names={1: "cell", 2: "nucleus"})
    (('',), ())
    """
    if value_names is None:
        return tuple(structures) or ("",), ()
    wanted = _named(structures, tuple(value_names.values()))
    if not structures and prediction_kind in {"classes", "bits"}:
        return ("",), ()
    if coco_of(predictions):
        return wanted, ()
    folders = folders_in(predictions)
    if not set(folders) & set(value_names.values()):
        if len(wanted) == 1:
            return wanted, ()
        if not structures and not is_predicted(predictions):
            return ("",), ()
    lacking = [name for name in wanted if name not in folders]
    if lacking:
        raise ConfigError(
            f"{predictions} has no sub-folder {shown(lacking)}.{nearest(lacking[0], folders)} It has:"
            f" {shown(folders) or 'none'}. Name the folder in which every structure of --value-names has a sub-folder"
            " of masks, as predict writes them, or choose of them with --structures."
        )
    others = [name for name in folders if name not in value_names.values()]
    return wanted, _remarks(predictions, others)


def _named(structures: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Return the chosen structures, all of which have a value."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"--value-names calls several values {shown(twice)}. Give each value a name of its own.")
    unnamed = [name for name in structures if name not in names]
    if unnamed:
        raise ConfigError(
            f"--structures chooses {shown(unnamed)}, but --value-names names no value so.{nearest(unnamed[0], names)}"
            f" It names: {shown(names)}."
        )
    return tuple(structures or names)


def _remarks(predictions: Path, others: Sequence[str]) -> tuple[str, ...]:
    if not others:
        return ()
    return (f"Sub-folders of {predictions} that are called as no value of the labels are not scored: {shown(others)}.",)
