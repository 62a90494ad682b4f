"""Scores by a column of the manifest, such as the modality: over the test fields that share its value."""

from collections.abc import Mapping, Sequence

from segdistill.evaluation import mean_sd
from segdistill.report import GroupRow, GroupScores, Spread
from segdistill.study.account import ArmAccount
from segdistill.study.content import COMPARED
from segdistill.study.preparation import Prepared

NOT_STATED = "not stated"
"""Stands for an empty cell."""


def group_scores(account: Mapping[str, ArmAccount], prepared: Prepared) -> GroupScores | None:
    """Return every arm's scores by the values of the column that was named; None where none was.

    Args:
        account: By arm.
        prepared: The images.
    """
    if prepared.by is None:
        return None
    groups = grouped(values_of_units(prepared, prepared.by))
    return GroupScores(
        column=prepared.by,
        rows=tuple(
            GroupRow(value=value, metric=words, fields=len(units), scores=scores_over(account, metric, units))
            for metric, words in COMPARED.items()
            if any(metric in arm.tables for arm in account.values())
            for value, units in groups.items()
        ),
    )


def values_of_units(prepared: Prepared, column: str) -> dict[str, str]:
    """Return what stands in a column for each unit of the scores that is tested.

    A unit may hold several images; where they differ, its value is all of theirs, since its scores are means
    over its images.
    """
    remarks = {case.name: case.remarks for case in prepared.dataset.cases}
    values: dict[str, set[str]] = {}
    for sample in prepared.labelled("test"):
        values.setdefault(prepared.groups[sample.name], set()).add(remarks[sample.name].get(column, NOT_STATED))
    return {unit: " and ".join(sorted(own)) for unit, own in values.items()}


def grouped(values: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return value to units, values in alphabetical order and what is not stated last.

    >>> grouped({"a": "phase", "b": "not stated", "c": "bright", "d": "phase"})
    {'bright': ('c',), 'phase': ('a', 'd'), 'not stated': ('b',)}
    """
    order = sorted(set(values.values()), key=lambda value: (value == NOT_STATED, value))
    return {value: tuple(unit for unit, own in values.items() if own == value) for value in order}


def scores_over(account: Mapping[str, ArmAccount], metric: str, units: Sequence[str]) -> dict[str, Spread]:
    """Return each arm's mean over some units, then over seeds; an arm without the score is left out."""
    scores = {}
    for name, arm in account.items():
        table = arm.tables.get(metric)
        places = [] if table is None else [place for place, unit in enumerate(table.fields) if unit in units]
        if table is not None and places:
            mean, sd = mean_sd(table.values[:, places])
            scores[name] = Spread(mean=mean, sd=sd)
    return scores
