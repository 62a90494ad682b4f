"""Keeping images that show one thing, or one patient, in one group: divided by no split, one in statistics (R34)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from segdistill.data.case import Case, shown
from segdistill.data.duplicates import joined_groups, near_duplicate_groups
from segdistill.data.scans import of_one_patient
from segdistill.data.splits import equal_content

MOST = 500
"""Images that are nearly the same are looked for among at most so many: each is compared with all others."""

_SAME, _NEARLY, _PATIENT = "the same picture", "nearly the same picture", "one patient"


@dataclass(frozen=True)
class Together:
    """A data set in which nothing that belongs together is counted or divided apart."""

    cases: tuple[Case, ...]
    """With groups joined."""

    notes: tuple[str, ...]
    """One on each joining, and on each that the given splits forbid."""

    twins: tuple[tuple[str, ...], ...]
    """Names of cases that show one picture, or nearly, in whatever splits they lie."""


def keep_together(cases: Sequence[Case], *, axes: str | None = None, fill_missing: bool = False) -> Together:
    """Join groups wherever images are alike or of one patient.

    Splits that the data set gives stay as they are: where alike images lie in several of them, those of each split are
    joined among themselves, and a note says that the others are not.

    Args:
        cases: Whose images can be read.
        axes: Meaning of the files' axes; None takes the files' own.
        fill_missing: Whether pieces that files leave out are empty on purpose.
    """
    joined, notes = tuple(cases), []
    twins = []
    patients: dict[bool, list[str]] = {True: [], False: []}
    for what, names in _alike(cases, axes, fill_missing):
        if what != _PATIENT:
            twins.append(names)
        splits = _given_splits(joined, names)
        given = sorted({split for split in splits.values() if split is not None})
        before, divided = joined, not given or None in splits.values()
        if len(given) > 1:
            places = shown(f"{splits[name] or 'undivided'}: {name}" for name in names)
            notes.append(f"In several of the given splits lies {what}: {places}. Scores on such images flatter.")
            joined = joined_groups(joined, [[name for name in names if splits[name] == split] for split in given])
            continue
        joined = joined_groups(joined, [names])
        if joined != before and what == _PATIENT:
            patients[divided].append(shown(names, most=4))
        elif joined != before and divided:
            notes.append(
                f"Kept in one split, as they show {what}: {shown(names)}."
                " To divide them otherwise, name the split of each in a manifest."
            )
        elif joined != before:
            notes.append(f"Counted as one, as they show {what}: {shown(names)}.")
    for divided, words in ((True, "Kept in one split each"), (False, "Counted as one each")):
        if patients[divided]:
            each = shown(f"({names})" for names in patients[divided])
            notes.append(f"{words}, as their DICOM files name one patient: {each}.")
    return Together(joined, tuple(notes), tuple(twins))


def _alike(cases: Sequence[Case], axes: str | None, fill_missing: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield in which way images are alike, and the names of their cases."""
    yield from ((_PATIENT, names) for names in of_one_patient(cases))
    equal = equal_content(cases, axes=axes, fill_missing=fill_missing)
    yield from ((_SAME, names) for names in equal)
    if len(cases) <= MOST:
        told = [set(names) for names in equal]
        near = near_duplicate_groups(cases, axes=axes, fill_missing=fill_missing)
        yield from ((_NEARLY, names) for names in near if not any(set(names) <= each for each in told))


def _given_splits(cases: Sequence[Case], names: Sequence[str]) -> dict[str, str | None]:
    """Return the split of each name's group; None where the data set gives none."""
    of_group = {case.group: case.split for case in cases if case.split is not None}
    return {case.name: of_group.get(case.group) for case in cases if case.name in set(names)}
